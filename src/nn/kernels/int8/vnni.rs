//! AVX-512 VNNI: four products of unsigned activations and signed weights added at once to each of 16 sums.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_storeu_si512,
};

use super::super::LANES;
use super::{GROUP, Int8Tile};

/// Whether the machine has the instructions.
pub(in crate::nn::kernels) fn detected() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
}

/// To be called only where [`detected`] holds.
pub(in crate::nn::kernels) fn tile(tile: &Int8Tile<'_>, sums: &mut [i32]) {
    macro_rules! dispatch {
        ($groups:literal) => {
            match tile.rows {
                1 => run::<1, $groups, 2>(tile, sums),
                2 => run::<2, $groups, 1>(tile, sums),
                3 => run::<3, $groups, 1>(tile, sums),
                4 => run::<4, $groups, 1>(tile, sums),
                5 => run::<5, $groups, 1>(tile, sums),
                _ => run::<6, $groups, 1>(tile, sums),
            }
        };
    }
    match tile.width / LANES {
        1 => dispatch!(1),
        2 => dispatch!(2),
        3 => dispatch!(3),
        _ => dispatch!(4),
    }
}

#[expect(unsafe_code, reason = "checked entry to the vector code")]
fn run<const ROWS: usize, const GROUPS: usize, const CHAINS: usize>(
    tile: &Int8Tile<'_>,
    sums: &mut [i32],
) {
    tile.check(sums);
    assert!(tile.rows == ROWS && tile.width == GROUPS * LANES);
    // SAFETY: this function is in the table only where the instructions were detected, and `check` has proved that ROWS rows
    // of activations, the panel, its offsets and ROWS rows of sums lie inside their slices.
    unsafe { products::<ROWS, GROUPS, CHAINS>(tile, sums) }
}

/// CHAINS independent sums hide the latency where rows are few.
///
/// # Safety
/// Needs the instructions, and a tile of ROWS rows and GROUPS * LANES outputs that passed its check.
#[expect(unsafe_code, reason = "vector loads and stores through pointers")]
#[expect(clippy::needless_range_loop, reason = "two arrays advance together")]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn products<const ROWS: usize, const GROUPS: usize, const CHAINS: usize>(
    tile: &Int8Tile<'_>,
    sums: &mut [i32],
) {
    let (x, w) = (tile.x.as_ptr(), tile.panel.as_ptr());
    let steps = tile.inputs / GROUP;
    let mut acc = [[[_mm512_setzero_si512(); GROUPS]; ROWS]; CHAINS];
    // SAFETY: the caller's promise covers every offset below.
    unsafe {
        let load = |k: usize, g: usize| -> __m512i {
            _mm512_loadu_si512(w.add((k * GROUPS + g) * LANES * GROUP).cast())
        };
        let value = |r: usize, k: usize| -> __m512i {
            _mm512_set1_epi32(x.add(r * tile.inputs + k * GROUP).cast::<i32>().read_unaligned())
        };
        for r in 0..ROWS {
            for g in 0..GROUPS {
                acc[0][r][g] = _mm512_loadu_si512(tile.offsets.as_ptr().add(g * LANES).cast());
            }
        }
        let mut k = 0;
        while k + CHAINS <= steps {
            for chain in 0..CHAINS {
                let mut weights = [_mm512_setzero_si512(); GROUPS];
                for g in 0..GROUPS {
                    weights[g] = load(k + chain, g);
                }
                for r in 0..ROWS {
                    let x = value(r, k + chain);
                    for g in 0..GROUPS {
                        acc[chain][r][g] = _mm512_dpbusd_epi32(acc[chain][r][g], x, weights[g]);
                    }
                }
            }
            k += CHAINS;
        }
        while k < steps {
            for r in 0..ROWS {
                let x = value(r, k);
                for g in 0..GROUPS {
                    acc[0][r][g] = _mm512_dpbusd_epi32(acc[0][r][g], x, load(k, g));
                }
            }
            k += 1;
        }
        for r in 0..ROWS {
            for g in 0..GROUPS {
                let mut sum = acc[0][r][g];
                for chain in 1..CHAINS {
                    sum = _mm512_add_epi32(sum, acc[chain][r][g]);
                }
                let to = sums.as_mut_ptr().add((r * GROUPS + g) * LANES);
                _mm512_storeu_si512(to.cast(), sum);
            }
        }
    }
}
