//! AVX2: products of magnitudes with weights that take the activation's sign, so that pairs fit into 16 bits.

use std::arch::x86_64::{
    __m256i, _mm256_abs_epi8, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_setzero_si256, _mm256_sign_epi8, _mm256_storeu_si256, _mm256_xor_si256,
};

use super::super::LANES;
use super::{GROUP, Int8Tile};

/// Sums in a register.
const REGISTER: usize = 8;

/// To be called only where AVX2 was detected.
pub(in crate::nn::kernels) fn tile(tile: &Int8Tile<'_>, sums: &mut [i32]) {
    match tile.width / LANES {
        1 => run::<2>(tile, sums),
        2 => run::<4>(tile, sums),
        3 => run::<6>(tile, sums),
        _ => run::<8>(tile, sums),
    }
}

#[expect(unsafe_code, reason = "checked entry to the vector code")]
fn run<const REGISTERS: usize>(tile: &Int8Tile<'_>, sums: &mut [i32]) {
    tile.check(sums);
    assert!(tile.width == REGISTERS * REGISTER);
    for row in 0..tile.rows {
        // SAFETY: this function is in the table only where AVX2 was detected, and `check` has proved that the row, the panel
        // and the sums lie inside their slices.
        unsafe { products::<REGISTERS>(tile, row, sums) }
    }
}

/// # Safety
/// Needs AVX2, and a tile of `REGISTERS * REGISTER` outputs that passed its check and has `row`.
#[expect(unsafe_code, reason = "vector loads and stores through pointers")]
#[expect(clippy::needless_range_loop, reason = "the place in memory advances with the array")]
#[target_feature(enable = "avx2")]
unsafe fn products<const REGISTERS: usize>(tile: &Int8Tile<'_>, row: usize, sums: &mut [i32]) {
    let mut acc = [_mm256_setzero_si256(); REGISTERS];
    let (ones, sign) = (_mm256_set1_epi16(1), _mm256_set1_epi8(i8::MIN));
    // SAFETY: the caller's promise covers every offset below.
    unsafe {
        let x = tile.x.as_ptr().add(row * tile.inputs);
        for k in 0..tile.inputs / GROUP {
            let bytes = x.add(k * GROUP).cast::<i32>().read_unaligned();
            // Taking away ZERO is flipping the highest bit.
            let x = _mm256_xor_si256(_mm256_set1_epi32(bytes), sign);
            let magnitude = _mm256_abs_epi8(x);
            let weights = tile.panel.as_ptr().add(k * REGISTERS * REGISTER * GROUP);
            for g in 0..REGISTERS {
                let w: __m256i = _mm256_loadu_si256(weights.add(g * REGISTER * GROUP).cast());
                // |x|, |w| <= 127: two products stay below 2^15.
                let pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(w, x));
                acc[g] = _mm256_add_epi32(acc[g], _mm256_madd_epi16(pairs, ones));
            }
        }
        for g in 0..REGISTERS {
            let to = sums.as_mut_ptr().add((row * REGISTERS + g) * REGISTER);
            _mm256_storeu_si256(to.cast(), acc[g]);
        }
    }
}
