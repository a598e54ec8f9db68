//! Opus packets (RFC 6716) and the header that describes them (RFC 7845, section 5.1).

use rusty_opus::OpusDecoder;

use crate::audio::down_mix_into;

/// Granule positions count at this rate, and the decoder is right at no other.
pub(in crate::audio) const RATE_HZ: u32 = 48_000;
/// No packet is longer: 120 ms.
const LONGEST: usize = 5760;
/// Lengths of frames are multiples of this: 2.5 ms.
const SHORTEST: usize = 120;
/// Lost audio that is made up from what came before; longer gaps go on in silence.
const CONCEALED: usize = 5 * 960;

/// Decodes the packets of one stream, whose channels are mixed down to their mean.
pub(in crate::audio) struct Packets {
    decoder: OpusDecoder,
    channels: usize,
    /// Samples to be left out at the start.
    pub pre_skip: u64,
    gain: f32,
    /// Samples of the last packet.
    last: usize,
    pcm: Vec<f32>,
}

impl Packets {
    /// The decoder that a header asks for, or why there is none.
    pub fn new(head: &[u8]) -> Result<Self, String> {
        if head.len() < 19 || !head.starts_with(b"OpusHead") {
            return Err("not Opus: no OpusHead packet".into());
        }
        let (channels, family) = (usize::from(head[9]), head[18]);
        if family > 1 || !(1..=2).contains(&channels) {
            return Err(format!(
                "{channels} channels of family {family}: only mono and stereo Opus can be read; convert it to stereo"
            ));
        }
        let decoder = OpusDecoder::new(RATE_HZ as i32, channels).map_err(|e| e.to_string())?;
        let decibels = f32::from(i16::from_le_bytes([head[16], head[17]])) / 256.0;
        Ok(Self {
            decoder,
            channels,
            pre_skip: u64::from(u16::from_le_bytes([head[10], head[11]])),
            gain: 10_f32.powf(decibels / 20.0),
            last: 960,
            pcm: vec![0.0; LONGEST * channels],
        })
    }

    /// Appends what a packet holds.
    pub fn decode_into(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<(), String> {
        if duration(packet).is_none() {
            return Err("a packet that is no Opus".into());
        }
        self.last = self.run(packet, LONGEST, out)?;
        Ok(())
    }

    /// Appends `count` samples in place of packets that are lost.
    pub fn conceal_into(&mut self, count: usize, out: &mut Vec<f32>) {
        let end = out.len() + count;
        let made_up = out.len() + count.min(CONCEALED);
        while out.len() + SHORTEST <= made_up {
            let step = self.last.clamp(SHORTEST, LONGEST).min(made_up - out.len());
            if self.run(&[], step / SHORTEST * SHORTEST, out).is_err() {
                break;
            }
        }
        out.resize(end, 0.0);
    }

    fn run(&mut self, packet: &[u8], most: usize, out: &mut Vec<f32>) -> Result<usize, String> {
        let count = self.decoder.decode(packet, most, &mut self.pcm);
        let count = count.map_err(|e| e.to_string())?.min(LONGEST);
        let start = out.len();
        down_mix_into(&self.pcm[..count * self.channels], self.channels, out);
        // A hostile packet can make more than a number holds.
        for sample in &mut out[start..] {
            *sample = if sample.is_finite() { *sample * self.gain } else { 0.0 };
        }
        Ok(count)
    }
}

/// Samples of a packet as its first bytes tell (RFC 6716, section 3.1); none if it is no packet.
pub(in crate::audio) fn duration(packet: &[u8]) -> Option<usize> {
    let toc = *packet.first()?;
    let config = usize::from(toc >> 3);
    let frame = match config {
        0..12 => [480, 960, 1920, 2880][config % 4],
        12..16 => [480, 960][config % 2],
        _ => [120, 240, 480, 960][config % 4],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => usize::from(packet.get(1)? & 63),
    };
    (1..=LONGEST).contains(&(frame * frames)).then_some(frame * frames)
}
