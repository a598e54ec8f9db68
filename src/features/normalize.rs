//! Mean and variance normalisation with the statistics of the training data.

use crate::error::{Error, Result};

/// `(x - mean[m]) * inv_std[m]` for every mel bin `m`.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalizer {
    mean: Vec<f32>,
    inv_std: Vec<f32>,
}

impl Normalizer {
    /// Statistics of `mean.len()` bins.
    ///
    /// # Errors
    /// [`Error::Config`] if the lengths differ or a value is not finite.
    pub fn new(mean: &[f32], inv_std: &[f32]) -> Result<Self> {
        if mean.len() != inv_std.len() {
            let reason = format!("{} means but {} deviations", mean.len(), inv_std.len());
            return Err(Error::config("normalize", reason));
        }
        if !mean.iter().chain(inv_std).all(|v| v.is_finite()) {
            return Err(Error::config("normalize", "a value is not finite"));
        }
        Ok(Self { mean: mean.to_vec(), inv_std: inv_std.to_vec() })
    }

    /// Statistics that change nothing.
    pub fn identity(num_mel_bins: usize) -> Self {
        Self { mean: vec![0.0; num_mel_bins], inv_std: vec![1.0; num_mel_bins] }
    }

    /// Number of bins.
    pub fn num_bins(&self) -> usize {
        self.mean.len()
    }

    /// Normalises one frame `[num_bins]` in place.
    pub fn apply(&self, frame: &mut [f32]) {
        for ((x, mean), inv_std) in frame.iter_mut().zip(&self.mean).zip(&self.inv_std) {
            *x = (*x - mean) * inv_std;
        }
    }
}
