//! The inner loops, one file per instruction set, chosen once at run time.
//!
//! Weights come packed in panels of up to [`PANEL`] outputs, input-major, so that one pass over
//! a panel feeds a tile of `rows x outputs` sums held in registers. Each sum starts from what `y`
//! holds and takes the inputs in ascending order, so the bits of a row do not depend on the rows
//! computed beside it. `AArch64` runs the portable file, which the compiler turns into NEON, with products of 8 bits by hand;
//! WebAssembly has both kinds of products by hand where it is compiled with its vectors (`-C target-feature=+simd128`), with the bits of the portable file.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod elementwise;
pub(super) mod int8;
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;

use std::sync::OnceLock;

/// Outputs are padded to a multiple of this.
pub const LANES: usize = 16;
/// Outputs in a full panel.
pub const PANEL: usize = 4 * LANES;
/// No tile has more rows.
pub(super) const MAX_TILE_ROWS: usize = 8;

/// Weights `[inputs, width]` of one panel.
#[derive(Debug, Clone, Copy)]
pub(in crate::nn) enum Panel<'a> {
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

/// Inputs of one tile: `rows` rows of `x`, `x_stride` apart, times one panel `[inputs, width]`.
pub(in crate::nn) struct Tile<'a> {
    pub x: &'a [f32],
    pub x_stride: usize,
    pub rows: usize,
    pub panel: Panel<'a>,
    /// A multiple of [`LANES`] up to [`PANEL`].
    pub width: usize,
    pub y_stride: usize,
}

impl Tile<'_> {
    fn inputs(&self) -> usize {
        self.panel.len() / self.width
    }

    /// # Panics
    /// If a tile would reach outside its slices; the vector kernels rely on it.
    fn check(&self, y: &[f32]) {
        let inputs = self.inputs();
        assert!(self.rows >= 1 && self.width >= LANES && inputs * self.width == self.panel.len());
        let last = |stride: usize| (self.rows - 1).saturating_mul(stride);
        assert!(self.x.len() >= last(self.x_stride).saturating_add(inputs));
        assert!(y.len() >= last(self.y_stride).saturating_add(self.width));
    }
}

type LayerNormFn = fn(&[f32], &[f32], &[f32], f32, &mut [f32]);

/// The functions of one instruction set.
#[derive(Clone, Copy)]
pub struct Kernels {
    name: &'static str,
    /// Rows of a tile for panels of 1, 2, 3, 4 times [`LANES`] outputs.
    pub(in crate::nn) tile_rows: [usize; 4],
    half: bool,
    pub(in crate::nn) tile: fn(&Tile<'_>, &mut [f32]),
    dot: fn(&[f32], &[f32]) -> f32,
    dot_bytes: fn(&[i8], &[i8]) -> i32,
    add_scaled: fn(f32, &[f32], &mut [f32]),
    lstm_cell: fn(&[f32], &mut [f32], &mut [f32]),
    softmax: fn(&mut [f32]),
    log_softmax: fn(&mut [f32]),
    layer_norm: LayerNormFn,
    pub(in crate::nn) int8_tile: int8::TileFn,
    /// What multiplies larger tiles of 8 bits.
    pub(in crate::nn) amx: Option<int8::Amx>,
    pub(in crate::nn) quantize: fn(&[f32], &mut [u8]) -> f32,
    pub(in crate::nn) add_scaled_sums: fn(&[i32], f32, &[f32], &mut [f32]),
}

impl std::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Kernels").field(&self.name).finish()
    }
}

/// The fastest kernels this machine can run.
pub fn kernels() -> &'static Kernels {
    static BEST: OnceLock<Kernels> = OnceLock::new();
    BEST.get_or_init(|| {
        Kernels::available().into_iter().next_back().unwrap_or_else(Kernels::portable)
    })
}

impl Kernels {
    /// Plain Rust, the reference for the others.
    pub fn portable() -> Self {
        portable::table()
    }

    /// All that this machine can run, slowest first.
    pub fn available() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let vector = [avx2::table(), avx512::table(), avx512::table_with_amx()];
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        let vector = [Some(simd128::table())];
        #[cfg(not(any(
            target_arch = "x86_64",
            all(target_arch = "wasm32", target_feature = "simd128")
        )))]
        let vector: [Option<Self>; 0] = [];
        std::iter::once(Self::portable()).chain(vector.into_iter().flatten()).collect()
    }

    /// Name of the instruction set.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether weights in half precision cost nothing to widen.
    pub fn widens_half_quickly(&self) -> bool {
        self.half
    }

    /// `sum a b`.
    pub fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        (self.dot)(a, b)
    }

    /// `sum a b`, the same on every machine.
    pub fn dot_bytes(&self, a: &[i8], b: &[i8]) -> i32 {
        (self.dot_bytes)(a, b)
    }

    /// `y += a x`.
    pub fn add_scaled(&self, a: f32, x: &[f32], y: &mut [f32]) {
        (self.add_scaled)(a, x, y);
    }

    /// One LSTM step from gate sums `[4, hidden]` (input, forget, cell, output); `c` and `h`
    /// `[hidden]` are overwritten.
    ///
    /// # Panics
    /// If `gates` or `h` is shorter than `c` demands.
    pub fn lstm_cell(&self, gates: &[f32], c: &mut [f32], h: &mut [f32]) {
        (self.lstm_cell)(gates, c, h);
    }

    /// Softmax in place.
    pub fn softmax(&self, x: &mut [f32]) {
        (self.softmax)(x);
    }

    /// Logarithm of the softmax in place.
    pub fn log_softmax(&self, x: &mut [f32]) {
        (self.log_softmax)(x);
    }

    /// Layer normalisation of one row into `y`.
    pub fn layer_norm(&self, x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) {
        (self.layer_norm)(x, weight, bias, eps, y);
    }
}

#[cfg(test)]
mod tests;
