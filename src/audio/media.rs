//! FLAC, MP3, Ogg Vorbis, M4A (AAC, ALAC), AAC and AIFF, decoded by symphonia.

use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as Failure;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource as Bytes, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use super::{AudioSource, SAMPLE_RATES_HZ, down_mix_into};
use crate::error::{Error, Result};

/// The first audio track of a compressed file, any number of channels (their mean is taken), 8 to 192 kHz. A chunk is one packet;
/// packets that cannot be decoded are left out with a warning.
pub struct MediaSource {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    path: PathBuf,
    track: u32,
    rate_hz: u32,
    duration_s: Option<f64>,
    interleaved: Vec<f32>,
    /// Samples passed on.
    passed: u64,
    /// Packets left out, and why the first was.
    damaged: usize,
    reason: String,
    ended: bool,
    warnings: Vec<String>,
}

impl MediaSource {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Audio`] if it is of no kind that can be decoded.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        Self::new(path, Box::new(file))
    }

    /// Decodes a file in memory; `name` stands for it in messages.
    ///
    /// # Errors
    /// [`Error::Audio`] as for [`open`](Self::open).
    pub fn from_bytes(name: impl AsRef<Path>, bytes: Vec<u8>) -> Result<Self> {
        Self::new(name.as_ref(), Box::new(Cursor::new(bytes)))
    }

    fn new(path: &Path, bytes: Box<dyn Bytes>) -> Result<Self> {
        let fail = |reason: String| Error::audio(path, reason);
        let stream = MediaSourceStream::new(bytes, MediaSourceStreamOptions::default());
        let mut hint = Hint::new();
        if let Some(extension) = path.extension().and_then(|e| e.to_str()) {
            hint.with_extension(extension);
        }
        let format = symphonia::default::get_probe()
            .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(|e| fail(format!("not audio of a kind that can be read ({e})")))?;
        let track = format
            .default_track(TrackType::Audio)
            .ok_or_else(|| fail("it holds no audio track".into()))?;
        let parameters = track
            .codec_params
            .as_ref()
            .and_then(|p| p.audio())
            .ok_or_else(|| fail("its audio track is not described".into()))?;
        let rate_hz =
            parameters.sample_rate.ok_or_else(|| fail("it does not tell its rate".into()))?;
        if !SAMPLE_RATES_HZ.contains(&rate_hz) {
            return Err(fail(format!("{rate_hz} Hz is not in 8000..=192000")));
        }
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map_err(|e| fail(explain(&e)))?;
        let duration_s = track.num_frames.map(|frames| frames as f64 / f64::from(rate_hz));
        Ok(Self {
            track: track.id,
            format,
            decoder,
            path: path.to_path_buf(),
            rate_hz,
            duration_s,
            interleaved: Vec::new(),
            passed: 0,
            damaged: 0,
            reason: String::new(),
            ended: false,
            warnings: Vec::new(),
        })
    }

    fn end(&mut self) {
        self.ended = true;
        if self.damaged > 0 {
            let (name, damaged, reason) = (self.path.display(), self.damaged, &self.reason);
            self.warnings
                .push(format!("{name} is damaged: {damaged} packets are left out ({reason})"));
        }
    }

    /// A packet that is no audio.
    fn skip(&mut self, failure: &Failure) {
        self.damaged += 1;
        if self.damaged == 1 {
            self.reason = explain(failure);
        }
    }

    /// The next packet as mono samples; `false` at the end.
    fn decode_into(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        let packet = match self.format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(false),
            // Files that were cut off end so.
            Err(Failure::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                let name = self.path.display();
                self.warnings.push(format!("{name} is truncated: it ends inside a packet"));
                return Ok(false);
            }
            Err(Failure::IoError(e)) => return Err(Error::io(&self.path, e)),
            Err(e) => return Err(Error::audio(&self.path, explain(&e))),
        };
        if packet.track_id != self.track {
            return Ok(true);
        }
        let decoded = match self.decoder.decode(&packet) {
            Ok(decoded) => decoded,
            Err(e @ (Failure::DecodeError(_) | Failure::IoError(_))) => {
                self.skip(&e);
                return Ok(true);
            }
            Err(e) => return Err(Error::audio(&self.path, explain(&e))),
        };
        let (rate_hz, channels) = (decoded.spec().rate(), decoded.spec().channels().count());
        if rate_hz != self.rate_hz {
            let reason = format!("its rate changes from {} to {rate_hz} Hz", self.rate_hz);
            return Err(Error::audio(&self.path, reason));
        }
        decoded.copy_to_vec_interleaved(&mut self.interleaved);
        if let Some(bad) = self.interleaved.iter().position(|s| !s.is_finite()) {
            let at = self.passed + (bad / channels.max(1)) as u64;
            let reason = format!("sample {at} is {}", self.interleaved[bad]);
            return Err(Error::audio(&self.path, reason));
        }
        if channels > 0 {
            down_mix_into(&self.interleaved, channels, out);
        }
        Ok(true)
    }
}

impl AudioSource for MediaSource {
    fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        out.clear();
        while !self.ended && out.is_empty() {
            if !self.decode_into(out)? {
                self.end();
            }
        }
        self.passed += out.len() as u64;
        if self.ended && self.passed == 0 && self.damaged > 0 {
            return Err(Error::audio(&self.path, self.reason.clone()));
        }
        Ok(!out.is_empty())
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn duration_s(&self) -> Option<f64> {
        self.duration_s
    }
}

fn explain(failure: &Failure) -> String {
    match failure {
        Failure::Unsupported(_) => format!("{failure}; convert it to WAV"),
        _ => failure.to_string(),
    }
}
