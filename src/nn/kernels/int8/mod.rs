//! Products of 8-bit weights and 8-bit activations: one file per instruction set, all with the same bits.
//!
//! Weights have one scale an output, activations one a row, found when the row is used. Sums are whole numbers and so do not
//! depend on the order of addition; the two scales are applied to the finished sum.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
pub(super) mod portable;
#[cfg(target_arch = "x86_64")]
pub(super) mod vnni;

use super::{Kernels, LANES, PANEL};
use crate::nn::matrix::{Int8Matrix, Rows, RowsMut};

/// Inputs that stand side by side for one output.
pub const GROUP: usize = 4;
/// No tile has more rows.
pub const MAX_ROWS: usize = 6;
/// Added to activations, which are stored without sign.
pub const ZERO: u8 = 128;

/// Inputs of one tile: `rows` rows of activations times one panel `[inputs / GROUP, width, GROUP]`.
pub(in crate::nn) struct Int8Tile<'a> {
    /// Rows of `inputs` activations, `ZERO` added.
    pub x: &'a [u8],
    /// A multiple of [`GROUP`].
    pub inputs: usize,
    pub rows: usize,
    pub panel: &'a [i8],
    /// `-ZERO * sum of weights` of each output.
    pub offsets: &'a [i32],
    /// A multiple of [`LANES`] up to [`PANEL`].
    pub width: usize,
}

impl Int8Tile<'_> {
    /// # Panics
    /// If a tile would reach outside its slices; the vector kernels rely on it.
    pub fn check(&self, sums: &[i32]) {
        assert!(self.rows >= 1 && self.rows <= MAX_ROWS && self.inputs.is_multiple_of(GROUP));
        assert!(self.width >= LANES && self.width.is_multiple_of(LANES) && self.width <= PANEL);
        assert!(self.x.len() >= self.rows * self.inputs);
        assert!(self.panel.len() == self.inputs * self.width && self.offsets.len() == self.width);
        assert!(sums.len() >= self.rows * self.width);
    }
}

/// Writes `sum_k q[r, k] w[n, k]` to `sums` `[rows, width]`, `q` being the activations without `ZERO`.
pub(super) type TileFn = fn(&Int8Tile<'_>, &mut [i32]);

/// Activations of one product, `[batch, inputs]`, with a scale each. Nothing in them outlives a call, so one serves any number of
/// layers and streams.
#[derive(Debug, Clone, Default)]
pub struct Activations {
    values: Vec<u8>,
    scales: Vec<f32>,
}

/// See [`Kernels::accumulate`].
pub(super) fn accumulate(
    kernels: &Kernels,
    w: &Int8Matrix,
    batch: usize,
    x: Rows<'_>,
    y: RowsMut<'_>,
    activations: &mut Activations,
) {
    let RowsMut { data: y, stride: y_stride } = y;
    let padded = w.inputs().next_multiple_of(GROUP);
    let Activations { values, scales } = activations;
    values.resize(batch * padded, ZERO);
    scales.resize(batch, 0.0);
    for (b, (row, scale)) in values.chunks_exact_mut(padded).zip(scales.iter_mut()).enumerate() {
        let x = &x.data[b * x.stride..][..w.inputs()];
        let (used, rest) = row.split_at_mut(x.len());
        *scale = (kernels.quantize)(x, used);
        rest.fill(ZERO);
    }
    let mut sums = [0; MAX_ROWS * PANEL];
    for panel in w.panels() {
        for row in (0..batch).step_by(MAX_ROWS) {
            let tile = Int8Tile {
                x: &values[row * padded..],
                inputs: padded,
                rows: MAX_ROWS.min(batch - row),
                panel: panel.weights,
                offsets: panel.offsets,
                width: panel.offsets.len(),
            };
            (kernels.int8_tile)(&tile, &mut sums);
            for (r, sums) in sums.chunks_exact(tile.width).take(tile.rows).enumerate() {
                let y = &mut y[(row + r) * y_stride + panel.first..][..panel.scales.len()];
                (kernels.add_scaled_sums)(sums, scales[row + r], panel.scales, y);
            }
        }
    }
}
