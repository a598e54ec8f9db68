//! What turns the packets of a track into samples.

use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as Failure;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, TimeBase};

use crate::audio::opus::{self, Packets};
use crate::audio::{SAMPLE_RATES_HZ, down_mix_into};

/// Containers count in milliseconds.
const ROUNDING_S: f64 = 0.0015;

fn seconds(base: TimeBase, ticks: f64) -> f64 {
    ticks * f64::from(base.numer.get()) / f64::from(base.denom.get())
}

/// Why a packet gives no samples.
pub(super) enum Refusal {
    /// It is damaged; the next may be whole.
    Packet(String),
    /// It is of a kind that cannot be read, and so are all, unless it is damaged in such a way.
    Stream(String),
}

enum Kind {
    Symphonia(Box<dyn AudioDecoder>),
    Opus { packets: Box<Packets>, skip: u64 },
}

/// A decoder of the first audio track, mixed down to its mean.
pub(super) struct Decoder {
    kind: Kind,
    pub track: u32,
    pub rate_hz: u32,
    /// Samples that the file promises.
    pub promised: Option<u64>,
    time_base: Option<TimeBase>,
    /// Samples that are still to be cut off at the end of MPEG audio.
    padding: Option<u64>,
    interleaved: Vec<f32>,
}

impl Decoder {
    /// For the first audio track of a file, or why there is none.
    pub fn new(format: &dyn FormatReader) -> Result<Self, String> {
        let track = format.default_track(TrackType::Audio).ok_or("it holds no audio track")?;
        let parameters = track
            .codec_params
            .as_ref()
            .and_then(|p| p.audio())
            .ok_or("its audio track is not described")?;
        let (kind, rate_hz) = if parameters.codec == CODEC_ID_OPUS {
            let packets = Packets::new(&opus_head(parameters))?;
            let skip = packets.pre_skip;
            (Kind::Opus { packets: Box::new(packets), skip }, opus::RATE_HZ)
        } else {
            let decoder = symphonia::default::get_codecs()
                .make_audio_decoder(parameters, &AudioDecoderOptions::default())
                .map_err(|e| explain(&e))?;
            let rate_hz = parameters.sample_rate.ok_or("it does not tell its rate")?;
            (Kind::Symphonia(decoder), rate_hz)
        };
        if !SAMPLE_RATES_HZ.contains(&rate_hz) {
            return Err(format!("{rate_hz} Hz is not in 8000..=192000"));
        }
        let is_mpeg = matches!(format.format_info().short_name, "mp1" | "mp2" | "mp3");
        // Matroska tells how long all of it is, which is the length of its only track.
        let media = format.media_info();
        let is_only = format.tracks().len() == 1;
        let told = media.duration.zip(media.time_base).map(|(length, base)| {
            (seconds(base, length.get() as f64) * f64::from(rate_hz)).round() as u64
        });
        Ok(Self {
            kind,
            track: track.id,
            rate_hz,
            time_base: track.time_base,
            padding: is_mpeg.then(|| track.padding.unwrap_or(0).into()),
            promised: track.num_frames.or(told.filter(|_| is_only)).filter(|n| *n > 0),
            interleaved: Vec::new(),
        })
    }

    /// The reader of MPEG audio cuts off all behind the length that the first frame tells, or that it has guessed where none does. Files
    /// that were joined go on there, and guesses are wrong; only what the encoder says to be padding is none.
    pub fn keep_what_is_no_padding(&mut self, packet: &mut Packet) {
        let Some(padding) = &mut self.padding else { return };
        let cut = packet.trim_end.get().min(*padding);
        *padding -= cut;
        let whole = packet.dur.get() + packet.trim_end.get();
        packet.dur = Duration::from(whole - cut);
        packet.trim_end = Duration::from(cut);
    }

    /// When a packet begins, if its container tells.
    pub fn begin_s(&self, packet: &Packet) -> Option<f64> {
        Some(seconds(self.time_base?, packet.pts.get() as f64))
    }

    /// How long a packet is, if its container tells.
    pub fn length_s(&self, packet: &Packet) -> Option<f64> {
        Some(seconds(self.time_base?, packet.dur.get() as f64)).filter(|s| *s > 0.0)
    }

    /// Appends what a packet holds.
    pub fn decode_into(&mut self, packet: &Packet, out: &mut Vec<f32>) -> Result<(), Refusal> {
        let told_s = self.length_s(packet);
        match &mut self.kind {
            Kind::Opus { packets, skip } => {
                let start = out.len();
                let length_s =
                    opus::duration(&packet.data).map(|n| n as f64 / f64::from(opus::RATE_HZ));
                if told_s.zip(length_s).is_some_and(|(a, b)| a > b + ROUNDING_S) {
                    return Err(Refusal::Packet("a packet is shorter than it should be".into()));
                }
                packets.decode_into(&packet.data, out).map_err(Refusal::Packet)?;
                let skipped = (*skip).min((out.len() - start) as u64);
                *skip -= skipped;
                out.drain(start..start + skipped as usize);
                Ok(())
            }
            Kind::Symphonia(decoder) => {
                let decoded = decoder.decode(packet).map_err(|e| match e {
                    Failure::DecodeError(_) | Failure::IoError(_) => Refusal::Packet(explain(&e)),
                    e => Refusal::Stream(explain(&e)),
                })?;
                let (rate_hz, channels) =
                    (decoded.spec().rate(), decoded.spec().channels().count());
                if rate_hz != self.rate_hz {
                    let reason = format!("its rate changes from {} to {rate_hz} Hz", self.rate_hz);
                    return Err(Refusal::Stream(reason));
                }
                decoded.copy_to_vec_interleaved(&mut self.interleaved);
                if let Some(bad) = self.interleaved.iter().position(|s| !s.is_finite()) {
                    let bad = self.interleaved[bad];
                    return Err(Refusal::Packet(format!("a sample is {bad}")));
                }
                if channels > 0 {
                    down_mix_into(&self.interleaved, channels, out);
                }
                Ok(())
            }
        }
    }
}

/// The header of an Opus track; where a container has none, that of two channels.
fn opus_head(parameters: &AudioCodecParameters) -> Vec<u8> {
    match &parameters.extra_data {
        // In MP4 it has version 0, and its numbers are big-endian.
        Some(data) if data.starts_with(b"OpusHead\0") && data.len() >= 19 => {
            let mut head = data.to_vec();
            for number in [10..12, 12..16, 16..18] {
                head[number].reverse();
            }
            head
        }
        Some(data) if data.starts_with(b"OpusHead") => data.to_vec(),
        _ => b"OpusHead\x01\x02\0\0\x80\xbb\0\0\0\0\0".to_vec(),
    }
}

/// A failure in words, with the way out where there is one.
pub(super) fn explain(failure: &Failure) -> String {
    match failure {
        Failure::Unsupported(_) => format!("{failure}; convert it to WAV"),
        _ => failure.to_string(),
    }
}
