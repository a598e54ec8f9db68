//! Layer normalisation (Ba et al., 2016).

use super::kernels::kernels;

/// As in `PyTorch`.
const EPS: f32 = 1e-5;

/// Normalises every row to mean 0 and variance 1, then scales and shifts it.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl LayerNorm {
    /// From `weight` and `bias`, both `[dim]`.
    ///
    /// # Panics
    /// If the lengths differ or are zero.
    pub fn new(weight: Vec<f32>, bias: Vec<f32>) -> Self {
        assert!(!weight.is_empty() && weight.len() == bias.len());
        Self { weight, bias }
    }

    /// Values of a row.
    pub fn dim(&self) -> usize {
        self.weight.len()
    }

    /// Number of weights and biases.
    pub fn num_parameters(&self) -> usize {
        2 * self.weight.len()
    }

    /// `x` `[rows, dim]` to `y` of the same shape.
    pub fn forward_into(&self, x: &[f32], y: &mut [f32]) {
        let dim = self.weight.len();
        for (x, y) in x.chunks_exact(dim).zip(y.chunks_exact_mut(dim)) {
            kernels().layer_norm(x, &self.weight, &self.bias, EPS, y);
        }
    }
}
