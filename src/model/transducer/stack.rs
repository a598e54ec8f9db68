//! LSTM layers of equal size, one on top of the other.

use std::ops::Range;

use super::Before;
use crate::error::Result;
use crate::nn::kernels::kernels;
use crate::nn::{Activations, Lstm, PackedMatrix, Rows, RowsMut};
use crate::weights::{LstmParts, Weights};

/// A stack of layers. The first reads a context, if the stack has one, and an input, whose parts of the gates can be computed apart.
#[derive(Debug)]
pub(super) struct Stack {
    context: Option<PackedMatrix>,
    layers: Vec<Lstm>,
    /// Where `[h, c]` of the layers stand in a state row, from the lowest to the highest.
    place: Range<usize>,
}

/// What the layers read and how many there are.
pub(super) struct Shape {
    pub context: usize,
    pub input: usize,
    pub hidden: usize,
    pub layers: usize,
}

impl Stack {
    /// The weights `{name}.0` and so on, of which the first has the columns of the context, then those of the input. Their states
    /// stand in rows from `offset` on.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) naming the first tensor that does not fit.
    pub fn load(weights: &Weights<'_>, name: &str, shape: &Shape, offset: usize) -> Result<Self> {
        let Shape { context, input, hidden, layers: count } = *shape;
        let LstmParts { input: all, recurrent, bias } =
            weights.lstm_parts(&format!("{name}.0"), context + input, hidden)?;
        let width = context + input;
        let of_context = (context > 0).then(|| all.pack_columns(width, 0..context));
        let of_input = all.pack_columns(width, context..width);
        let mut layers = vec![Lstm::from_packed(of_input, recurrent.pack(hidden), bias)];
        for i in 1..count {
            layers.push(weights.lstm(&format!("{name}.{i}"), hidden, hidden)?);
        }
        Ok(Self { context: of_context, layers, place: offset..offset + 2 * hidden * count })
    }

    pub fn num_parameters(&self) -> usize {
        let context = self.context.as_ref().map_or(0, |m| m.inputs() * m.outputs());
        context + self.layers.iter().map(Lstm::num_parameters).sum::<usize>()
    }

    pub fn layers(&self) -> &[Lstm] {
        &self.layers
    }

    pub fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// Values of a context, 0 if there is none.
    pub fn context_size(&self) -> usize {
        self.context.as_ref().map_or(0, PackedMatrix::inputs)
    }

    /// Values of a row of gates of a layer.
    pub fn gates(&self) -> usize {
        4 * self.layers[0].hidden()
    }

    /// The inputs' part of the first layer's gates, `[batch, gates]`.
    pub fn read_inputs(
        &self,
        batch: usize,
        inputs: Rows<'_>,
        gates: &mut [f32],
        activations: &mut Activations,
    ) {
        self.layers[0].project_into(batch, inputs, gates, activations);
    }

    /// Adds the contexts' part.
    pub fn read_contexts(
        &self,
        batch: usize,
        contexts: Rows<'_>,
        gates: &mut [f32],
        activations: &mut Activations,
    ) {
        if let Some(context) = &self.context {
            let sums = RowsMut { data: gates, stride: self.gates() };
            context.accumulate(kernels(), batch, contexts, sums, activations);
        }
    }

    /// Adds the part of the first layer's own last outputs.
    pub fn read_outputs(
        &self,
        before: Before<'_>,
        gates: &mut [f32],
        activations: &mut Activations,
    ) {
        let old = Rows { data: &before.states[self.place.start..], stride: before.stride };
        self.layers[0].recur_into(before.tokens.len(), gates, old, activations);
    }

    /// Steps the layers, the first from its complete `gates`, which are used up if there are more: their part of the rows of `next`, and
    /// `top` `[batch, hidden]`, what the last of them puts out.
    pub fn climb(
        &self,
        before: Before<'_>,
        gates: &mut [f32],
        activations: &mut Activations,
        next: &mut [f32],
        top: &mut Vec<f32>,
    ) {
        let Before { states, stride, tokens } = before;
        let (batch, hidden) = (tokens.len(), self.layers[0].hidden());
        let mut offset = self.place.start;
        for (i, layer) in self.layers.iter().enumerate() {
            let old = Rows { data: &states[offset..], stride };
            if i > 0 {
                let below = Rows { data: &next[offset - 2 * hidden..], stride };
                layer.project_into(batch, below, gates, activations);
                layer.recur_into(batch, gates, old, activations);
            }
            let mut new = RowsMut { data: &mut next[offset..], stride };
            layer.cells_into(batch, gates, old, &mut new);
            offset += 2 * hidden;
        }
        top.clear();
        for row in next.chunks_exact(stride) {
            top.extend_from_slice(&row[offset - 2 * hidden..][..hidden]);
        }
    }
}
