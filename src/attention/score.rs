//! How a query and a key are compared.

use crate::nn::kernels::kernels;

/// The energy `e_j` of a frame.
#[derive(Debug)]
pub enum Score {
    /// `q.k / sqrt(head size)` plus a learnt bias for the frame's place (Vaswani et al., 2017).
    ScaledDot {
        /// `[heads, positions]`.
        position_bias: Vec<f32>,
        /// Entries of the bias a head.
        positions: usize,
        /// `1 / sqrt(head size)`.
        scale: f32,
    },
}

impl Score {
    /// Scaled dot product with `position_bias` `[heads, positions]`.
    ///
    /// # Panics
    /// If the bias is empty or not a multiple of `num_heads`.
    pub fn scaled_dot(position_bias: Vec<f32>, num_heads: usize, head_dim: usize) -> Self {
        let positions = position_bias.len() / num_heads;
        assert!(positions > 0 && positions * num_heads == position_bias.len());
        Self::ScaledDot { position_bias, positions, scale: 1.0 / (head_dim as f32).sqrt() }
    }

    /// Number of weights.
    pub fn num_parameters(&self) -> usize {
        match self {
            Self::ScaledDot { position_bias, .. } => position_bias.len(),
        }
    }

    /// Energy of a frame that stands `offset` frames after the end of the block (negative inside
    /// and before it). Three quarters of the biases belong to negative offsets.
    pub(super) fn energy(&self, head: usize, offset: isize, query: &[f32], key: &[f32]) -> f32 {
        match self {
            Self::ScaledDot { position_bias, positions, scale } => {
                let index = offset.saturating_add_unsigned(positions * 3 / 4);
                let index = index.clamp(0, *positions as isize - 1) as usize;
                kernels().dot(query, key) * scale + position_bias[head * positions + index]
            }
        }
    }
}
