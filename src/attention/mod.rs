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

    /// Appends keys and values `[count, dim]`.
    fn append(&mut self, count: usize, keys: &[f32], values: &[f32]) {
        // A stream holds little else: no more than is needed.
        self.keys.reserve_exact(keys.len());
        self.values.reserve_exact(values.len());
        self.keys.extend_from_slice(keys);
        self.values.extend_from_slice(values);
        self.end += count;
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

/// What a run of rows sees: one block of one stream.
#[derive(Debug, Clone, Copy)]
pub struct BlockView<'a> {
    /// Number of rows.
    pub rows: usize,
    /// Frames of the stream.
    pub memory: &'a KeyValues,
    /// Geometry of its blocks.
    pub window: Window,
    /// The block.
    pub block: usize,
}

/// Keys and values of frames of several streams on their way into [`KeyValues`].
#[derive(Debug, Clone, Default)]
pub struct Projected {
    keys: Vec<f32>,
    values: Vec<f32>,
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
        let mut projected = Projected::default();
        self.project_rows_into(frames, &mut projected);
        let count = frames.len() / self.key.inputs();
        self.append(&projected, 0, count, memory);
    }

    /// Computes keys and values of encoder frames `[n, encoder dim]` of any streams.
    ///
    /// # Panics
    /// If `frames` is not a whole number of frames.
    pub fn project_rows_into(&self, frames: &[f32], projected: &mut Projected) {
        let inputs = self.key.inputs();
        assert!(frames.len().is_multiple_of(inputs), "frames of {inputs} values are needed");
        let count = frames.len() / inputs;
        for (layer, rows) in
            [(&self.key, &mut projected.keys), (&self.value, &mut projected.values)]
        {
            rows.resize(count * layer.outputs(), 0.0);
            layer.forward_into(count, frames, rows);
        }
    }

    /// Appends `count` frames from row `first` on to the memory of their stream.
    ///
    /// # Panics
    /// If there are fewer rows.
    pub fn append(
        &self,
        projected: &Projected,
        first: usize,
        count: usize,
        memory: &mut KeyValues,
    ) {
        let rows = first * self.dim()..(first + count) * self.dim();
        memory.append(count, &projected.keys[rows.clone()], &projected.values[rows]);
    }

    /// Contexts `[batch, dim]` for the states `s`, whose rows see what `views` says, one run of rows after the other.
    ///
    /// # Panics
    /// If a block sees no frame, or one that was discarded, or a slice is too short.
    pub fn attend_into<'m>(
        &self,
        batch: usize,
        s: Rows<'_>,
        views: impl Iterator<Item = BlockView<'m>>,
        scratch: &mut AttentionScratch,
        contexts: &mut [f32],
    ) {
        let dim = self.dim();
        let AttentionScratch { queries, energies } = scratch;
        queries.resize(batch * dim, 0.0);
        self.query.forward_rows_into(batch, s, queries);
        let mut rows = queries.chunks_exact(dim).zip(contexts.chunks_exact_mut(dim)).take(batch);
        for BlockView { rows: count, memory, window, block } in views {
            let visible = window.visible(block, memory.num_frames());
            assert!(!visible.is_empty(), "block {block} sees no frame");
            assert!(visible.start >= memory.first, "frame {} was discarded", visible.start);
            let seen = (visible.start - memory.first) * dim..(visible.end - memory.first) * dim;
            let (keys, values) = (&memory.keys[seen.clone()], &memory.values[seen]);
            energies.resize(visible.len(), 0.0);
            for (query, context) in rows.by_ref().take(count) {
                self.mix_into(query, keys, values, window, block, visible.start, energies, context);
            }
        }
        assert!(rows.next().is_none(), "a view for every row");
    }

    /// The context of one query over the frames from `first` on.
    #[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename them")]
    fn mix_into(
        &self,
        query: &[f32],
        keys: &[f32],
        values: &[f32],
        window: Window,
        block: usize,
        first: usize,
        energies: &mut [f32],
        context: &mut [f32],
    ) {
        let dim = self.dim();
        let head_dim = dim / self.num_heads;
        for head in 0..self.num_heads {
            let slice = head * head_dim..(head + 1) * head_dim;
            for ((frame, key), energy) in
                (first..).zip(keys.chunks_exact(dim)).zip(energies.iter_mut())
            {
                let offset = window.offset(block, frame);
                *energy =
                    self.score.energy(head, offset, &query[slice.clone()], &key[slice.clone()]);
            }
            kernels().softmax(energies);
            let values = values.chunks_exact(dim).map(|row| &row[slice.clone()]);
            mix::soft(energies, values, &mut context[slice.clone()]);
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
        let view = BlockView { rows: 1, memory: &memory, window, block: 2 };
        attention.attend_into(1, s, std::iter::once(view), &mut scratch, &mut context);
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
        let view = BlockView { rows: 1, memory: &memory, window, block: 0 };
        attention.attend_into(1, s, std::iter::once(view), &mut scratch, &mut context);
        assert!(context.iter().all(|c| (c - 0.5).abs() < 1e-6));
    }
}
