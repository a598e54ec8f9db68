//! Samples without a header, as recorders write them into a pipe.

use std::io::Read;
use std::path::Path;

use super::pcm::{Layout, Pcm};
use super::{AudioSource, SAMPLE_RATES_HZ};
use crate::error::{Error, Result};

/// More channels than any sound card has.
const MAX_CHANNELS: usize = 64;

/// How a sample is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawFormat {
    /// Signed 16 bits, little-endian.
    S16Le,
    /// 32-bit float in [-1, 1], little-endian.
    F32Le,
}

impl RawFormat {
    fn bytes(self) -> usize {
        match self {
            Self::S16Le => 2,
            Self::F32Le => 4,
        }
    }

    /// Appends whole samples.
    fn decode_into(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            Self::S16Le => {
                let (samples, _) = bytes.as_chunks();
                out.extend(samples.iter().map(|b| f32::from(i16::from_le_bytes(*b)) / 32_768.0));
            }
            Self::F32Le => {
                let (samples, _) = bytes.as_chunks();
                out.extend(samples.iter().map(|b| f32::from_le_bytes(*b)));
            }
        }
    }
}

/// PCM from a reader. A chunk is what one read brings, so a live pipe is passed on without waiting.
#[derive(Debug)]
pub struct RawSource<R> {
    pcm: Pcm<R>,
    format: RawFormat,
    rate_hz: u32,
}

impl<R: Read> RawSource<R> {
    /// Reads from anything; `name` stands for it in messages.
    ///
    /// # Errors
    /// [`Error::Audio`] if rate or channels are out of range.
    pub fn new(
        name: impl AsRef<Path>,
        reader: R,
        format: RawFormat,
        rate_hz: u32,
        channels: usize,
    ) -> Result<Self> {
        let path = name.as_ref();
        if !SAMPLE_RATES_HZ.contains(&rate_hz) {
            return Err(Error::audio(path, format!("{rate_hz} Hz is not in 8000..=192000")));
        }
        if !(1..=MAX_CHANNELS).contains(&channels) {
            let reason = format!("{channels} channels are not in 1..={MAX_CHANNELS}");
            return Err(Error::audio(path, reason));
        }
        let layout = Layout {
            group_bytes: format.bytes() * channels,
            channels,
            data_bytes: None,
            hint: "; is it f32le at all?",
        };
        Ok(Self { pcm: Pcm::new(path, reader, layout), format, rate_hz })
    }
}

impl<R: Read> AudioSource for RawSource<R> {
    fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        let format = self.format;
        self.pcm.next_chunk(out, |bytes, samples| {
            format.decode_into(bytes, samples);
            Ok(())
        })
    }

    fn warnings(&self) -> &[String] {
        self.pcm.warnings()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(out.len()).min(self.0.len());
            out[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn samples_do_not_depend_on_how_bytes_arrive() {
        let values: Vec<i16> = (0..999).map(|i| i * 31 - 15_000).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        for step in [1, 3, 7, 5000] {
            let reader = Trickle(&bytes, step);
            let mut source = RawSource::new("x", reader, RawFormat::S16Le, 16_000, 3).unwrap();
            let samples = source.read_all().unwrap();
            assert_eq!(samples.len(), 333);
            let first = values[..3].iter().map(|v| f32::from(*v) / 32_768.0).sum::<f32>() / 3.0;
            assert!((samples[0] - first).abs() < 1e-6);
            assert!(source.warnings().is_empty());
        }
    }

    #[test]
    fn floats_are_taken_as_they_are_and_must_be_numbers() {
        let bytes: Vec<u8> = [0.5_f32, -0.25].iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut good = RawSource::new("x", &bytes[..], RawFormat::F32Le, 48_000, 1).unwrap();
        assert_eq!(good.read_all().unwrap(), [0.5, -0.25]);
        let bytes = f32::NAN.to_le_bytes();
        let mut bad = RawSource::new("x", &bytes[..], RawFormat::F32Le, 48_000, 1).unwrap();
        assert!(bad.read_all().unwrap_err().to_string().contains("sample 0 is NaN"));
    }

    #[test]
    fn a_cut_sample_is_a_warning_and_odd_settings_are_errors() {
        let mut cut = RawSource::new("x", &[0_u8; 7][..], RawFormat::S16Le, 8_000, 2).unwrap();
        assert_eq!(cut.read_all().unwrap(), [0.0]);
        assert!(cut.warnings()[0].contains("3 bytes"));
        assert!(RawSource::new("x", &[][..], RawFormat::S16Le, 10, 1).is_err());
        assert!(RawSource::new("x", &[][..], RawFormat::S16Le, 8_000, 0).is_err());
    }
}
