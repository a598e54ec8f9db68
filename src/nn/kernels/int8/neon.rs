//! NEON, which every `AArch64` machine has.

use std::arch::aarch64::{
    int32x4_t, vaddq_s32, vcombine_s8, vdup_n_s8, vdup_n_s32, vdupq_n_s32, veor_s8, vget_low_s8,
    vld1q_s8, vmull_high_s8, vmull_s8, vpaddlq_s16, vpaddq_s32, vreinterpret_s8_s32, vst1q_s32,
};

use super::super::{LANES, PANEL};
use super::{GROUP, Int8Tile};

/// Sums in a register.
const REGISTER: usize = 4;

pub(in crate::nn::kernels) fn tile(tile: &Int8Tile<'_>, sums: &mut [i32]) {
    match tile.width / LANES {
        1 => run::<4>(tile, sums),
        2 => run::<8>(tile, sums),
        3 => run::<12>(tile, sums),
        _ => run::<{ PANEL / REGISTER }>(tile, sums),
    }
}

#[expect(unsafe_code, reason = "checked entry to the vector code")]
fn run<const REGISTERS: usize>(tile: &Int8Tile<'_>, sums: &mut [i32]) {
    tile.check(sums);
    assert!(tile.width == REGISTERS * REGISTER);
    for row in 0..tile.rows {
        // SAFETY: `check` has proved that the row, the panel and the sums lie inside their slices.
        unsafe { products::<REGISTERS>(tile, row, sums) }
    }
}

/// # Safety
/// Needs a tile of `REGISTERS * REGISTER` outputs that passed its check and has `row`.
#[expect(unsafe_code, reason = "vector loads and stores through pointers")]
#[expect(clippy::needless_range_loop, reason = "the place in memory advances with the array")]
#[target_feature(enable = "neon")]
unsafe fn products<const REGISTERS: usize>(tile: &Int8Tile<'_>, row: usize, sums: &mut [i32]) {
    // SAFETY: the caller's promise covers every offset below.
    unsafe {
        let mut acc: [int32x4_t; REGISTERS] = [vdupq_n_s32(0); REGISTERS];
        let x = tile.x.as_ptr().add(row * tile.inputs);
        for k in 0..tile.inputs / GROUP {
            let bytes = x.add(k * GROUP).cast::<i32>().read_unaligned();
            // Taking away ZERO is flipping the highest bit.
            let x = veor_s8(vreinterpret_s8_s32(vdup_n_s32(bytes)), vdup_n_s8(i8::MIN));
            let both = vcombine_s8(x, x);
            let weights = tile.panel.as_ptr().add(k * REGISTERS * REGISTER * GROUP);
            for g in 0..REGISTERS {
                let w = vld1q_s8(weights.add(g * REGISTER * GROUP));
                let low = vpaddlq_s16(vmull_s8(x, vget_low_s8(w)));
                let high = vpaddlq_s16(vmull_high_s8(both, w));
                acc[g] = vaddq_s32(acc[g], vpaddq_s32(low, high));
            }
        }
        for g in 0..REGISTERS {
            vst1q_s32(sums.as_mut_ptr().add((row * REGISTERS + g) * REGISTER), acc[g]);
        }
    }
}
