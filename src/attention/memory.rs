//! What attention keeps of the encoder frames.

use crate::nn::Activations;

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

    /// First frame that is kept.
    pub(super) fn first(&self) -> usize {
        self.first
    }

    /// Keys and values of kept frames, `[end - start, dim]` each.
    pub(super) fn range(&self, start: usize, end: usize) -> (&[f32], &[f32]) {
        let count = self.end - self.first;
        let part = |rows: &'_ [f32]| {
            let dim = rows.len() / count;
            (start - self.first) * dim..(end - self.first) * dim
        };
        (&self.keys[part(&self.keys)], &self.values[part(&self.values)])
    }

    /// Forgets the frames before `frame`.
    pub fn discard_before(&mut self, frame: usize) {
        let frame = frame.clamp(self.first, self.end);
        let count = self.end - self.first;
        for rows in [&mut self.keys, &mut self.values] {
            let dim = rows.len().checked_div(count).unwrap_or(0);
            rows.drain(..(frame - self.first) * dim);
        }
        self.first = frame;
    }

    /// Appends keys and values `[count, dim]`.
    pub(super) fn append(&mut self, count: usize, keys: &[f32], values: &[f32]) {
        for (rows, new) in [(&mut self.keys, keys), (&mut self.values, values)] {
            // A stream holds little else: no more than is needed.
            rows.reserve_exact(new.len());
            rows.extend_from_slice(new);
        }
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

/// Keys and values of frames of several streams on their way into [`KeyValues`].
#[derive(Debug, Clone, Default)]
pub struct Projected {
    pub(super) keys: Vec<f32>,
    pub(super) values: Vec<f32>,
    pub(super) activations: Activations,
}
