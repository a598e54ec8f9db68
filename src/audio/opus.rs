//! Ogg Opus files (RFC 7845), decoded in Rust.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use ogg::PacketReader;
use opus_decoder::OpusDecoder;

use super::{AudioSource, down_mix_into};
use crate::error::{Error, Result};

/// Rates that the decoder can give; granule positions count at the last.
const RATES_HZ: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];
const GRANULE_HZ: u32 = 48_000;

/// An Ogg Opus stream, mono or stereo (the mean is taken). A chunk is one packet.
pub struct OpusSource<R: Read + Seek> {
    packets: PacketReader<R>,
    path: PathBuf,
    decoder: OpusDecoder,
    rate_hz: u32,
    channels: usize,
    /// Samples still to be dropped at the start.
    skip: u64,
    /// Samples passed on.
    passed: u64,
    pre_skip: u64,
    pcm: Vec<f32>,
    ended: bool,
}

impl OpusSource<BufReader<File>> {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Audio`] if it is not Ogg Opus.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        Self::from_reader(path, BufReader::new(file))
    }
}

impl<R: Read + Seek> OpusSource<R> {
    /// Reads from anything; `name` stands for it in messages.
    ///
    /// # Errors
    /// As [`open`](OpusSource::open).
    pub fn from_reader(name: impl AsRef<Path>, reader: R) -> Result<Self> {
        let path = name.as_ref().to_path_buf();
        let fail = |reason: String| Error::audio(&path, reason);
        let mut packets = PacketReader::new(reader);
        let head = packets
            .read_packet()
            .map_err(|e| fail(format!("not an Ogg file: {e}")))?
            .ok_or_else(|| fail("an empty Ogg file".into()))?
            .data;
        if head.len() < 19 || !head.starts_with(b"OpusHead") {
            return Err(fail("not Ogg Opus: no OpusHead packet".into()));
        }
        let channels = usize::from(head[9]);
        if head[18] != 0 || !(1..=2).contains(&channels) {
            return Err(fail(format!(
                "{channels} channels; only mono and stereo Opus can be read"
            )));
        }
        let wanted = u32::from_le_bytes([head[12], head[13], head[14], head[15]]);
        let rate_hz = if RATES_HZ.contains(&wanted) { wanted } else { GRANULE_HZ };
        let pre_skip = u64::from(u16::from_le_bytes([head[10], head[11]]));
        let pre_skip = pre_skip * u64::from(rate_hz) / u64::from(GRANULE_HZ);
        packets
            .read_packet()
            .map_err(|e| fail(e.to_string()))?
            .filter(|p| p.data.starts_with(b"OpusTags"))
            .ok_or_else(|| fail("not Ogg Opus: no OpusTags packet".into()))?;
        let decoder = OpusDecoder::new(rate_hz, channels).map_err(|e| fail(e.to_string()))?;
        Ok(Self {
            packets,
            decoder,
            rate_hz,
            channels,
            skip: pre_skip,
            pre_skip,
            passed: 0,
            pcm: Vec::new(),
            ended: false,
            path,
        })
    }
}

impl<R: Read + Seek> AudioSource for OpusSource<R> {
    fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        out.clear();
        while !self.ended && out.is_empty() {
            let packet =
                self.packets.read_packet().map_err(|e| Error::audio(&self.path, e.to_string()))?;
            let Some(packet) = packet else {
                self.ended = true;
                break;
            };
            let most = self.decoder.max_frame_size_per_channel();
            self.pcm.resize(most * self.channels, 0.0);
            let count = self
                .decoder
                .decode_float(&packet.data, &mut self.pcm, false)
                .map_err(|e| Error::audio(&self.path, e.to_string()))?;
            down_mix_into(&self.pcm[..count * self.channels], self.channels, out);
            let skipped = self.skip.min(out.len() as u64);
            out.drain(..skipped as usize);
            self.skip -= skipped;
            if packet.last_in_stream() {
                // The last granule position says how many samples are meant.
                let total = packet.absgp_page() * u64::from(self.rate_hz) / u64::from(GRANULE_HZ);
                let left = total.saturating_sub(self.pre_skip).saturating_sub(self.passed);
                out.truncate(left.min(out.len() as u64) as usize);
                self.ended = true;
            }
            self.passed += out.len() as u64;
        }
        Ok(!out.is_empty())
    }
}
