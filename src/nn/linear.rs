//! `y = x W^T + b`.

use super::int8::Activations;
use super::kernels::kernels;
use super::matrix::PackedMatrix;
use super::rows::{Rows, RowsMut};

/// A fully connected layer.
#[derive(Debug)]
pub struct Linear {
    weight: PackedMatrix,
    bias: Vec<f32>,
}

impl Linear {
    /// From row-major `weight` `[outputs, inputs]` and `bias` `[outputs]`.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn new(weight: &[f32], bias: Vec<f32>, inputs: usize) -> Self {
        Self::from_packed(PackedMatrix::pack(weight, bias.len(), inputs), bias)
    }

    /// From packed `weight` `[outputs, inputs]` and `bias` `[outputs]`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn from_packed(weight: PackedMatrix, bias: Vec<f32>) -> Self {
        assert_eq!(weight.outputs(), bias.len());
        Self { weight, bias }
    }

    /// Width of the input.
    pub fn inputs(&self) -> usize {
        self.weight.inputs()
    }

    /// Width of the output.
    pub fn outputs(&self) -> usize {
        self.weight.outputs()
    }

    /// Whether its matrix has 8 bits.
    pub fn is_int8(&self) -> bool {
        self.weight.is_int8()
    }

    /// Number of weights and biases.
    pub fn num_parameters(&self) -> usize {
        (self.inputs() + 1) * self.outputs()
    }

    /// `x` `[batch, inputs]` to `y` `[batch, outputs]`.
    ///
    /// # Panics
    /// If a slice is shorter than `batch` rows.
    pub fn forward_into(
        &self,
        batch: usize,
        x: &[f32],
        y: &mut [f32],
        activations: &mut Activations,
    ) {
        self.forward_rows_into(batch, Rows { data: x, stride: self.inputs() }, y, activations);
    }

    /// As [`forward_into`](Self::forward_into), with input rows at any distance.
    ///
    /// # Panics
    /// If a slice is shorter than `batch` rows.
    pub fn forward_rows_into(
        &self,
        batch: usize,
        x: Rows<'_>,
        y: &mut [f32],
        activations: &mut Activations,
    ) {
        let stride = self.outputs();
        for row in y[..batch * stride].chunks_exact_mut(stride) {
            row.copy_from_slice(&self.bias);
        }
        self.weight.accumulate(kernels(), batch, x, RowsMut { data: y, stride }, activations);
    }
}
