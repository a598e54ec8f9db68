//! Views of rows and weight matrices packed for the kernels.

use half::f16;

use super::kernels::{LANES, PANEL, kernels};

const CACHE_LINE_BYTES: usize = 64;

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

/// Values that start on a cache line.
#[derive(Debug)]
struct Aligned<T> {
    data: Vec<T>,
    offset: usize,
}

impl<T: Copy + Default> Aligned<T> {
    fn new(len: usize) -> Self {
        let line = CACHE_LINE_BYTES / size_of::<T>();
        let data = vec![T::default(); len + line];
        // The buffer is never reallocated, so the alignment found here lasts.
        let offset = data.as_ptr().align_offset(CACHE_LINE_BYTES).min(line);
        Self { data, offset }
    }

    fn slice(&self, start: usize, len: usize) -> &[T] {
        &self.data[self.offset + start..][..len]
    }

    fn slice_mut(&mut self) -> &mut [T] {
        &mut self.data[self.offset..]
    }
}

#[derive(Debug)]
enum Storage {
    F32(Aligned<f32>),
    /// Bits of IEEE half-precision numbers.
    F16(Aligned<u16>),
}

/// Weights `[inputs, width]` of one panel.
#[derive(Debug, Clone, Copy)]
pub(super) enum Panel<'a> {
    F32(&'a [f32]),
    F16(&'a [u16]),
}

impl Panel<'_> {
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
        }
    }
}

/// A weight matrix `[outputs, inputs]` rearranged into panels of [`PANEL`] outputs, each
/// `[inputs, width]`; the last panel is as narrow as a multiple of [`LANES`] allows.
///
/// Weights that all are half-precision numbers, as in a model stored so, are kept in half
/// precision where the machine widens them quickly. That halves the memory traffic and changes
/// no bit of the result.
#[derive(Debug)]
pub struct PackedMatrix {
    outputs: usize,
    inputs: usize,
    storage: Storage,
}

impl PackedMatrix {
    /// Packs row-major weights `[outputs, inputs]`.
    ///
    /// # Panics
    /// If the length is not `outputs * inputs` or one of them is zero.
    pub fn pack(weights: &[f32], outputs: usize, inputs: usize) -> Self {
        let lossless = |w: &f32| f16::from_f32(*w).to_f32().to_bits() == w.to_bits();
        let half = kernels().widens_half_quickly() && weights.iter().all(lossless);
        Self::pack_as(weights, outputs, inputs, half)
    }

    /// As [`pack`](Self::pack), rounding to half precision or not.
    pub(super) fn pack_as(weights: &[f32], outputs: usize, inputs: usize, half: bool) -> Self {
        assert!(outputs > 0 && inputs > 0 && weights.len() == outputs * inputs);
        let len = outputs.next_multiple_of(LANES) * inputs;
        let storage = if half {
            let mut packed = Aligned::new(len);
            arrange(weights, outputs, inputs, |w| f16::from_f32(w).to_bits(), packed.slice_mut());
            Storage::F16(packed)
        } else {
            let mut packed = Aligned::new(len);
            arrange(weights, outputs, inputs, |w| w, packed.slice_mut());
            Storage::F32(packed)
        };
        Self { outputs, inputs, storage }
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
    pub(super) fn panels(&self) -> impl Iterator<Item = (usize, usize, Panel<'_>)> {
        let padded = self.outputs.next_multiple_of(LANES);
        (0..self.outputs).step_by(PANEL).map(move |first| {
            let len = PANEL.min(padded - first) * self.inputs;
            let start = first * self.inputs;
            let panel = match &self.storage {
                Storage::F32(values) => Panel::F32(values.slice(start, len)),
                Storage::F16(values) => Panel::F16(values.slice(start, len)),
            };
            (first, PANEL.min(self.outputs - first), panel)
        })
    }
}

/// Writes row-major weights in the order of panels.
fn arrange<T>(
    weights: &[f32],
    outputs: usize,
    inputs: usize,
    convert: impl Fn(f32) -> T,
    packed: &mut [T],
) {
    let padded = outputs.next_multiple_of(LANES);
    for (n, row) in weights.chunks_exact(inputs).enumerate() {
        let first = n / PANEL * PANEL;
        let width = PANEL.min(padded - first);
        for (k, w) in row.iter().enumerate() {
            packed[first * inputs + k * width + (n - first)] = convert(*w);
        }
    }
}
