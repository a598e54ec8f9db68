//! Encoder layers in which a frame looks at itself and at those before it (Vaswani et al., 2017, with a learnt bias by distance).

use crate::config::{EncoderConfig, SelfAttentionConfig};
use crate::error::Result;
use crate::nn::Activations;
use crate::nn::kernels::kernels;
use crate::nn::{LayerNorm, Linear};
use crate::weights::Weights;

/// One residual layer.
#[derive(Debug)]
pub(super) struct SelfAttention {
    norm: LayerNorm,
    /// To queries, keys and values, `[3, heads, n]`.
    qkv: Linear,
    out: Linear,
    /// `[heads, left_frames + 1]`, by how many frames ago.
    position_bias: Vec<f32>,
    num_heads: usize,
    left_frames: usize,
    dim: usize,
}

/// Buffers of one caller.
#[derive(Debug, Default)]
pub(super) struct SelfAttentionScratch {
    normed: Vec<f32>,
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    weights: Vec<f32>,
    activations: Activations,
}

impl SelfAttention {
    /// All layers of an encoder.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) naming the first tensor that does not fit.
    pub fn load(config: &EncoderConfig, weights: &Weights<'_>) -> Result<Vec<Self>> {
        let Some(SelfAttentionConfig { num_layers, num_heads, left_frames }) =
            config.self_attention
        else {
            return Ok(Vec::new());
        };
        let dim = config.dim;
        let layer = |l: usize| {
            let name = |leaf: &str| format!("encoder.self_attention.{l}.{leaf}");
            Ok(Self {
                norm: weights.layer_norm(&name("norm"), dim)?,
                qkv: weights.linear(&name("qkv"), 3 * dim, dim)?,
                out: weights.linear(&name("out"), dim, dim)?,
                position_bias: weights
                    .tensor(&name("position_bias"), &[num_heads, left_frames + 1])?,
                num_heads,
                left_frames,
                dim,
            })
        };
        (0..num_layers).map(layer).collect()
    }

    pub fn num_parameters(&self) -> usize {
        self.norm.num_parameters()
            + self.qkv.num_parameters()
            + self.out.num_parameters()
            + self.position_bias.len()
    }

    /// The next frames `x` `[n, dim]` of a stream, replaced by the layer's; `history` are keys and values `[frames, 2, dim]` of
    /// those before.
    pub fn forward(&self, x: &mut [f32], history: &mut Vec<f32>, s: &mut SelfAttentionScratch) {
        let (dim, heads) = (self.dim, self.num_heads);
        let (n, frames) = (dim / heads, x.len() / dim);
        s.normed.resize(x.len(), 0.0);
        self.norm.forward_into(x, &mut s.normed);
        s.qkv.resize(3 * x.len(), 0.0);
        self.qkv.forward_into(frames, &s.normed, &mut s.qkv, &mut s.activations);
        let before = history.len() / (2 * dim);
        for row in s.qkv.chunks_exact(3 * dim) {
            history.extend_from_slice(&row[dim..]);
        }
        s.mixed.clear();
        s.mixed.resize(x.len(), 0.0);
        for (frame, mixed) in s.mixed.chunks_exact_mut(dim).enumerate() {
            let end = before + frame + 1;
            let seen = end.saturating_sub(self.left_frames + 1)..end;
            for head in 0..heads {
                let own = head * n..(head + 1) * n;
                let query = &s.qkv[frame * 3 * dim..][own.clone()];
                let bias = &self.position_bias[head * (self.left_frames + 1)..];
                let kept = |i: usize, part: usize| &history[(2 * i + part) * dim..][own.clone()];
                s.weights.clear();
                s.weights.extend(seen.clone().map(|i| {
                    kernels().dot(query, kept(i, 0)) / (n as f32).sqrt() + bias[end - 1 - i]
                }));
                kernels().softmax(&mut s.weights);
                for (weight, i) in s.weights.iter().zip(seen.clone()) {
                    kernels().add_scaled(*weight, kept(i, 1), &mut mixed[own.clone()]);
                }
            }
        }
        self.out.forward_into(frames, &s.mixed, &mut s.normed, &mut s.activations);
        kernels().add_scaled(1.0, &s.normed, x);
        let old = (history.len() / (2 * dim)).saturating_sub(self.left_frames);
        history.drain(..old * 2 * dim);
    }
}
