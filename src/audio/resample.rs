//! From the source's sample rate to the model's.

use rubato::{FftFixedInOut, Resampler as _};

use super::SAMPLE_RATES_HZ;
use crate::error::{Error, Result};

/// Audio that the transform takes at once; its anti-alias filter is as long.
const CHUNK_MS: usize = 20;

/// Streaming resampler (FFT overlap-add with a Blackman-Harris windowed sinc).
///
/// Input is gathered into chunks of fixed size, so the output does not depend on how it is split
/// into calls. The filter's delay is removed: output `i` stands at time `i / to`. Equal rates are
/// passed through untouched.
pub struct Resampler {
    from_hz: u32,
    to_hz: u32,
    /// `None` if the rates are equal.
    fft: Option<FftFixedInOut<f32>>,
    pending: Vec<f32>,
    converted: Vec<f32>,
    /// Leading outputs still to be dropped.
    delay: usize,
    accepted: u64,
    emitted: u64,
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resampler")
            .field("from_hz", &self.from_hz)
            .field("to_hz", &self.to_hz)
            .field("accepted", &self.accepted)
            .field("emitted", &self.emitted)
            .finish_non_exhaustive()
    }
}

impl Resampler {
    /// At the start of a stream. Rates without a common divisor of about 50 Hz or more need
    /// longer chunks than usual, up to two seconds.
    ///
    /// # Errors
    /// [`Error::Samples`] if a rate is not in 8..=192 kHz.
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self> {
        check_rate(from_hz)?;
        check_rate(to_hz)?;
        let fft = if from_hz == to_hz {
            None
        } else {
            let (from, to) = (from_hz as usize, to_hz as usize);
            let divisor = greatest_common_divisor(from, to);
            let mut units = (from * CHUNK_MS / 1000).div_ceil(from / divisor);
            // The filter is centred on a whole sample of both rates only if both sizes are even.
            if !(units * from / divisor).is_multiple_of(2)
                || !(units * to / divisor).is_multiple_of(2)
            {
                units += 1;
            }
            let fft = FftFixedInOut::new(from, to, units * from / divisor, 1)
                .map_err(|e| Error::Samples { reason: format!("{from_hz} to {to_hz} Hz: {e}") })?;
            Some(fft)
        };
        let (chunk_in, chunk_out) =
            fft.as_ref().map_or((0, 0), |f| (f.input_frames_next(), f.output_frames_next()));
        let mut resampler = Self {
            from_hz,
            to_hz,
            fft,
            pending: Vec::with_capacity(chunk_in),
            converted: vec![0.0; chunk_out],
            delay: 0,
            accepted: 0,
            emitted: 0,
        };
        resampler.reset();
        Ok(resampler)
    }

    /// Rate of what it accepts.
    pub(crate) fn rate_hz(&self) -> u32 {
        self.from_hz
    }

    /// Longest time that an input sample waits before it can be heard in the output.
    #[doc(hidden)]
    pub fn delay_ms(&self) -> f32 {
        let Some(fft) = &self.fft else { return 0.0 };
        let chunk = fft.input_frames_next() as f32 / self.from_hz as f32;
        let filter = fft.output_delay() as f32 / self.to_hz as f32;
        (chunk + filter) * 1000.0
    }

    /// Back to the start of a stream.
    pub fn reset(&mut self) {
        if let Some(fft) = &mut self.fft {
            fft.reset();
            self.delay = fft.output_delay();
        }
        self.pending.clear();
        self.accepted = 0;
        self.emitted = 0;
    }

    /// Accepts samples and appends what they complete.
    ///
    /// # Errors
    /// [`Error::Samples`] at the first sample that is not finite; nothing is accepted then.
    pub fn process_into(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<()> {
        if let Some(bad) = samples.iter().position(|s| !s.is_finite()) {
            let at = self.accepted + bad as u64;
            let reason = format!("sample {at} of the stream is {}", samples[bad]);
            return Err(Error::Samples { reason });
        }
        self.accepted += samples.len() as u64;
        let Some(fft) = &self.fft else {
            out.extend_from_slice(samples);
            return Ok(());
        };
        let chunk = fft.input_frames_next();
        let mut rest = samples;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(chunk - self.pending.len()));
            self.pending.extend_from_slice(now);
            rest = later;
            if self.pending.len() == chunk {
                self.convert_into(out)?;
            }
        }
        Ok(())
    }

    /// Ends the stream: appends what is still inside, so that n samples have become
    /// `round(n * to / from)`, and goes back to the start.
    ///
    /// # Errors
    /// [`Error::Samples`] if the transform fails, which it has no cause to.
    pub fn finish_into(&mut self, out: &mut Vec<f32>) -> Result<()> {
        if let Some(fft) = &self.fft {
            let chunk = fft.input_frames_next();
            let (from, to) = (u128::from(self.from_hz), u128::from(self.to_hz));
            let total = ((u128::from(self.accepted) * to + from / 2) / from) as u64;
            while self.emitted < total {
                self.pending.resize(chunk, 0.0);
                self.convert_into(out)?;
            }
            let excess = (self.emitted - total) as usize;
            out.truncate(out.len() - excess);
        }
        self.reset();
        Ok(())
    }

    /// Converts one full chunk.
    fn convert_into(&mut self, out: &mut Vec<f32>) -> Result<()> {
        let Some(fft) = &mut self.fft else { return Ok(()) };
        fft.process_into_buffer(&[&self.pending], &mut [&mut self.converted], None)
            .map_err(|e| Error::Samples { reason: e.to_string() })?;
        self.pending.clear();
        let dropped = self.delay.min(self.converted.len());
        self.delay -= dropped;
        self.emitted += (self.converted.len() - dropped) as u64;
        out.extend_from_slice(&self.converted[dropped..]);
        Ok(())
    }
}

/// Refuses a rate that nothing is resampled from or to.
fn check_rate(rate_hz: u32) -> Result<()> {
    if SAMPLE_RATES_HZ.contains(&rate_hz) {
        return Ok(());
    }
    Err(Error::Samples { reason: format!("{rate_hz} Hz is not in 8000..=192000") })
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f64, rate: u32, n: usize) -> Vec<f32> {
        let step = std::f64::consts::TAU * hz / f64::from(rate);
        (0..n).map(|i| (0.5 * (step * i as f64).sin()) as f32).collect()
    }

    fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut out = Vec::new();
        resampler.process_into(samples, &mut out).unwrap();
        resampler.finish_into(&mut out).unwrap();
        out
    }

    #[test]
    fn a_sine_stays_where_it_was() {
        for from in [8_000, 8_001, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000]
        {
            let n = from as usize;
            let got = resample(&sine(440.0, from, n), from, 16_000);
            assert_eq!(got.len(), 16_000, "{from} Hz");
            let expected = sine(440.0, 16_000, 16_000);
            for i in 800..15_200 {
                let (g, e) = (got[i], expected[i]);
                assert!((g - e).abs() < 1e-3, "{from} Hz, sample {i}: got {g}, expected {e}");
            }
        }
    }

    #[test]
    fn what_the_new_rate_cannot_hold_is_removed() {
        let got = resample(&sine(10_000.0, 48_000, 48_000), 48_000, 16_000);
        assert!(got[800..15_200].iter().all(|s| s.abs() < 1e-3));
    }

    #[test]
    fn lengths_follow_the_ratio() {
        for from in [8_000, 8_001, 11_025, 16_000, 44_100, 48_000] {
            for n in [0, 1, 2, 3, 159, 441, 12_345] {
                let expected = (n as f64 * 16_000.0 / f64::from(from)).round() as usize;
                let got = resample(&vec![0.1; n], from, 16_000).len();
                assert!(got.abs_diff(expected) <= 1, "{n} at {from} Hz: got {got}");
            }
        }
    }

    #[test]
    fn rates_and_samples_out_of_range_are_refused() {
        assert!(Resampler::new(7_999, 16_000).is_err());
        assert!(Resampler::new(0, 16_000).is_err());
        assert!(Resampler::new(48_000, 200_000).is_err());
        let mut resampler = Resampler::new(48_000, 16_000).unwrap();
        let mut out = Vec::new();
        assert!(resampler.process_into(&[0.0, f32::NAN], &mut out).is_err());
    }

    #[test]
    fn a_used_resampler_equals_a_new_one() {
        let samples = sine(300.0, 44_100, 20_000);
        let expected = resample(&samples, 44_100, 16_000);
        let mut resampler = Resampler::new(44_100, 16_000).unwrap();
        for round in 0..3 {
            let mut out = Vec::new();
            resampler.process_into(&samples, &mut out).unwrap();
            if round == 0 {
                resampler.reset();
                continue;
            }
            resampler.finish_into(&mut out).unwrap();
            assert_eq!(out, expected);
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]

        #[test]
        fn output_does_not_depend_on_chunking(
            from in proptest::sample::select(vec![8_000_u32, 11_025, 16_000, 44_100, 48_000]),
            mut cuts in proptest::collection::vec(0_usize..9_000, 0..12),
        ) {
            let samples = sine(700.0, from, 9_000);
            let whole = resample(&samples, from, 16_000);
            cuts.push(9_000);
            cuts.sort_unstable();
            let mut resampler = Resampler::new(from, 16_000).unwrap();
            let mut out = Vec::new();
            let mut start = 0;
            for cut in cuts {
                resampler.process_into(&samples[start..cut], &mut out).unwrap();
                start = cut;
            }
            resampler.finish_into(&mut out).unwrap();
            proptest::prop_assert_eq!(whole, out);
        }
    }
}
