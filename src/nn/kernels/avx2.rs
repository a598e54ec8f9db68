//! AVX2 with fused multiply-add and half-precision conversion.

use std::arch::x86_64::{
    __m256, _mm_loadl_epi64, _mm_loadu_si128, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps,
    _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_storeu_ps,
};

use super::{Kernels, LANES, Panel, Tile, int8};

/// Values in a register.
const WIDTH: usize = 8;

/// The table, if the machine has the instructions.
pub(super) fn table() -> Option<Kernels> {
    let detected = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c");
    if !detected {
        return None;
    }
    Some(Kernels {
        name: "avx2",
        tile_rows: [6; 4],
        half: true,
        tile,
        dot,
        dot_bytes,
        add_scaled,
        lstm_cell,
        softmax,
        log_softmax,
        layer_norm,
        int8_tile: int8::avx2::tile,
        amx: None,
        quantize,
        add_scaled_sums,
    })
}

super::elementwise::elementwise!("avx2,fma,f16c");

/// One row keeps the whole panel in registers; more rows take it [`LANES`] outputs at a time.
fn tile(tile: &Tile<'_>, y: &mut [f32]) {
    match (tile.rows, tile.width / LANES) {
        (1, 1) => run::<1, 2>(tile, y),
        (1, 2) => run::<1, 4>(tile, y),
        (1, 3) => run::<1, 6>(tile, y),
        (1, 4) => run::<1, 8>(tile, y),
        (2, _) => run::<2, 2>(tile, y),
        (3, _) => run::<3, 2>(tile, y),
        (4, _) => run::<4, 2>(tile, y),
        (5, _) => run::<5, 2>(tile, y),
        (6, _) => run::<6, 2>(tile, y),
        _ => unreachable!("tiles have at most the rows of the table"),
    }
}

fn run<const ROWS: usize, const REGISTERS: usize>(tile: &Tile<'_>, y: &mut [f32]) {
    match tile.panel {
        Panel::F32(w) => run_as::<f32, ROWS, REGISTERS>(tile, w, &[], y),
        Panel::F16(w) => run_as::<u16, ROWS, REGISTERS>(tile, w, &[], y),
        Panel::Bytes(w, scales) => run_as::<i8, ROWS, REGISTERS>(tile, w, scales, y),
    }
}

#[expect(unsafe_code, reason = "checked entry to the vector code")]
fn run_as<W: Weight, const ROWS: usize, const REGISTERS: usize>(
    tile: &Tile<'_>,
    weights: &[W],
    scales: &[f32],
    y: &mut [f32],
) {
    tile.check(y);
    assert!(!W::SCALED || scales.len() == tile.width);
    assert!(tile.rows == ROWS && tile.width.is_multiple_of(REGISTERS * WIDTH));
    assert_eq!(weights.len(), tile.panel.len());
    for offset in (0..tile.width).step_by(REGISTERS * WIDTH) {
        // SAFETY: the table exists only where avx2, fma and f16c were detected, `check` has proved
        // that ROWS rows of inputs, the panel and ROWS rows of outputs lie inside their slices,
        // `offset + REGISTERS * WIDTH` stays within the panel's width, and where weights are scaled
        // there are as many scales.
        unsafe {
            sums::<W, ROWS, REGISTERS>(
                tile.x.as_ptr(),
                tile.x_stride,
                tile.inputs(),
                weights.as_ptr().add(offset),
                tile.width,
                if W::SCALED { scales.as_ptr().add(offset) } else { scales.as_ptr() },
                y.as_mut_ptr().add(offset),
                tile.y_stride,
            );
        }
    }
}

/// A stored weight.
trait Weight: Copy {
    /// Whether each output has a scale.
    const SCALED: bool = false;

    /// [`WIDTH`] weights as `f32`, without their scales.
    ///
    /// # Safety
    /// Needs avx2 and f16c and that many values at `p`.
    #[expect(unsafe_code, reason = "vector load through a pointer")]
    unsafe fn load(p: *const Self) -> __m256;
}

/// An 8-bit integer.
impl Weight for i8 {
    const SCALED: bool = true;

    #[expect(unsafe_code, reason = "vector load through a pointer")]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(p: *const Self) -> __m256 {
        // SAFETY: the caller's promise; the 64 bits are [`WIDTH`] values.
        let bytes = unsafe { _mm_loadl_epi64(p.cast()) };
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
    }
}

impl Weight for f32 {
    #[expect(unsafe_code, reason = "vector load through a pointer")]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(p: *const Self) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_ps(p) }
    }
}

/// Bits of a half-precision number.
impl Weight for u16 {
    #[expect(unsafe_code, reason = "vector load through a pointer")]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(p: *const Self) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(p.cast())) }
    }
}

/// # Safety
/// Needs avx2, fma and f16c; `x` holds ROWS rows of `inputs`, `w` `inputs` rows and `y` ROWS rows of
/// `REGISTERS * WIDTH` values at the given strides; if weights are scaled, `scales` as many.
#[expect(unsafe_code, reason = "vector loads and stores through pointers")]
#[expect(clippy::needless_range_loop, reason = "two arrays advance together")]
#[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename them")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn sums<W: Weight, const ROWS: usize, const REGISTERS: usize>(
    x: *const f32,
    x_stride: usize,
    inputs: usize,
    w: *const W,
    w_stride: usize,
    scales: *const f32,
    y: *mut f32,
    y_stride: usize,
) {
    let mut acc = [[_mm256_setzero_ps(); REGISTERS]; ROWS];
    // SAFETY: the caller's promise covers every offset below.
    unsafe {
        for r in 0..ROWS {
            for g in 0..REGISTERS {
                acc[r][g] = _mm256_loadu_ps(y.add(r * y_stride + g * WIDTH));
            }
        }
        for k in 0..inputs {
            let mut weights = [_mm256_setzero_ps(); REGISTERS];
            for g in 0..REGISTERS {
                weights[g] = W::load(w.add(k * w_stride + g * WIDTH));
                if W::SCALED {
                    let scale = _mm256_loadu_ps(scales.add(g * WIDTH));
                    weights[g] = _mm256_mul_ps(weights[g], scale);
                }
            }
            for r in 0..ROWS {
                let value = _mm256_set1_ps(*x.add(r * x_stride + k));
                for g in 0..REGISTERS {
                    acc[r][g] = _mm256_fmadd_ps(value, weights[g], acc[r][g]);
                }
            }
        }
        for r in 0..ROWS {
            for g in 0..REGISTERS {
                _mm256_storeu_ps(y.add(r * y_stride + g * WIDTH), acc[r][g]);
            }
        }
    }
}
