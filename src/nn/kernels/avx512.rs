//! AVX-512F.

use std::arch::x86_64::{
    __m512, _mm_loadu_si128, _mm256_loadu_si256, _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps,
    _mm512_cvtph_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mul_ps, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::{Kernels, LANES, Panel, Tile, int8};

/// The table, if the machine has the instructions.
pub(super) fn table() -> Option<Kernels> {
    if !is_x86_feature_detected!("avx512f") {
        return None;
    }
    Some(Kernels {
        name: "avx512",
        tile_rows: [8, 8, 8, 6],
        half: true,
        tile,
        dot,
        dot_bytes,
        add_scaled,
        lstm_cell,
        softmax,
        log_softmax,
        layer_norm,
        int8_tile: if int8::vnni::detected() { int8::vnni::tile } else { int8::avx2::tile },
        amx: None,
        quantize,
        add_scaled_sums,
    })
}

/// The same beside AMX.
pub(super) fn table_with_amx() -> Option<Kernels> {
    let amx = int8::Amx::detected()?;
    Some(Kernels { name: "avx512, amx", amx: Some(amx), ..table()? })
}

super::elementwise::elementwise!("avx512f");

fn tile(tile: &Tile<'_>, y: &mut [f32]) {
    macro_rules! dispatch {
        ($groups:literal: $($rows:literal)*) => {
            match tile.rows {
                $($rows => run::<$rows, $groups>(tile, y),)*
                _ => unreachable!("tiles have at most the rows of the table"),
            }
        };
    }
    match tile.width / LANES {
        1 => dispatch!(1: 1 2 3 4 5 6 7 8),
        2 => dispatch!(2: 1 2 3 4 5 6 7 8),
        3 => dispatch!(3: 1 2 3 4 5 6 7 8),
        4 => dispatch!(4: 1 2 3 4 5 6),
        _ => unreachable!("panels have at most 4 groups"),
    }
}

#[expect(unsafe_code, reason = "checked entry to the vector code")]
fn run<const ROWS: usize, const GROUPS: usize>(tile: &Tile<'_>, y: &mut [f32]) {
    tile.check(y);
    assert!(tile.rows == ROWS && tile.width == GROUPS * LANES);
    // SAFETY: the table exists only where avx512f was detected, and `check` has proved that
    // ROWS rows of inputs, the panel and ROWS rows of outputs lie inside their slices.
    unsafe {
        let (x, x_stride, inputs) = (tile.x.as_ptr(), tile.x_stride, tile.inputs());
        let (y, y_stride) = (y.as_mut_ptr(), tile.y_stride);
        match tile.panel {
            Panel::F32(w) => {
                sums::<f32, ROWS, GROUPS>(
                    x,
                    x_stride,
                    inputs,
                    w.as_ptr(),
                    [].as_ptr(),
                    y,
                    y_stride,
                );
            }
            Panel::F16(w) => {
                sums::<u16, ROWS, GROUPS>(
                    x,
                    x_stride,
                    inputs,
                    w.as_ptr(),
                    [].as_ptr(),
                    y,
                    y_stride,
                );
            }
            Panel::Bytes(w, s) => {
                assert_eq!(s.len(), tile.width);
                sums::<i8, ROWS, GROUPS>(x, x_stride, inputs, w.as_ptr(), s.as_ptr(), y, y_stride);
            }
        }
    }
}

/// A stored weight.
trait Weight: Copy {
    /// Whether weights have to be multiplied by the scale of their output.
    const SCALED: bool = false;

    /// [`LANES`] weights as `f32`.
    ///
    /// # Safety
    /// Needs avx512f and that many values at `p`.
    #[expect(unsafe_code, reason = "vector load through a pointer")]
    unsafe fn load(p: *const Self, scale: __m512) -> __m512;
}

impl Weight for f32 {
    #[expect(unsafe_code, reason = "vector load through a pointer")]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(p: *const Self, _: __m512) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_loadu_ps(p) }
    }
}

/// Bits of a half-precision number.
impl Weight for u16 {
    #[expect(unsafe_code, reason = "vector load through a pointer")]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(p: *const Self, _: __m512) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(p.cast())) }
    }
}

/// An 8-bit integer.
impl Weight for i8 {
    const SCALED: bool = true;

    #[expect(unsafe_code, reason = "vector load through a pointer")]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(p: *const Self, scale: __m512) -> __m512 {
        // SAFETY: the caller's promise.
        let bytes = unsafe { _mm_loadu_si128(p.cast()) };
        _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)), scale)
    }
}

/// # Safety
/// Needs avx512f; if weights are scaled, `scales` holds `GROUPS * LANES` values; `x` holds ROWS rows of `inputs`, `w` `inputs * GROUPS * LANES` values, `y` ROWS
/// rows of `GROUPS * LANES`.
#[expect(unsafe_code, reason = "vector loads and stores through pointers")]
#[expect(clippy::needless_range_loop, reason = "two arrays advance together")]
#[target_feature(enable = "avx512f")]
unsafe fn sums<W: Weight, const ROWS: usize, const GROUPS: usize>(
    x: *const f32,
    x_stride: usize,
    inputs: usize,
    w: *const W,
    scales: *const f32,
    y: *mut f32,
    y_stride: usize,
) {
    let mut scale = [_mm512_setzero_ps(); GROUPS];
    let mut acc = [[_mm512_setzero_ps(); GROUPS]; ROWS];
    // SAFETY: the caller's promise covers every offset below.
    unsafe {
        if W::SCALED {
            for g in 0..GROUPS {
                scale[g] = _mm512_loadu_ps(scales.add(g * LANES));
            }
        }
        for r in 0..ROWS {
            for g in 0..GROUPS {
                acc[r][g] = _mm512_loadu_ps(y.add(r * y_stride + g * LANES));
            }
        }
        for k in 0..inputs {
            let mut weights = [_mm512_setzero_ps(); GROUPS];
            for g in 0..GROUPS {
                weights[g] = W::load(w.add((k * GROUPS + g) * LANES), scale[g]);
            }
            for r in 0..ROWS {
                let value = _mm512_set1_ps(*x.add(r * x_stride + k));
                for g in 0..GROUPS {
                    acc[r][g] = _mm512_fmadd_ps(value, weights[g], acc[r][g]);
                }
            }
        }
        for r in 0..ROWS {
            for g in 0..GROUPS {
                _mm512_storeu_ps(y.add(r * y_stride + g * LANES), acc[r][g]);
            }
        }
    }
}
