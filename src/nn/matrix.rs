//! Views of rows and weight matrices packed for the kernels.

use super::kernels::{LANES, PANEL};

/// Rows of equal length, `stride` values from the start of one to the start of the next.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// First row onward.
    pub data: &'a [f32],
    /// Distance between rows.
    pub stride: usize,
}

/// Mutable [`Rows`].
#[derive(Debug)]
pub struct RowsMut<'a> {
    /// First row onward.
    pub data: &'a mut [f32],
    /// Distance between rows.
    pub stride: usize,
}

/// A weight matrix `[outputs, inputs]` rearranged into panels of [`PANEL`] outputs, each
/// `[inputs, width]`; the last panel is as narrow as a multiple of [`LANES`] allows.
#[derive(Debug)]
pub struct PackedMatrix {
    outputs: usize,
    inputs: usize,
    /// Starts on a cache line at `offset`.
    data: Vec<f32>,
    offset: usize,
}

impl PackedMatrix {
    /// Packs row-major weights `[outputs, inputs]`.
    ///
    /// # Panics
    /// If the length is not `outputs * inputs` or one of them is zero.
    pub fn pack(weights: &[f32], outputs: usize, inputs: usize) -> Self {
        assert!(outputs > 0 && inputs > 0 && weights.len() == outputs * inputs);
        let padded = outputs.next_multiple_of(LANES);
        let mut data = vec![0.0; padded * inputs + LANES];
        // The buffer is never reallocated, so the alignment found here lasts.
        let offset = data.as_ptr().align_offset(LANES * size_of::<f32>()).min(LANES);
        let packed = &mut data[offset..];
        for (n, row) in weights.chunks_exact(inputs).enumerate() {
            let first = n / PANEL * PANEL;
            let width = PANEL.min(padded - first);
            for (k, w) in row.iter().enumerate() {
                packed[first * inputs + k * width + (n - first)] = *w;
            }
        }
        Self { outputs, inputs, data, offset }
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// First output, number of outputs, and weights of every panel.
    pub(super) fn panels(&self) -> impl Iterator<Item = (usize, usize, &[f32])> {
        let padded = self.outputs.next_multiple_of(LANES);
        (0..self.outputs).step_by(PANEL).map(move |first| {
            let width = PANEL.min(padded - first);
            let start = self.offset + first * self.inputs;
            let panel = &self.data[start..start + width * self.inputs];
            (first, PANEL.min(self.outputs - first), panel)
        })
    }
}
