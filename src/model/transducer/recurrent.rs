//! The nets before and after attention as LSTMs, which know all that was said.

use super::{Before, StepScratch};
use crate::config::TransducerConfig;
use crate::error::Result;
use crate::nn::kernels::kernels;
use crate::nn::{Activations, Lstm, PackedMatrix, Rows, RowsMut};
use crate::weights::Weights;

/// Largest table of embedded tokens already multiplied by the first layer's input weights.
const MAX_TABLE_VALUES: usize = 1 << 22;

/// What a token contributes to the first recurrent layer.
#[derive(Debug)]
enum TokenInput {
    /// Gates `[tokens, 4 * state_dim]`, bias included.
    Gates(Vec<f32>),
    /// Embeddings `[tokens, embedding_dim]`, multiplied at every step.
    Embeddings(Vec<f32>),
}

/// `s = state_rnn(token)` before attention and `h' = emit_rnn([c ; s])` after it. They keep `[h, c]` of every layer of the state net,
/// then of the emit net, then, with input feeding, the context.
#[derive(Debug)]
pub(super) struct RecurrentNets {
    tokens: TokenInput,
    embedding_dim: usize,
    /// The first layer's weights for the previous context, with input feeding.
    context_input: Option<PackedMatrix>,
    state_rnn: Vec<Lstm>,
    emit_rnn: Vec<Lstm>,
}

impl RecurrentNets {
    /// `embeddings` `[tokens, embedding_dim]`.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) naming the first tensor that does not fit.
    pub fn load(
        t: &TransducerConfig,
        context_dim: usize,
        embeddings: Vec<f32>,
        weights: &Weights<'_>,
    ) -> Result<Self> {
        let num_tokens = embeddings.len() / t.embedding_dim;
        let context_columns = if t.input_feeding { context_dim } else { 0 };
        let columns = context_columns + t.embedding_dim;
        let first = weights.lstm_parts("transducer.state_rnn.0", columns, t.state_dim)?;
        let part = |from: usize, to: usize| {
            first.input.columns(columns, &(from..to).collect::<Vec<_>>()).pack(to - from)
        };
        let gates = 4 * t.state_dim;
        let context_input = t.input_feeding.then(|| part(0, context_columns));
        let token = part(context_columns, columns);
        let recurrent = first.recurrent.pack(t.state_dim);
        let mut state_rnn = vec![Lstm::from_packed(token, recurrent, first.bias)];
        for i in 1..t.state_layers {
            let name = format!("transducer.state_rnn.{i}");
            state_rnn.push(weights.lstm(&name, t.state_dim, t.state_dim)?);
        }
        let tokens = if num_tokens * gates <= MAX_TABLE_VALUES {
            let mut table = vec![0.0; num_tokens * gates];
            let rows = Rows { data: &embeddings, stride: t.embedding_dim };
            let mut activations = Activations::default();
            state_rnn[0].project_into(num_tokens, rows, &mut table, &mut activations);
            TokenInput::Gates(table)
        } else {
            TokenInput::Embeddings(embeddings)
        };
        let emit_rnn = (0..t.emit_layers).map(|i| {
            let inputs = if i == 0 { context_dim + t.state_dim } else { t.emit_dim };
            weights.lstm(&format!("transducer.emit_rnn.{i}"), inputs, t.emit_dim)
        });
        let emit_rnn = emit_rnn.collect::<Result<_>>()?;
        Ok(Self { tokens, embedding_dim: t.embedding_dim, context_input, state_rnn, emit_rnn })
    }

    fn layers(&self) -> impl Iterator<Item = &Lstm> {
        self.state_rnn.iter().chain(&self.emit_rnn)
    }

    pub fn num_parameters(&self) -> usize {
        let context = self.context_input.as_ref().map_or(0, |m| m.inputs() * m.outputs());
        context + self.layers().map(Lstm::num_parameters).sum::<usize>()
    }

    pub fn is_int8(&self) -> bool {
        self.layers().all(Lstm::is_int8)
    }

    /// Cells of every layer.
    pub fn sizes(&self) -> Vec<usize> {
        self.layers().map(Lstm::hidden).collect()
    }

    /// Values that they keep.
    pub fn state_size(&self) -> usize {
        self.recurrent_size() + self.context_input.as_ref().map_or(0, PackedMatrix::inputs)
    }

    fn recurrent_size(&self) -> usize {
        self.layers().map(|layer| 2 * layer.hidden()).sum()
    }

    /// The tokens' and contexts' part of the first layer's gates.
    fn first_gates_into(&self, before: Before<'_>, scratch: &mut StepScratch) {
        let Before { states, stride, tokens } = before;
        let batch = tokens.len();
        let width = 4 * self.state_rnn[0].hidden();
        match &self.tokens {
            TokenInput::Gates(table) => {
                for (row, token) in scratch.gates.chunks_exact_mut(width).zip(tokens) {
                    row.copy_from_slice(&table[*token as usize * width..][..width]);
                }
            }
            TokenInput::Embeddings(table) => {
                let dim = self.embedding_dim;
                scratch.embedded.clear();
                for token in tokens {
                    let row = &table[*token as usize * dim..][..dim];
                    scratch.embedded.extend_from_slice(row);
                }
                let rows = Rows { data: &scratch.embedded, stride: dim };
                let StepScratch { gates, activations, .. } = scratch;
                self.state_rnn[0].project_into(batch, rows, gates, activations);
            }
        }
        if let Some(context_input) = &self.context_input {
            let contexts = Rows { data: &states[self.recurrent_size()..], stride };
            let gates = RowsMut { data: &mut scratch.gates, stride: width };
            context_input.accumulate(kernels(), batch, contexts, gates, &mut scratch.activations);
        }
    }

    /// The queries `[batch, state_dim]`, and the part of the state net in `next`.
    pub fn query_into(&self, before: Before<'_>, s: &mut StepScratch, next: &mut [f32]) {
        s.gates.resize(before.tokens.len() * 4 * self.state_rnn[0].hidden(), 0.0);
        self.first_gates_into(before, s);
        let StepScratch { gates, activations, queries, .. } = s;
        climb(&self.state_rnn, 0, before, gates, activations, next, queries);
    }

    /// From the contexts and queries in `s` to what the output layer reads, `s.emitted` `[batch, emit_dim]`, and the rest of `next`.
    pub fn emit_into(&self, before: Before<'_>, s: &mut StepScratch, next: &mut [f32]) {
        let (batch, state_dim) = (before.tokens.len(), self.state_rnn[0].hidden());
        s.join(state_dim);
        let joint_dim = s.joint.len() / batch;
        if self.context_input.is_some() {
            let context_dim = joint_dim - state_dim;
            let place = self.recurrent_size()..self.state_size();
            let contexts = s.contexts.chunks_exact(context_dim);
            for (context, row) in contexts.zip(next.chunks_exact_mut(before.stride)) {
                row[place.clone()].copy_from_slice(context);
            }
        }
        let StepScratch { gates, activations, joint, emitted, .. } = s;
        let first = &self.emit_rnn[0];
        gates.resize(batch * 4 * first.hidden(), 0.0);
        first.project_into(batch, Rows { data: joint, stride: joint_dim }, gates, activations);
        let offset = self.state_rnn.len() * 2 * state_dim;
        climb(&self.emit_rnn, offset, before, gates, activations, next, emitted);
    }
}

/// Steps layers of equal size one on top of the other, the first from `gates`. In the rows of states theirs begin at `offset`; `top`
/// `[batch, hidden]` is what the last of them puts out.
fn climb(
    layers: &[Lstm],
    mut offset: usize,
    before: Before<'_>,
    gates: &mut [f32],
    activations: &mut Activations,
    next: &mut [f32],
    top: &mut Vec<f32>,
) {
    let Before { states, stride, tokens } = before;
    let batch = tokens.len();
    let mut below = 0..0;
    for layer in layers {
        if !below.is_empty() {
            let below = Rows { data: &next[below.start..], stride };
            layer.project_into(batch, below, gates, activations);
        }
        let old = Rows { data: &states[offset..], stride };
        let mut new = RowsMut { data: &mut next[offset..], stride };
        layer.step_into(batch, gates, old, &mut new, activations);
        below = offset..offset + layer.hidden();
        offset += 2 * layer.hidden();
    }
    top.clear();
    for row in next.chunks_exact(stride) {
        top.extend_from_slice(&row[below.clone()]);
    }
}
