//! Views of rows and weight matrices packed for the kernels.

use half::f16;

use super::kernels::int8::{GROUP, ZERO};
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
    /// To be widened to `f32` and multiplied by the scale of their output, padded.
    Bytes(Aligned<i8>, Vec<f32>),
    I8(Int8Matrix),
}

/// Weights `[inputs, width]` of one panel.
#[derive(Debug, Clone, Copy)]
pub(super) enum Panel<'a> {
    F32(&'a [f32]),
    F16(&'a [u16]),
    /// Values and the scales of the outputs.
    Bytes(&'a [i8], &'a [f32]),
}

impl Panel<'_> {
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::Bytes(values, _) => values.len(),
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
            arrange(
                weights,
                outputs,
                inputs,
                |_, w| f16::from_f32(w).to_bits(),
                packed.slice_mut(),
            );
            Storage::F16(packed)
        } else {
            let mut packed = Aligned::new(len);
            arrange(weights, outputs, inputs, |_, w| w, packed.slice_mut());
            Storage::F32(packed)
        };
        Self { outputs, inputs, storage }
    }

    /// Packs 8-bit weights as [`pack_int8`](Self::pack_int8) takes them for products in `f32`, with the bits that widened weights
    /// give. Where the machine widens them quickly that is done when they are used, which saves most of the memory traffic.
    ///
    /// # Panics
    /// If the lengths do not fit or are zero.
    pub fn pack_widened(values: &[i8], scales: &[f32], inputs: usize) -> Self {
        let outputs = scales.len();
        assert!(outputs > 0 && inputs > 0 && values.len() == outputs * inputs);
        let len = outputs.next_multiple_of(LANES) * inputs;
        let storage = if kernels().widens_half_quickly() {
            let mut packed = Aligned::new(len);
            arrange(values, outputs, inputs, |_, w| w, packed.slice_mut());
            let mut scales = scales.to_vec();
            scales.resize(outputs.next_multiple_of(LANES), 0.0);
            Storage::Bytes(packed, scales)
        } else {
            let mut packed = Aligned::new(len);
            let widen = |n: usize, w: i8| f32::from(w) * scales[n];
            arrange(values, outputs, inputs, widen, packed.slice_mut());
            Storage::F32(packed)
        };
        Self { outputs, inputs, storage }
    }

    /// Packs 8-bit weights `[outputs, inputs]` from -127 to 127; weight `[n, k]` is
    /// `scales[n] * values[n, k]`.
    ///
    /// # Panics
    /// If the lengths do not fit or are zero, or there are more than 2^16 inputs.
    pub fn pack_int8(values: &[i8], scales: Vec<f32>, inputs: usize) -> Self {
        let outputs = scales.len();
        Self { outputs, inputs, storage: Storage::I8(Int8Matrix::pack(values, scales, inputs)) }
    }

    /// The matrix, if its weights are 8-bit numbers.
    pub(super) fn int8(&self) -> Option<&Int8Matrix> {
        match &self.storage {
            Storage::I8(matrix) => Some(matrix),
            _ => None,
        }
    }

    /// Whether it is multiplied in 8 bits.
    pub fn is_int8(&self) -> bool {
        matches!(self.storage, Storage::I8(_))
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
    ///
    /// # Panics
    /// If the weights are 8-bit numbers.
    pub(super) fn panels(&self) -> impl Iterator<Item = (usize, usize, Panel<'_>)> {
        assert!(self.int8().is_none(), "8-bit weights have panels of their own");
        let padded = self.outputs.next_multiple_of(LANES);
        (0..self.outputs).step_by(PANEL).map(move |first| {
            let len = PANEL.min(padded - first) * self.inputs;
            let start = first * self.inputs;
            let panel = match &self.storage {
                Storage::F32(values) => Panel::F32(values.slice(start, len)),
                Storage::F16(values) => Panel::F16(values.slice(start, len)),
                Storage::Bytes(values, scales) => {
                    let width = PANEL.min(padded - first);
                    Panel::Bytes(values.slice(start, len), &scales[first..first + width])
                }
                Storage::I8(_) => unreachable!("asserted above"),
            };
            (first, PANEL.min(self.outputs - first), panel)
        })
    }
}

/// 8-bit weights in panels `[inputs / GROUP, width, GROUP]`, inputs and outputs padded by zeros.
#[derive(Debug)]
pub(super) struct Int8Matrix {
    inputs: usize,
    weights: Aligned<i8>,
    scales: Vec<f32>,
    /// `-ZERO * sum of weights` of each output, padded.
    offsets: Vec<i32>,
}

/// Some outputs of an [`Int8Matrix`].
pub(super) struct Int8Panel<'a> {
    /// First output.
    pub first: usize,
    pub weights: &'a [i8],
    /// One for each output.
    pub scales: &'a [f32],
    /// Of the padded width.
    pub offsets: &'a [i32],
}

impl Int8Matrix {
    fn pack(values: &[i8], scales: Vec<f32>, inputs: usize) -> Self {
        let outputs = scales.len();
        assert!(outputs > 0 && inputs > 0 && values.len() == outputs * inputs);
        // Sums of 2^16 products stay within 32 bits.
        assert!(inputs <= 1 << 16, "too many inputs");
        let (padded, groups) = (outputs.next_multiple_of(LANES), inputs.div_ceil(GROUP));
        let mut weights = Aligned::new(padded * groups * GROUP);
        let mut offsets = vec![0; padded];
        let (packed, _) = weights.slice_mut().as_chunks_mut::<GROUP>();
        for (n, row) in values.chunks_exact(inputs).enumerate() {
            let first = n / PANEL * PANEL;
            let width = PANEL.min(padded - first);
            let place = packed[first * groups + (n - first)..].iter_mut().step_by(width);
            let (whole, rest) = row.as_chunks::<GROUP>();
            let mut last = [0; GROUP];
            last[..rest.len()].copy_from_slice(rest);
            place.zip(whole.iter().chain([&last])).take(groups).for_each(|(to, from)| *to = *from);
            offsets[n] = -i32::from(ZERO) * row.iter().map(|w| i32::from(*w)).sum::<i32>();
        }
        Self { inputs, weights, scales, offsets }
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub fn panels(&self) -> impl Iterator<Item = Int8Panel<'_>> {
        let inputs = self.inputs.next_multiple_of(GROUP);
        (0..self.scales.len()).step_by(PANEL).map(move |first| {
            let end = (first + PANEL).min(self.offsets.len());
            Int8Panel {
                first,
                weights: self.weights.slice(first * inputs, (end - first) * inputs),
                scales: &self.scales[first..end.min(self.scales.len())],
                offsets: &self.offsets[first..end],
            }
        })
    }
}

/// Rounds row-major weights `[outputs, inputs]` to 8 bits; the second result is the scale of each output.
pub fn quantize(weights: &[f32], inputs: usize) -> (Vec<i8>, Vec<f32>) {
    let mut values = Vec::with_capacity(weights.len());
    let scales = weights.chunks_exact(inputs).map(|row| {
        let max = row.iter().fold(0.0_f32, |max, w| max.max(w.abs()));
        let scale = if max > 0.0 { max / 127.0 } else { 1.0 };
        values.extend(row.iter().map(|w| (w / scale).round_ties_even() as i8));
        scale
    });
    let scales = scales.collect();
    (values, scales)
}

/// Writes row-major weights in the order of panels. `convert` is told the output.
fn arrange<W: Copy, T>(
    weights: &[W],
    outputs: usize,
    inputs: usize,
    convert: impl Fn(usize, W) -> T,
    packed: &mut [T],
) {
    let padded = outputs.next_multiple_of(LANES);
    for (n, row) in weights.chunks_exact(inputs).enumerate() {
        let first = n / PANEL * PANEL;
        let width = PANEL.min(padded - first);
        for (k, w) in row.iter().enumerate() {
            packed[first * inputs + k * width + (n - first)] = convert(n, *w);
        }
    }
}
