//! Bare samples in memory: any of the usual number formats, any number of channels.

use vivavoce::audio::AudioSource;
use vivavoce::{Error, Result};

/// Floats beyond it were not scaled to [-1, 1].
const LOUDEST: f32 = 16.0;
/// As many channels as any sound card has.
const MAX_CHANNELS: usize = 64;
/// Samples that a source hands out at once.
const CHUNK: usize = 16_000;

/// How a sample is stored, in the machine's byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Signed 16 bits.
    I16,
    /// Signed 32 bits.
    I32,
    /// 32-bit float in [-1, 1].
    F32,
    /// 64-bit float in [-1, 1].
    F64,
}

impl Format {
    /// Bytes of a sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Samples in [-1, 1].
    ///
    /// # Errors
    /// [`Error::Samples`] if there is a part of a sample, or a float that is not finite or far outside of [-1, 1].
    pub fn decode(self, bytes: &[u8]) -> Result<Vec<f32>> {
        if !bytes.len().is_multiple_of(self.bytes()) {
            let (have, size) = (bytes.len(), self.bytes());
            return Err(refuse(format!("{have} bytes are not whole samples of {size} bytes")));
        }
        let samples: Vec<f32> = match self {
            Self::I16 => whole(bytes, |b| f32::from(i16::from_ne_bytes(b)) / 32_768.0),
            Self::I32 => whole(bytes, |b| i32::from_ne_bytes(b) as f32 / 2_147_483_648.0),
            Self::F32 => whole(bytes, f32::from_ne_bytes),
            Self::F64 => whole(bytes, |b| f64::from_ne_bytes(b) as f32),
        };
        check(&samples)?;
        Ok(samples)
    }
}

fn refuse(reason: String) -> Error {
    Error::Samples { reason }
}

fn whole<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| value(*bytes)).collect()
}

/// Refuses what is no sound.
///
/// # Errors
/// [`Error::Samples`] if one is not finite or far outside of [-1, 1].
pub fn check(samples: &[f32]) -> Result<()> {
    let Some(at) = samples.iter().position(|s| s.is_nan() || s.abs() > LOUDEST) else {
        return Ok(());
    };
    let value = samples[at];
    let fix = if value.is_finite() {
        "; floats are expected in [-1, 1]: divide 16-bit values by 32768"
    } else {
        ""
    };
    Err(refuse(format!("sample {at} is {value}{fix}")))
}

/// The mean of the channels; `samples` has them by turns.
///
/// # Errors
/// [`Error::Samples`] if the channels are out of range or one of them has more samples.
pub fn down_mix(samples: Vec<f32>, channels: usize) -> Result<Vec<f32>> {
    if !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(refuse(format!("{channels} channels are not in 1..={MAX_CHANNELS}")));
    }
    if !samples.len().is_multiple_of(channels) {
        let have = samples.len();
        return Err(refuse(format!("{have} samples cannot be of {channels} channels")));
    }
    if channels == 1 {
        return Ok(samples);
    }
    Ok(samples.chunks_exact(channels).map(|s| s.iter().sum::<f32>() / channels as f32).collect())
}

/// A source of samples that are all there.
#[derive(Debug)]
pub struct Samples {
    rate_hz: u32,
    all: Vec<f32>,
    taken: usize,
}

impl Samples {
    /// Mono samples in [-1, 1].
    pub fn new(samples: Vec<f32>, rate_hz: u32) -> Self {
        Self { rate_hz, all: samples, taken: 0 }
    }
}

impl AudioSource for Samples {
    fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        let end = self.all.len().min(self.taken + CHUNK);
        out.clear();
        out.extend_from_slice(&self.all[self.taken..end]);
        let more = self.taken < end;
        self.taken = end;
        Ok(more)
    }

    fn duration_s(&self) -> Option<f64> {
        Some(self.all.len() as f64 / f64::from(self.rate_hz))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_brought_to_one() {
        let half = [0.5_f32, -0.25];
        let i16s: Vec<u8> = [16_384_i16, -8192].iter().flat_map(|v| v.to_ne_bytes()).collect();
        let i32s: Vec<u8> =
            [1_073_741_824_i32, -536_870_912].iter().flat_map(|v| v.to_ne_bytes()).collect();
        let f32s: Vec<u8> = half.iter().flat_map(|v| v.to_ne_bytes()).collect();
        let f64s: Vec<u8> = half.iter().flat_map(|v| f64::from(*v).to_ne_bytes()).collect();
        for (format, bytes) in
            [(Format::I16, i16s), (Format::I32, i32s), (Format::F32, f32s), (Format::F64, f64s)]
        {
            assert_eq!(format.decode(&bytes).unwrap(), half, "{format:?}");
            assert!(format.decode(&bytes[1..]).is_err());
        }
    }

    #[test]
    fn what_is_no_sound_is_refused_with_its_place() {
        for (value, what) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (12_034.0, "32768")] {
            let bytes: Vec<u8> = [0.0, value].iter().flat_map(|v: &f32| v.to_ne_bytes()).collect();
            let message = Format::F32.decode(&bytes).unwrap_err().to_string();
            assert!(message.contains("sample 1") && message.contains(what), "{message}");
        }
    }

    #[test]
    fn channels_are_averaged() {
        assert_eq!(down_mix(vec![0.5, -0.5, 1.0, 0.0], 2).unwrap(), [0.0, 0.5]);
        assert!(down_mix(vec![0.0; 3], 2).is_err());
        assert!(down_mix(Vec::new(), 0).is_err());
    }

    #[test]
    fn a_source_gives_all_its_samples_and_ends() {
        let samples: Vec<f32> = (0..40_000).map(|i| i as f32 / 40_000.0).collect();
        let mut source = Samples::new(samples.clone(), 8_000);
        assert_eq!(source.duration_s(), Some(5.0));
        assert_eq!(source.read_all().unwrap(), samples);
        assert!(!source.next_chunk(&mut Vec::new()).unwrap());
    }
}
