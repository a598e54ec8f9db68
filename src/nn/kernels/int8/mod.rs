//! Products of 8-bit weights and 8-bit activations: one file per instruction set, all with the same bits.
//!
//! Weights have one scale an output, activations one a row, found when the row is used. Sums are whole numbers and so do not
//! depend on the order of addition; the two scales are applied to the finished sum.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
pub(super) mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(super) mod simd128;
#[cfg(target_arch = "x86_64")]
pub(super) mod vnni;

use super::{LANES, PANEL};

#[cfg(target_arch = "x86_64")]
pub(in crate::nn) use amx::{Amx, Registers};
#[cfg(not(target_arch = "x86_64"))]
pub(in crate::nn) use portable::{Amx, Registers};

/// Inputs that stand side by side for one output.
pub const GROUP: usize = 4;
/// Rows of a tile that [`TileFn`] takes at once.
pub const TILE_ROWS: usize = 6;
/// No tile has more rows.
pub const MAX_ROWS: usize = 16;
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
pub(in crate::nn) type TileFn = fn(&Int8Tile<'_>, &mut [i32]);
