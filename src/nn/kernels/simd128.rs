//! WebAssembly's vectors of 128 bits. There is no detection at run time: a module with them runs where they are, or not at all.

use std::arch::wasm32::{f32x4_add, f32x4_mul, f32x4_splat, v128, v128_load, v128_store};

use super::{Kernels, LANES, Panel, Tile, int8, portable};

/// Values in a register.
const WIDTH: usize = 4;

/// What is plain in `elementwise` the compiler turns into vectors by itself: the whole module is compiled for them.
pub(super) fn table() -> Kernels {
    Kernels {
        name: "simd128",
        tile_rows: [4; 4],
        tile,
        int8_tile: int8::simd128::tile,
        amx: None,
        ..portable::table()
    }
}

/// As the portable file does it, a product and then a sum, so with its bits. Weights in half precision are not kept where widening
/// them is slow, and those left are its own.
fn tile(tile: &Tile<'_>, y: &mut [f32]) {
    let Panel::F32(weights) = tile.panel else { return portable::tile(tile, y) };
    match tile.rows {
        1 => run::<1, 4>(tile, weights, y),
        2 => run::<2, 4>(tile, weights, y),
        3 => run::<3, 2>(tile, weights, y),
        4 => run::<4, 2>(tile, weights, y),
        _ => unreachable!("tiles have at most the rows of the table"),
    }
}

#[expect(unsafe_code, reason = "checked entry to the vector code")]
fn run<const ROWS: usize, const REGISTERS: usize>(tile: &Tile<'_>, weights: &[f32], y: &mut [f32]) {
    tile.check(y);
    assert!(tile.rows == ROWS && LANES.is_multiple_of(REGISTERS * WIDTH));
    assert!(tile.width.is_multiple_of(LANES) && weights.len() == tile.panel.len());
    for offset in (0..tile.width).step_by(REGISTERS * WIDTH) {
        // SAFETY: `check` has proved that ROWS rows of inputs, the panel and ROWS rows of outputs lie inside their slices, and
        // `offset + REGISTERS * WIDTH` stays within the panel's width.
        unsafe { sums::<ROWS, REGISTERS>(tile, weights, offset, y) }
    }
}

/// # Safety
/// Needs a tile of ROWS rows that passed its check, whose panel `weights` is, and `REGISTERS * WIDTH` outputs from `offset` on.
#[expect(unsafe_code, reason = "vector loads and stores through pointers")]
#[expect(clippy::needless_range_loop, reason = "two arrays advance together")]
unsafe fn sums<const ROWS: usize, const REGISTERS: usize>(
    tile: &Tile<'_>,
    weights: &[f32],
    offset: usize,
    y: &mut [f32],
) {
    // SAFETY: the caller's promise covers every offset below.
    unsafe {
        let (x, w, y) = (tile.x.as_ptr(), weights.as_ptr().add(offset), y.as_mut_ptr().add(offset));
        let place =
            |r: usize, g: usize| -> *mut v128 { y.add(r * tile.y_stride + g * WIDTH).cast() };
        let mut acc = [[f32x4_splat(0.0); REGISTERS]; ROWS];
        for r in 0..ROWS {
            for g in 0..REGISTERS {
                acc[r][g] = v128_load(place(r, g));
            }
        }
        for k in 0..tile.inputs() {
            let mut values = [f32x4_splat(0.0); REGISTERS];
            for g in 0..REGISTERS {
                values[g] = v128_load(w.add(k * tile.width + g * WIDTH).cast());
            }
            for r in 0..ROWS {
                let value = f32x4_splat(*x.add(r * tile.x_stride + k));
                for g in 0..REGISTERS {
                    acc[r][g] = f32x4_add(acc[r][g], f32x4_mul(value, values[g]));
                }
            }
        }
        for r in 0..ROWS {
            for g in 0..REGISTERS {
                v128_store(place(r, g), acc[r][g]);
            }
        }
    }
}
