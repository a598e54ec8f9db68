//! WebAssembly's vectors of 128 bits: both factors widened to 16 bits, whose products are added in pairs.

use std::arch::wasm32::{
    i16x8_load_extend_i8x8, i32x4_add, i32x4_dot_i16x8, i32x4_shuffle, i32x4_splat, v128_load,
    v128_load64_splat, v128_store,
};
use std::mem::MaybeUninit;

use super::super::LANES;
use super::{GROUP, Int8Tile, ZERO};

/// Sums in a register, once the pairs are added.
const REGISTER: usize = 4;
/// Inputs that are widened at once, so that a row takes no more than 2 kB.
const BLOCK: usize = 1024;

/// Two rows share what was widened of the weights; more would want more registers than browsers have on x86-64.
pub(in crate::nn::kernels) fn tile(tile: &Int8Tile<'_>, sums: &mut [i32]) {
    tile.check(sums);
    sums[..tile.rows * tile.width].fill(0);
    let mut row = 0;
    while row < tile.rows {
        row += match tile.rows - row {
            1 => run::<1, 4>(tile, row, sums),
            _ => run::<2, 2>(tile, row, sums),
        };
    }
}

/// Gives the number of rows.
#[expect(unsafe_code, reason = "checked entry to the vector code")]
fn run<const ROWS: usize, const REGISTERS: usize>(
    tile: &Int8Tile<'_>,
    row: usize,
    sums: &mut [i32],
) -> usize {
    assert!(row + ROWS <= tile.rows && LANES.is_multiple_of(REGISTERS * REGISTER));
    let mut widened = [[MaybeUninit::<i16>::uninit(); BLOCK]; ROWS];
    for first in (0..tile.inputs).step_by(BLOCK) {
        let inputs = BLOCK.min(tile.inputs - first);
        for (r, widened) in widened.iter_mut().enumerate() {
            let x = &tile.x[(row + r) * tile.inputs + first..][..inputs];
            for (to, from) in widened.iter_mut().zip(x) {
                to.write(i16::from(*from) - i16::from(ZERO));
            }
        }
        for offset in (0..tile.width).step_by(REGISTERS * REGISTER) {
            // SAFETY: `check` has proved that the panel and the sums have the tile's size; `first + inputs` is within its inputs,
            // ROWS rows from `row` on within its rows, and `offset + REGISTERS * REGISTER` within its width, a multiple of LANES.
            unsafe {
                products::<ROWS, REGISTERS>(
                    &widened,
                    inputs,
                    tile.panel.as_ptr().add(first * tile.width + offset * GROUP),
                    tile.width,
                    sums.as_mut_ptr().add(row * tile.width + offset),
                );
            }
        }
    }
    ROWS
}

/// # Safety
/// The first `inputs` of each row of `x` are written; `weights` are `inputs / GROUP` rows of `REGISTERS * REGISTER` groups, `sums` ROWS rows of as many sums, both with rows `width`
/// apart; `inputs` is a multiple of GROUP up to BLOCK.
#[expect(unsafe_code, reason = "vector loads and stores through pointers")]
#[expect(clippy::needless_range_loop, reason = "two arrays advance together")]
unsafe fn products<const ROWS: usize, const REGISTERS: usize>(
    x: &[[MaybeUninit<i16>; BLOCK]; ROWS],
    inputs: usize,
    weights: *const i8,
    width: usize,
    sums: *mut i32,
) {
    // Of four outputs the first holds the first two, the second the others, each as two sums of every other pair of inputs.
    let mut acc = [[[i32x4_splat(0); 2]; REGISTERS]; ROWS];
    // SAFETY: the caller's promise covers every offset below.
    unsafe {
        for k in 0..inputs / GROUP {
            let values: [_; ROWS] =
                std::array::from_fn(|r| v128_load64_splat(x[r].as_ptr().add(k * GROUP).cast()));
            let weights = weights.add(k * width * GROUP);
            for g in 0..REGISTERS {
                for half in 0..2 {
                    let at = (g * REGISTER + half * REGISTER / 2) * GROUP;
                    let w = i16x8_load_extend_i8x8(weights.add(at));
                    for r in 0..ROWS {
                        let pairs = i32x4_dot_i16x8(values[r], w);
                        acc[r][g][half] = i32x4_add(acc[r][g][half], pairs);
                    }
                }
            }
        }
        for r in 0..ROWS {
            for g in 0..REGISTERS {
                let [first, second] = acc[r][g];
                let even = i32x4_shuffle::<0, 2, 4, 6>(first, second);
                let odd = i32x4_shuffle::<1, 3, 5, 7>(first, second);
                let to = sums.add(r * width + g * REGISTER).cast();
                v128_store(to, i32x4_add(v128_load(to), i32x4_add(even, odd)));
            }
        }
    }
}
