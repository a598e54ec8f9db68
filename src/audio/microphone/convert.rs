//! A device's bytes as samples.

use cpal::{FromSample, Sample, SampleFormat, SizedSample};

use crate::audio::down_mix_into;

/// Whether samples of this format can be converted.
pub(super) fn is_known(format: SampleFormat) -> bool {
    matches!(
        format,
        SampleFormat::I8
            | SampleFormat::I16
            | SampleFormat::I32
            | SampleFormat::U8
            | SampleFormat::U16
            | SampleFormat::U32
            | SampleFormat::F32
            | SampleFormat::F64
    )
}

/// Appends the mean of the channels, in [-1, 1]; what is not a number becomes silence.
pub(super) fn to_mono_into(
    bytes: &[u8],
    format: SampleFormat,
    channels: usize,
    out: &mut Vec<f32>,
) {
    let mut all = Vec::with_capacity(bytes.len() / format.sample_size());
    match format {
        SampleFormat::I8 => append(bytes, i8::from_ne_bytes, &mut all),
        SampleFormat::I16 => append(bytes, i16::from_ne_bytes, &mut all),
        SampleFormat::I32 => append(bytes, i32::from_ne_bytes, &mut all),
        SampleFormat::U8 => append(bytes, u8::from_ne_bytes, &mut all),
        SampleFormat::U16 => append(bytes, u16::from_ne_bytes, &mut all),
        SampleFormat::U32 => append(bytes, u32::from_ne_bytes, &mut all),
        SampleFormat::F32 => append(bytes, f32::from_ne_bytes, &mut all),
        SampleFormat::F64 => append(bytes, f64::from_ne_bytes, &mut all),
        _ => {}
    }
    for sample in &mut all {
        if !sample.is_finite() {
            *sample = 0.0;
        }
    }
    down_mix_into(&all, channels, out);
}

fn append<S: SizedSample, const N: usize>(bytes: &[u8], from: fn([u8; N]) -> S, out: &mut Vec<f32>)
where
    f32: FromSample<S>,
{
    let (samples, _) = bytes.as_chunks::<N>();
    out.extend(samples.iter().map(|b| f32::from_sample(from(*b))));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mono(bytes: &[u8], format: SampleFormat, channels: usize) -> Vec<f32> {
        let mut out = Vec::new();
        to_mono_into(bytes, format, channels, &mut out);
        out
    }

    #[test]
    fn every_format_has_full_scale_one() {
        assert_eq!(mono(&i16::MIN.to_ne_bytes(), SampleFormat::I16, 1), [-1.0]);
        assert_eq!(mono(&i32::MIN.to_ne_bytes(), SampleFormat::I32, 1), [-1.0]);
        assert_eq!(mono(&[0x80], SampleFormat::I8, 1), [-1.0]);
        assert_eq!(mono(&[0, 0x80], SampleFormat::U8, 1), [-1.0, 0.0]);
        assert_eq!(mono(&0_u16.to_ne_bytes(), SampleFormat::U16, 1), [-1.0]);
        assert_eq!(mono(&0_u32.to_ne_bytes(), SampleFormat::U32, 1), [-1.0]);
        assert_eq!(mono(&0.5_f32.to_ne_bytes(), SampleFormat::F32, 1), [0.5]);
        assert_eq!(mono(&(-0.5_f64).to_ne_bytes(), SampleFormat::F64, 1), [-0.5]);
        for format in [SampleFormat::I16, SampleFormat::F32, SampleFormat::U8] {
            assert!(is_known(format));
        }
        assert!(!is_known(SampleFormat::DsdU8));
    }

    #[test]
    fn channels_are_mixed_and_what_is_no_number_is_silent() {
        let bytes: Vec<u8> = [0.5_f32, 0.0, f32::NAN, 1.0].map(f32::to_ne_bytes).concat();
        assert_eq!(mono(&bytes, SampleFormat::F32, 2), [0.25, 0.5]);
    }
}
