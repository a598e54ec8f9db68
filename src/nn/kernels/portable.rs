//! Plain loops: the reference, and what runs where no other file fits.

use half::f16;

use super::{Kernels, LANES, Panel, Tile, elementwise, int8};

#[cfg(target_arch = "aarch64")]
const TILE: int8::TileFn = int8::neon::tile;
#[cfg(not(target_arch = "aarch64"))]
const TILE: int8::TileFn = int8::portable::tile;

pub(super) fn table() -> Kernels {
    Kernels {
        name: "portable",
        tile_rows: [4; 4],
        half: false,
        tile,
        dot: elementwise::dot,
        dot_bytes: elementwise::dot_bytes,
        add_scaled: elementwise::add_scaled,
        lstm_cell: elementwise::lstm_cell,
        softmax: elementwise::softmax,
        log_softmax: elementwise::log_softmax,
        layer_norm: elementwise::layer_norm,
        int8_tile: TILE,
        amx: None,
        quantize: elementwise::quantize,
        add_scaled_sums: elementwise::add_scaled_sums,
    }
}

/// Fused where the target always has it (`AArch64`); elsewhere it would be a slow library call.
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
        a.mul_add(b, c)
    } else {
        a * b + c
    }
}

pub(super) fn tile(tile: &Tile<'_>, y: &mut [f32]) {
    match tile.panel {
        Panel::F32(weights) => sums(tile, weights, |_, w| w, y),
        Panel::F16(weights) => sums(tile, weights, |_, w| f16::from_bits(w).to_f32(), y),
        Panel::Bytes(weights, scales) => {
            sums(tile, weights, |n, w| f32::from(w) * scales[n], y);
        }
    }
}

fn sums<W: Copy>(tile: &Tile<'_>, weights: &[W], widen: impl Fn(usize, W) -> f32, y: &mut [f32]) {
    tile.check(y);
    let inputs = tile.inputs();
    for r in 0..tile.rows {
        let x = &tile.x[r * tile.x_stride..r * tile.x_stride + inputs];
        let y = &mut y[r * tile.y_stride..r * tile.y_stride + tile.width];
        for (group, y) in y.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let mut sums = *y;
            for (x, w) in x.iter().zip(weights.chunks_exact(tile.width)) {
                let w = &w[group * LANES..][..LANES];
                for ((sum, w), n) in sums.iter_mut().zip(w).zip(group * LANES..) {
                    *sum = multiply_add(*x, widen(n, *w), *sum);
                }
            }
            *y = sums;
        }
    }
}
