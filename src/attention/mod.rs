//! Attention over the limited window of encoder frames that a block may see
//! (equation 4 and section 2.5 of Jaitly et al., 2016).

mod mix;
mod score;
mod window;

pub use score::Score;
pub use window::Window;

use crate::nn::kernels::kernels;
use crate::nn::{Linear, Rows};

/// Keys and values of the latest encoder frames, computed once a frame.
#[derive(Debug, Clone, Default)]
pub struct KeyValues {
    first: usize,
    end: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl KeyValues {
    /// Frames of the stream so far, kept or not.
    pub fn num_frames(&self) -> usize {
        self.end
    }

    /// Forgets the frames before `frame`.
    pub fn discard_before(&mut self, frame: usize) {
        let frame = frame.clamp(self.first, self.end);
        if self.end > self.first {
            let dim = self.keys.len() / (self.end - self.first);
            self.keys.drain(..(frame - self.first) * dim);
            self.values.drain(..(frame - self.first) * dim);
        }
        self.first = frame;
    }

    /// Back to the start of a stream.
    pub fn reset(&mut self) {
        self.first = 0;
        self.end = 0;
        self.keys.clear();
        self.values.clear();
    }

    /// Bytes held.
    pub fn num_bytes(&self) -> usize {
        (self.keys.capacity() + self.values.capacity()) * size_of::<f32>()
    }
}

/// Multi-head attention.
#[derive(Debug)]
pub struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    score: Score,
    num_heads: usize,
}

/// Buffers of one caller, kept between steps.
#[derive(Debug, Clone, Default)]
pub struct AttentionScratch {
    queries: Vec<f32>,
    energies: Vec<f32>,
}

impl Attention {
    /// From the three projections, all to the same width.
    ///
    /// # Panics
    /// If the widths differ or `num_heads` does not divide them.
    pub fn new(query: Linear, key: Linear, value: Linear, score: Score, num_heads: usize) -> Self {
        let dim = query.outputs();
        assert!(key.outputs() == dim && value.outputs() == dim && dim.is_multiple_of(num_heads));
        Self { query, key, value, score, num_heads }
    }

    /// Width of a context, all heads together.
    pub fn dim(&self) -> usize {
        self.query.outputs()
    }

    /// Number of weights and biases.
    pub fn num_parameters(&self) -> usize {
        self.query.num_parameters()
            + self.key.num_parameters()
            + self.value.num_parameters()
            + self.score.num_parameters()
    }

    /// Computes keys and values of encoder frames `[n, encoder dim]` and appends them.
    ///
    /// # Panics
    /// If `frames` is not a whole number of frames.
    pub fn project_into(&self, frames: &[f32], memory: &mut KeyValues) {
        let inputs = self.key.inputs();
        assert!(frames.len().is_multiple_of(inputs), "frames of {inputs} values are needed");
        let count = frames.len() / inputs;
        for (layer, rows) in [(&self.key, &mut memory.keys), (&self.value, &mut memory.values)] {
            let start = rows.len();
            rows.resize(start + count * layer.outputs(), 0.0);
            layer.forward_into(count, frames, &mut rows[start..]);
        }
        memory.end += count;
    }

    /// Contexts `[batch, dim]` of `block` for the states `s`.
    ///
    /// # Panics
    /// If the block sees no frame, or one that was discarded, or a slice is too short.
    #[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename them")]
    pub fn attend_into(
        &self,
        batch: usize,
        s: Rows<'_>,
        memory: &KeyValues,
        window: Window,
        block: usize,
        scratch: &mut AttentionScratch,
        contexts: &mut [f32],
    ) {
        let dim = self.dim();
        let head_dim = dim / self.num_heads;
        let visible = window.visible(block, memory.num_frames());
        assert!(!visible.is_empty(), "block {block} sees no frame");
        assert!(visible.start >= memory.first, "frame {} was discarded", visible.start);
        let rows = (visible.start - memory.first) * dim..(visible.end - memory.first) * dim;
        let (keys, values) = (&memory.keys[rows.clone()], &memory.values[rows]);

        scratch.queries.resize(batch * dim, 0.0);
        scratch.energies.resize(visible.len(), 0.0);
        self.query.forward_rows_into(batch, s, &mut scratch.queries);
        for (query, context) in
            scratch.queries.chunks_exact(dim).zip(contexts.chunks_exact_mut(dim)).take(batch)
        {
            for head in 0..self.num_heads {
                let slice = head * head_dim..(head + 1) * head_dim;
                for ((frame, key), energy) in
                    visible.clone().zip(keys.chunks_exact(dim)).zip(scratch.energies.iter_mut())
                {
                    let offset = window.offset(block, frame);
                    *energy =
                        self.score.energy(head, offset, &query[slice.clone()], &key[slice.clone()]);
                }
                kernels().softmax(&mut scratch.energies);
                let values = values.chunks_exact(dim).map(|row| &row[slice.clone()]);
                mix::soft(&scratch.energies, values, &mut context[slice.clone()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(dim: usize) -> Linear {
        let weight: Vec<f32> =
            (0..dim * dim).map(|i| if i / dim == i % dim { 1.0 } else { 0.0 }).collect();
        Linear::new(&weight, vec![0.0; dim], dim)
    }

    fn attention(position_bias: Vec<f32>) -> Attention {
        let score = Score::scaled_dot(position_bias, 1, 2);
        Attention::new(identity(2), identity(2), identity(2), score, 1)
    }

    // Query (2, 0); keys (0, 1) and (1, 0); energies 0 and 2 / sqrt 2, weights 1 / (1 + e^1.4142)
    // = 0.19557 and 0.80443; the context is the mean of the keys under these weights.
    #[test]
    fn contexts_equal_the_hand_computed_ones() {
        let attention = attention(vec![0.0; 4]);
        let mut memory = KeyValues::default();
        attention.project_into(&[9.0, 9.0, 0.0, 1.0, 1.0, 0.0], &mut memory);
        memory.discard_before(1);
        let window = Window { block_frames: 1, look_back_frames: 1, look_ahead_frames: 0 };
        let mut context = [0.0; 2];
        let s = Rows { data: &[2.0, 0.0], stride: 2 };
        let mut scratch = AttentionScratch::default();
        attention.attend_into(1, s, &memory, window, 2, &mut scratch, &mut context);
        assert!((context[0] - 0.80443).abs() < 1e-5 && (context[1] - 0.19557).abs() < 1e-5);
    }

    // With 4 positions the block's end stands at index 3, so the last frame is index 2.
    #[test]
    fn the_position_bias_is_indexed_from_the_end_of_the_block() {
        let attention = attention(vec![0.0, 0.0, 50.0, 0.0]);
        let mut memory = KeyValues::default();
        attention.project_into(&[0.0, 1.0, 1.0, 0.0, 0.5, 0.5], &mut memory);
        let window = Window { block_frames: 3, look_back_frames: 0, look_ahead_frames: 0 };
        let mut context = [0.0; 2];
        let s = Rows { data: &[0.0, 0.0], stride: 2 };
        let mut scratch = AttentionScratch::default();
        attention.attend_into(1, s, &memory, window, 0, &mut scratch, &mut context);
        assert!(context.iter().all(|c| (c - 0.5).abs() < 1e-6));
    }
}
