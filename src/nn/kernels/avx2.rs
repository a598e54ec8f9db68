//! AVX2 with fused multiply-add.

use std::arch::x86_64::{
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use super::{Kernels, LANES, Tile};

/// Values in a register.
const WIDTH: usize = 8;

/// The table, if the machine has the instructions.
pub(super) fn table() -> Option<Kernels> {
    if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")) {
        return None;
    }
    Some(Kernels {
        name: "avx2",
        tile_rows: [6; 4],
        tile,
        dot,
        add_scaled,
        lstm_cell,
        softmax,
        log_softmax,
        layer_norm,
    })
}

super::elementwise::elementwise!("avx2,fma");

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

#[expect(unsafe_code, reason = "checked entry to the vector code")]
fn run<const ROWS: usize, const REGISTERS: usize>(tile: &Tile<'_>, y: &mut [f32]) {
    tile.check(y);
    assert!(tile.rows == ROWS && tile.width.is_multiple_of(REGISTERS * WIDTH));
    for offset in (0..tile.width).step_by(REGISTERS * WIDTH) {
        // SAFETY: the table exists only where avx2 and fma were detected, `check` has proved that
        // ROWS rows of inputs, the panel and ROWS rows of outputs lie inside their slices, and
        // `offset + REGISTERS * WIDTH` stays within the panel's width.
        unsafe {
            sums::<ROWS, REGISTERS>(
                tile.x.as_ptr(),
                tile.x_stride,
                tile.inputs(),
                tile.panel.as_ptr().add(offset),
                tile.width,
                y.as_mut_ptr().add(offset),
                tile.y_stride,
            );
        }
    }
}

/// # Safety
/// Needs avx2 and fma; `x` holds ROWS rows of `inputs`, `w` `inputs` rows and `y` ROWS rows of
/// `REGISTERS * WIDTH` values at the given strides.
#[expect(unsafe_code, reason = "vector loads and stores through pointers")]
#[expect(clippy::needless_range_loop, reason = "two arrays advance together")]
#[target_feature(enable = "avx2,fma")]
unsafe fn sums<const ROWS: usize, const REGISTERS: usize>(
    x: *const f32,
    x_stride: usize,
    inputs: usize,
    w: *const f32,
    w_stride: usize,
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
                weights[g] = _mm256_loadu_ps(w.add(k * w_stride + g * WIDTH));
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
