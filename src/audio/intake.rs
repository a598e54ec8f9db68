//! Samples of any rate on their way to the rate of the model.

use super::Resampler;
use crate::error::Result;

/// Brings what a stream is given to the rate of its model. The rate is told with the samples; those at the model's own pass untouched.
#[derive(Debug)]
pub(crate) struct Intake {
    to_hz: u32,
    /// Of the samples before, if they had another rate.
    resampler: Option<Box<Resampler>>,
    resampled: Vec<f32>,
}

impl Intake {
    /// For a model that wants `to_hz`.
    pub fn new(to_hz: u32) -> Self {
        Self { to_hz, resampler: None, resampled: Vec::new() }
    }

    /// What the samples complete, at the model's rate. Where the rate changes, what was inside comes out first.
    ///
    /// # Errors
    /// [`Error::Samples`](crate::Error::Samples) if the rate is out of range or a sample is not finite; nothing of the call is
    /// accepted then.
    pub fn accept<'a>(&'a mut self, rate_hz: u32, samples: &'a [f32]) -> Result<&'a [f32]> {
        let before = self.resampler.as_ref().map_or(self.to_hz, |r| r.rate_hz());
        self.resampled.clear();
        if rate_hz == before {
            let Some(resampler) = &mut self.resampler else { return Ok(samples) };
            resampler.process_into(samples, &mut self.resampled)?;
            return Ok(&self.resampled);
        }
        let mut new = Box::new(Resampler::new(rate_hz, self.to_hz)?);
        let mut first = Vec::new();
        new.process_into(samples, &mut first)?;
        self.flush();
        self.resampled.append(&mut first);
        self.resampler = (rate_hz != self.to_hz).then_some(new);
        Ok(&self.resampled)
    }

    /// What is still inside, as at the end of a stream or where it breaks off.
    pub fn flush(&mut self) -> &[f32] {
        self.resampled.clear();
        if let Some(resampler) = &mut self.resampler {
            let whole = resampler.finish_into(&mut self.resampled);
            debug_assert!(whole.is_ok(), "chunks have the size that the transform wants");
        }
        &self.resampled
    }

    /// Forgets what is inside.
    pub fn reset(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
    }

    /// Bytes of what was resampled; the transform's own are not counted.
    pub fn num_bytes(&self) -> usize {
        self.resampled.capacity() * size_of::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(rate_hz: u32, seconds: f64) -> Vec<f32> {
        let samples = (f64::from(rate_hz) * seconds) as usize;
        let step = std::f64::consts::TAU * 330.0 / f64::from(rate_hz);
        (0..samples).map(|i| (0.5 * (step * i as f64).sin()) as f32).collect()
    }

    #[test]
    fn the_rate_of_the_model_passes_untouched() {
        let samples = wave(16_000, 0.1);
        let mut intake = Intake::new(16_000);
        assert_eq!(intake.accept(16_000, &samples).unwrap(), samples);
        assert!(intake.flush().is_empty());
    }

    #[test]
    fn another_rate_is_resampled_whatever_the_chunks() {
        let samples = wave(44_100, 0.5);
        let mut resampler = Resampler::new(44_100, 16_000).unwrap();
        let mut wanted = Vec::new();
        resampler.process_into(&samples, &mut wanted).unwrap();
        resampler.finish_into(&mut wanted).unwrap();
        let mut intake = Intake::new(16_000);
        for _ in 0..2 {
            let mut got = Vec::new();
            for chunk in samples.chunks(777) {
                got.extend_from_slice(intake.accept(44_100, chunk).unwrap());
            }
            got.extend_from_slice(intake.flush());
            assert_eq!(got, wanted);
        }
    }

    #[test]
    fn where_the_rate_changes_nothing_is_lost() {
        let mut intake = Intake::new(16_000);
        let mut samples = 0;
        for rate_hz in [48_000, 16_000, 8_000, 44_100] {
            samples += intake.accept(rate_hz, &wave(rate_hz, 0.5)).unwrap().len();
        }
        samples += intake.flush().len();
        assert_eq!(samples, 4 * 8_000);
    }

    #[test]
    fn a_rate_out_of_range_is_refused_and_nothing_changes() {
        let mut intake = Intake::new(16_000);
        let taken = intake.accept(48_000, &wave(48_000, 0.5)).unwrap().len();
        assert!(intake.accept(7_999, &[0.0]).is_err());
        assert!(intake.accept(44_100, &[f32::NAN]).is_err());
        assert_eq!(taken + intake.flush().len(), 8_000);
    }
}
