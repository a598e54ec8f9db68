//! Long short-term memory (Hochreiter & Schmidhuber, 1997) with `PyTorch`'s gates and two biases.

use super::int8::Activations;
use super::kernels::kernels;
use super::matrix::PackedMatrix;
use super::rows::{Rows, RowsMut};

/// One layer. Gate order: input, forget, cell, output.
#[derive(Debug)]
pub struct Lstm {
    input: PackedMatrix,
    recurrent: PackedMatrix,
    /// The sum of both biases, `[4 * hidden]`.
    bias: Vec<f32>,
    hidden: usize,
}

impl Lstm {
    /// From `weight_ih` `[4 * hidden, inputs]`, `weight_hh` `[4 * hidden, hidden]` and the sum of
    /// both biases `[4 * hidden]`.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn new(weight_ih: &[f32], weight_hh: &[f32], bias: Vec<f32>, inputs: usize) -> Self {
        let gates = bias.len();
        let input = PackedMatrix::pack(weight_ih, gates, inputs);
        Self::from_packed(input, PackedMatrix::pack(weight_hh, gates, gates / 4), bias)
    }

    /// From packed weights of the same shapes.
    ///
    /// # Panics
    /// If the sizes do not fit.
    pub fn from_packed(input: PackedMatrix, recurrent: PackedMatrix, bias: Vec<f32>) -> Self {
        let hidden = bias.len() / 4;
        assert!(input.outputs() == bias.len() && recurrent.outputs() == bias.len());
        assert_eq!(recurrent.inputs(), hidden);
        Self { input, recurrent, bias, hidden }
    }

    /// Whether it multiplies in 8 bits.
    pub fn is_int8(&self) -> bool {
        self.input.is_int8() && self.recurrent.is_int8()
    }

    /// Cells.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// Width of the input.
    pub fn inputs(&self) -> usize {
        self.input.inputs()
    }

    /// Number of weights and biases, both biases counted.
    pub fn num_parameters(&self) -> usize {
        4 * self.hidden * (self.inputs() + self.hidden + 2)
    }

    /// The input's part of the gates: `x` `[batch, inputs]` to `gates` `[batch, 4 * hidden]`.
    ///
    /// # Panics
    /// If a slice is shorter than `batch` rows.
    pub fn project_into(
        &self,
        batch: usize,
        x: Rows<'_>,
        gates: &mut [f32],
        activations: &mut Activations,
    ) {
        let stride = 4 * self.hidden;
        for row in gates[..batch * stride].chunks_exact_mut(stride) {
            row.copy_from_slice(&self.bias);
        }
        let gates = RowsMut { data: gates, stride };
        self.input.accumulate(kernels(), batch, x, gates, activations);
    }

    /// Advances `batch` independent sequences by one step. `gates` `[batch, 4 * hidden]` comes
    /// from [`project_into`](Self::project_into) and is used up. A state row is `[h, c]`, each
    /// `[hidden]`; `next` takes the new ones.
    ///
    /// # Panics
    /// If a slice is shorter than `batch` rows.
    pub fn step_into(
        &self,
        batch: usize,
        gates: &mut [f32],
        states: Rows<'_>,
        next: &mut RowsMut<'_>,
        activations: &mut Activations,
    ) {
        self.recur_into(batch, gates, states, activations);
        self.cells_into(batch, gates, states, next);
    }

    /// The first half of [`step_into`](Self::step_into): adds what the outputs `h` in `states` contribute to `gates`.
    ///
    /// # Panics
    /// If a slice is shorter than `batch` rows.
    pub fn recur_into(
        &self,
        batch: usize,
        gates: &mut [f32],
        states: Rows<'_>,
        activations: &mut Activations,
    ) {
        let sums = RowsMut { data: gates, stride: 4 * self.hidden };
        self.recurrent.accumulate(kernels(), batch, states, sums, activations);
    }

    /// Its second half: from complete `gates`, which are used up, and the cells in `states` to `next`.
    ///
    /// # Panics
    /// If a slice is shorter than `batch` rows.
    pub fn cells_into(
        &self,
        batch: usize,
        gates: &[f32],
        states: Rows<'_>,
        next: &mut RowsMut<'_>,
    ) {
        let stride = 4 * self.hidden;
        for (b, gates) in gates.chunks_exact(stride).take(batch).enumerate() {
            let old_c = &states.data[b * states.stride + self.hidden..][..self.hidden];
            let (h, c) = next.data[b * next.stride..][..2 * self.hidden].split_at_mut(self.hidden);
            c.copy_from_slice(old_c);
            kernels().lstm_cell(gates, c, h);
        }
    }

    /// One step of `batch` sequences in place, each output added to a row of `residual` `[batch, hidden]`. `gates`
    /// `[batch, 4 * hidden]` comes from [`project_into`](Self::project_into) and is used up; `h` and `c` `[batch, hidden]` are
    /// replaced by the new ones.
    ///
    /// # Panics
    /// If a slice is too short.
    pub fn step_residual(
        &self,
        batch: usize,
        gates: &mut [f32],
        h: &mut [f32],
        c: &mut [f32],
        residual: &mut [f32],
        activations: &mut Activations,
    ) {
        let (hidden, stride) = (self.hidden, 4 * self.hidden);
        let old = Rows { data: h, stride: hidden };
        let sums = RowsMut { data: gates, stride };
        self.recurrent.accumulate(kernels(), batch, old, sums, activations);
        let rows = gates.chunks_exact(stride).zip(h.chunks_exact_mut(hidden));
        let rows = rows.zip(c.chunks_exact_mut(hidden)).zip(residual.chunks_exact_mut(hidden));
        for (((gates, h), c), x) in rows.take(batch) {
            kernels().lstm_cell(gates, c, h);
            kernels().add_scaled(1.0, h, x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, mut seed: u32) -> Vec<f32> {
        (0..n)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) as f32 / (1 << 24) as f32 - 0.5
            })
            .collect()
    }

    #[test]
    fn a_step_equals_the_equations() {
        let (inputs, hidden, batch) = (5, 3, 2);
        let (w, u, b) = (noise(12 * inputs, 1), noise(12 * hidden, 2), noise(12, 3));
        let lstm = Lstm::new(&w, &u, b.clone(), inputs);
        let (x, states) = (noise(batch * inputs, 4), noise(batch * 2 * hidden, 5));
        let mut gates = vec![0.0; batch * 12];
        let mut next = vec![0.0; batch * 6];
        let mut acts = Activations::default();
        lstm.project_into(batch, Rows { data: &x, stride: inputs }, &mut gates, &mut acts);
        let old = Rows { data: &states, stride: 6 };
        let mut new = RowsMut { data: &mut next, stride: 6 };
        lstm.step_into(batch, &mut gates, old, &mut new, &mut acts);
        for row in 0..batch {
            let (h, c) = states[row * 6..row * 6 + 6].split_at(3);
            let gate = |g: usize, n: usize| {
                let r = g * hidden + n;
                let from_x: f32 =
                    (0..inputs).map(|i| w[r * inputs + i] * x[row * inputs + i]).sum();
                let from_h: f32 = (0..hidden).map(|i| u[r * hidden + i] * h[i]).sum();
                b[r] + from_x + from_h
            };
            let sigmoid = |v: f32| 1.0 / (1.0 + (-v).exp());
            for n in 0..hidden {
                let cell = sigmoid(gate(1, n)) * c[n] + sigmoid(gate(0, n)) * gate(2, n).tanh();
                let out = sigmoid(gate(3, n)) * cell.tanh();
                assert!((next[row * 6 + n] - out).abs() < 1e-5);
                assert!((next[row * 6 + 3 + n] - cell).abs() < 1e-5);
            }
        }
    }
}
