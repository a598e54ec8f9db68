//! Weight matrices packed for the kernels.

use aligned_vec::avec;
use half::f16;

use super::int8::{Activations, Int8Matrix};
use super::kernels::{Kernels, LANES, MAX_TILE_ROWS, PANEL, Panel, Tile, kernels};
use super::rows::{Rows, RowsMut};
use super::{Aligned, CACHE_LINE_BYTES};

#[derive(Debug)]
enum Storage {
    F32(Aligned<f32>),
    /// Bits of IEEE half-precision numbers.
    F16(Aligned<u16>),
    /// To be widened to `f32` and multiplied by the scale of their output, padded.
    Bytes(Aligned<i8>, Vec<f32>),
    I8(Int8Matrix),
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
            let mut packed = avec![[CACHE_LINE_BYTES]| 0_u16; len];
            arrange(weights, outputs, inputs, |_, w| f16::from_f32(w).to_bits(), &mut packed);
            Storage::F16(packed)
        } else {
            let mut packed = avec![[CACHE_LINE_BYTES]| 0.0_f32; len];
            arrange(weights, outputs, inputs, |_, w| w, &mut packed);
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
            let mut packed = avec![[CACHE_LINE_BYTES]| 0_i8; len];
            arrange(values, outputs, inputs, |_, w| w, &mut packed);
            let mut scales = scales.to_vec();
            scales.resize(outputs.next_multiple_of(LANES), 0.0);
            Storage::Bytes(packed, scales)
        } else {
            let mut packed = avec![[CACHE_LINE_BYTES]| 0.0_f32; len];
            let widen = |n: usize, w: i8| f32::from(w) * scales[n];
            arrange(values, outputs, inputs, widen, &mut packed);
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

    /// `y[b, n] += sum_k x[b, k] w[n, k]` for the first `batch` rows; `activations` is where rows stand in 8 bits if the weights do.
    ///
    /// # Panics
    /// If a slice is too short for `batch` rows.
    pub fn accumulate(
        &self,
        kernels: &Kernels,
        batch: usize,
        x: Rows<'_>,
        y: RowsMut<'_>,
        activations: &mut Activations,
    ) {
        if let Storage::I8(matrix) = &self.storage {
            return matrix.accumulate(kernels, batch, x, y, activations);
        }
        let RowsMut { data: y, stride: y_stride } = y;
        let mut edge = [0.0; MAX_TILE_ROWS * PANEL];
        for (first, outputs, panel) in self.panels() {
            let width = outputs.next_multiple_of(LANES);
            let tile_rows = kernels.tile_rows[width / LANES - 1];
            let mut row = 0;
            while row < batch {
                let rows = tile_rows.min(batch - row);
                let x_rows = &x.data[row * x.stride..];
                let tile = Tile { x: x_rows, x_stride: x.stride, rows, panel, width, y_stride };
                let y_rows = &mut y[row * y_stride + first..];
                if outputs == width {
                    (kernels.tile)(&tile, y_rows);
                } else {
                    for r in 0..rows {
                        let from = &y_rows[r * y_stride..r * y_stride + outputs];
                        edge[r * width..r * width + outputs].copy_from_slice(from);
                    }
                    (kernels.tile)(&Tile { y_stride: width, ..tile }, &mut edge);
                    for r in 0..rows {
                        let from = &edge[r * width..r * width + outputs];
                        y_rows[r * y_stride..r * y_stride + outputs].copy_from_slice(from);
                    }
                }
                row += rows;
            }
        }
    }

    /// First output, number of outputs, and weights of every panel.
    ///
    /// # Panics
    /// If the weights are 8-bit numbers.
    fn panels(&self) -> impl Iterator<Item = (usize, usize, Panel<'_>)> {
        assert!(!self.is_int8(), "8-bit weights have panels of their own");
        let padded = self.outputs.next_multiple_of(LANES);
        (0..self.outputs).step_by(PANEL).map(move |first| {
            let len = PANEL.min(padded - first) * self.inputs;
            let start = first * self.inputs;
            let panel = match &self.storage {
                Storage::F32(values) => Panel::F32(&values[start..start + len]),
                Storage::F16(values) => Panel::F16(&values[start..start + len]),
                Storage::Bytes(values, scales) => {
                    let width = PANEL.min(padded - first);
                    Panel::Bytes(&values[start..start + len], &scales[first..first + width])
                }
                Storage::I8(_) => unreachable!("asserted above"),
            };
            (first, PANEL.min(self.outputs - first), panel)
        })
    }
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
