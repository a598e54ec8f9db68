//! Matrices of 8-bit weights, and their products with activations that are brought to 8 bits when they are used.

use aligned_vec::avec;

use super::kernels::int8::{Amx, GROUP, Int8Tile, MAX_ROWS, Registers, TILE_ROWS, ZERO};
use super::kernels::{Kernels, LANES, PANEL};
use super::rows::{Rows, RowsMut};
use super::{Aligned, CACHE_LINE_BYTES};

/// Activations of one product, `[batch, inputs]`, with a scale each. Nothing in them outlives a call, so one serves any number of
/// layers and streams.
#[derive(Debug, Clone, Default)]
pub struct Activations {
    values: Vec<u8>,
    scales: Vec<f32>,
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
struct Int8Panel<'a> {
    /// First output.
    pub first: usize,
    pub weights: &'a [i8],
    /// One for each output.
    pub scales: &'a [f32],
    /// Of the padded width.
    pub offsets: &'a [i32],
}

impl Int8Matrix {
    pub fn pack(values: &[i8], scales: Vec<f32>, inputs: usize) -> Self {
        let outputs = scales.len();
        assert!(outputs > 0 && inputs > 0 && values.len() == outputs * inputs);
        // Sums of 2^16 products stay within 32 bits.
        assert!(inputs <= 1 << 16, "too many inputs");
        let (padded, groups) = (outputs.next_multiple_of(LANES), inputs.div_ceil(GROUP));
        let mut weights = avec![[CACHE_LINE_BYTES]| 0_i8; padded * groups * GROUP];
        let mut offsets = vec![0; padded];
        let (packed, _) = weights.as_chunks_mut::<GROUP>();
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

    fn panels(&self) -> impl Iterator<Item = Int8Panel<'_>> {
        let inputs = self.inputs.next_multiple_of(GROUP);
        (0..self.scales.len()).step_by(PANEL).map(move |first| {
            let end = (first + PANEL).min(self.offsets.len());
            Int8Panel {
                first,
                weights: &self.weights[first * inputs..end * inputs],
                scales: &self.scales[first..end.min(self.scales.len())],
                offsets: &self.offsets[first..end],
            }
        })
    }

    /// See [`PackedMatrix::accumulate`](super::PackedMatrix::accumulate).
    pub fn accumulate(
        &self,
        kernels: &Kernels,
        batch: usize,
        x: Rows<'_>,
        y: RowsMut<'_>,
        activations: &mut Activations,
    ) {
        let RowsMut { data: y, stride: y_stride } = y;
        let padded = self.inputs.next_multiple_of(GROUP);
        let Activations { values, scales } = activations;
        let registers = kernels.amx.filter(|_| Amx::suits(batch, padded)).map(|amx| amx.set(batch));
        let most = registers.as_ref().map_or(TILE_ROWS, Registers::rows);
        values.resize(batch.next_multiple_of(most) * padded, ZERO);
        scales.resize(batch, 0.0);
        let used = values.chunks_exact_mut(padded).zip(scales.iter_mut());
        for (b, (row, scale)) in used.enumerate() {
            let x = &x.data[b * x.stride..][..self.inputs];
            let (used, rest) = row.split_at_mut(x.len());
            *scale = (kernels.quantize)(x, used);
            rest.fill(ZERO);
        }
        let mut sums = [0; MAX_ROWS * PANEL];
        for panel in self.panels() {
            for row in (0..batch).step_by(most) {
                let rows = most.min(batch - row);
                // AMX takes whole tiles: the rows beyond the batch are no one's.
                let tile_rows = if registers.is_some() { most } else { rows };
                let tile = Int8Tile {
                    x: &values[row * padded..],
                    inputs: padded,
                    rows: tile_rows,
                    panel: panel.weights,
                    offsets: panel.offsets,
                    width: panel.offsets.len(),
                };
                match &registers {
                    Some(registers) => registers.tile(&tile, &mut sums),
                    None => (kernels.int8_tile)(&tile, &mut sums),
                }
                for (r, sums) in sums.chunks_exact(tile.width).take(rows).enumerate() {
                    let y = &mut y[(row + r) * y_stride + panel.first..][..panel.scales.len()];
                    (kernels.add_scaled_sums)(sums, scales[row + r], panel.scales, y);
                }
            }
        }
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
