//! How the weights of the frames become one context.

use crate::nn::kernels::kernels;

/// Sum of `values` under `weights` (equation 9).
pub(super) fn soft<'a>(
    weights: &[f32],
    values: impl Iterator<Item = &'a [f32]>,
    context: &mut [f32],
) {
    context.fill(0.0);
    for (weight, value) in weights.iter().zip(values) {
        kernels().add_scaled(*weight, value, context);
    }
}
