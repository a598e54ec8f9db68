//! Plain loops that each instruction set compiles for itself.
//!
//! Sums run over [`LANES`] partial sums in a fixed order, so every instruction set gives the
//! same bits.

#![expect(clippy::inline_always, reason = "must be inlined into functions with target features")]

use super::LANES;
use super::int8::ZERO;
use crate::nn::activations::{exp, sigmoid, sigmoid_tanh};

#[inline(always)]
fn fold(lanes: [f32; LANES], tail: f32) -> f32 {
    let mut lanes = lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0] + tail
}

/// `sum f(x)`.
#[inline(always)]
fn sum_of(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += f(*v);
        }
    }
    fold(lanes, rest.iter().map(|&v| f(v)).sum())
}

/// Largest value.
#[inline(always)]
fn max_of(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane = if *v > *lane { *v } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// `sum a b`.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for i in 0..LANES {
            lanes[i] += a[i] * b[i];
        }
    }
    fold(lanes, a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum())
}

/// `sum a b` of whole numbers.
#[inline(always)]
pub(super) fn dot_bytes(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

/// `y += a x`.
#[inline(always)]
pub(super) fn add_scaled(a: f32, x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

/// One LSTM step. `gates` holds `[4, hidden]` sums in the order input, forget, cell, output.
#[inline(always)]
pub(super) fn lstm_cell(gates: &[f32], c: &mut [f32], h: &mut [f32]) {
    let hidden = c.len();
    let (i, rest) = gates.split_at(hidden);
    let (f, rest) = rest.split_at(hidden);
    let (g, o) = rest.split_at(hidden);
    let (o, h) = (&o[..hidden], &mut h[..hidden]);
    for n in 0..hidden {
        c[n] = sigmoid(f[n]) * c[n] + sigmoid_tanh(i[n], g[n]);
        h[n] = sigmoid_tanh(o[n], c[n]);
    }
}

/// Softmax in place.
#[inline(always)]
pub(super) fn softmax(x: &mut [f32]) {
    let max = max_of(x);
    for v in x.iter_mut() {
        *v = exp(*v - max);
    }
    let scale = 1.0 / sum_of(x, |v| v);
    for v in x.iter_mut() {
        *v *= scale;
    }
}

/// Logarithm of the softmax in place.
#[inline(always)]
pub(super) fn log_softmax(x: &mut [f32]) {
    let max = max_of(x);
    let norm = max + sum_of(x, |v| exp(v - max)).ln();
    for v in x.iter_mut() {
        *v -= norm;
    }
}

/// `(x - mean) / sqrt(var + eps) * weight + bias` over all of `x`.
#[inline(always)]
pub(super) fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) {
    let n = x.len() as f32;
    let mean = sum_of(x, |v| v) / n;
    let var = sum_of(x, |v| (v - mean) * (v - mean)) / n;
    let scale = 1.0 / (var + eps).sqrt();
    for (((y, x), w), b) in y.iter_mut().zip(x).zip(weight).zip(bias) {
        *y = (x - mean) * scale * w + b;
    }
}

/// Adding 1.5 * 2^23 rounds to an integer, whose low bits stand in the mantissa.
const ROUND: f32 = 12_582_912.0;

/// Rounds `x` to 8 bits, `ZERO` added, and gives the scale: `x` is about `scale * (q - ZERO)`.
#[inline(always)]
pub(super) fn quantize(x: &[f32], q: &mut [u8]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            let v = v.abs();
            *lane = if v > *lane { v } else { *lane };
        }
    }
    let max = lanes.into_iter().chain(rest.iter().map(|v| v.abs())).fold(0.0, f32::max);
    let factor = if max > 0.0 { 127.0 / max } else { 0.0 };
    for (q, x) in q.iter_mut().zip(x) {
        *q = (x * factor + ROUND).to_bits() as u8 ^ ZERO;
    }
    max / 127.0
}

/// `y += sums * scale * scales`.
#[inline(always)]
pub(super) fn add_scaled_sums(sums: &[i32], scale: f32, scales: &[f32], y: &mut [f32]) {
    for ((y, sum), s) in y.iter_mut().zip(sums).zip(scales) {
        *y += *sum as f32 * (scale * s);
    }
}

/// Functions named as in this file, compiled for the features `$feature` and safe to call only
/// through a table handed out after those features were detected.
#[cfg(target_arch = "x86_64")]
macro_rules! instantiate {
    ($feature:literal: $($name:ident($($arg:ident: $kind:ty),*) $(-> $out:ty)?;)*) => {
        $(
            #[expect(unsafe_code, reason = "calls a function compiled for detected features")]
            fn $name($($arg: $kind),*) $(-> $out)? {
                #[target_feature(enable = $feature)]
                fn compiled($($arg: $kind),*) $(-> $out)? {
                    super::elementwise::$name($($arg),*)
                }
                // SAFETY: this function is reachable only through the table of this file, which
                // exists only once the features were detected.
                unsafe { compiled($($arg),*) }
            }
        )*
    };
}

/// The list of functions for [`instantiate`].
#[cfg(target_arch = "x86_64")]
macro_rules! elementwise {
    ($feature:literal) => {
        super::elementwise::instantiate! { $feature:
            dot(a: &[f32], b: &[f32]) -> f32;
            dot_bytes(a: &[i8], b: &[i8]) -> i32;
            add_scaled(a: f32, x: &[f32], y: &mut [f32]);
            lstm_cell(gates: &[f32], c: &mut [f32], h: &mut [f32]);
            softmax(x: &mut [f32]);
            log_softmax(x: &mut [f32]);
            layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32]);
            quantize(x: &[f32], q: &mut [u8]) -> f32;
            add_scaled_sums(sums: &[i32], scale: f32, scales: &[f32], y: &mut [f32]);
        }
    };
}

#[cfg(target_arch = "x86_64")]
pub(super) use {elementwise, instantiate};
