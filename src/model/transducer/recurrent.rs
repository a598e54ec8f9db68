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
    /// The first layer's weights for the context; its others are those for the query.
    heard_input: PackedMatrix,
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
        let columns = context_dim + t.state_dim;
        let first = weights.lstm_parts("transducer.emit_rnn.0", columns, t.emit_dim)?;
        let part = |from: usize, to: usize| {
            first.input.columns(columns, &(from..to).collect::<Vec<_>>()).pack(to - from)
        };
        let (heard_input, query) = (part(0, context_dim), part(context_dim, columns));
        let recurrent = first.recurrent.pack(t.emit_dim);
        let mut emit_rnn = vec![Lstm::from_packed(query, recurrent, first.bias)];
        for i in 1..t.emit_layers {
            let name = format!("transducer.emit_rnn.{i}");
            emit_rnn.push(weights.lstm(&name, t.emit_dim, t.emit_dim)?);
        }
        let embedding_dim = t.embedding_dim;
        Ok(Self { tokens, embedding_dim, context_input, state_rnn, heard_input, emit_rnn })
    }

    fn layers(&self) -> impl Iterator<Item = &Lstm> {
        self.state_rnn.iter().chain(&self.emit_rnn)
    }

    pub fn num_parameters(&self) -> usize {
        let contexts = self.context_input.iter().chain([&self.heard_input]);
        let contexts = contexts.map(|m| m.inputs() * m.outputs()).sum::<usize>();
        contexts + self.layers().map(Lstm::num_parameters).sum::<usize>()
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
        recur(&self.state_rnn[0], 0, before, gates, activations);
        climb(&self.state_rnn, 0, before, gates, activations, next, queries);
    }

    /// From the queries in `s` to the gates of the emit net's first layer, but for what the contexts add to them.
    pub fn begin_emission(&self, before: Before<'_>, s: &mut StepScratch) {
        let StepScratch { gates, activations, queries, .. } = s;
        let (batch, first) = (before.tokens.len(), &self.emit_rnn[0]);
        gates.resize(batch * 4 * first.hidden(), 0.0);
        let queries = Rows { data: queries, stride: first.inputs() };
        first.project_into(batch, queries, gates, activations);
        recur(first, self.emit_offset(), before, gates, activations);
    }

    /// What the output layer would read had nothing been heard, `s.emitted` `[batch, emit_dim]`: from the gates as
    /// [`Self::begin_emission`] left them, which stay.
    pub fn emit_unheard(&self, before: Before<'_>, s: &mut StepScratch) {
        let StepScratch { gates, activations, emitted, unheard_gates, unheard_states, .. } = s;
        unheard_gates.clone_from(gates);
        unheard_states.resize(before.tokens.len() * before.stride, 0.0);
        let (gates, next) = (unheard_gates, unheard_states);
        climb(&self.emit_rnn, self.emit_offset(), before, gates, activations, next, emitted);
    }

    /// From those gates and the contexts in `s` to what the output layer reads, `s.emitted` `[batch, emit_dim]`, and the rest of `next`.
    pub fn emit_into(&self, before: Before<'_>, s: &mut StepScratch, next: &mut [f32]) {
        let context_dim = self.heard_input.inputs();
        if self.context_input.is_some() {
            let place = self.recurrent_size()..self.state_size();
            let contexts = s.contexts.chunks_exact(context_dim);
            for (context, row) in contexts.zip(next.chunks_exact_mut(before.stride)) {
                row[place.clone()].copy_from_slice(context);
            }
        }
        let StepScratch { gates, activations, contexts, emitted, .. } = s;
        let contexts = Rows { data: contexts, stride: context_dim };
        let sums = RowsMut { data: gates, stride: self.heard_input.outputs() };
        self.heard_input.accumulate(kernels(), before.tokens.len(), contexts, sums, activations);
        climb(&self.emit_rnn, self.emit_offset(), before, gates, activations, next, emitted);
    }

    /// Where the emit net's layers stand in a state row.
    fn emit_offset(&self) -> usize {
        self.state_rnn.iter().map(|layer| 2 * layer.hidden()).sum()
    }
}

/// Adds to the gates of `layer` what its last output adds, which stands at `offset` in the rows of states.
fn recur(
    layer: &Lstm,
    offset: usize,
    before: Before<'_>,
    gates: &mut [f32],
    activations: &mut Activations,
) {
    let old = Rows { data: &before.states[offset..], stride: before.stride };
    layer.recur_into(before.tokens.len(), gates, old, activations);
}

/// Steps layers of equal size one on top of the other, the first from its complete `gates`. In the rows of states theirs begin at
/// `offset`; `top` `[batch, hidden]` is what the last of them puts out.
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
            recur(layer, offset, before, gates, activations);
        }
        let old = Rows { data: &states[offset..], stride };
        let mut new = RowsMut { data: &mut next[offset..], stride };
        layer.cells_into(batch, gates, old, &mut new);
        below = offset..offset + layer.hidden();
        offset += 2 * layer.hidden();
    }
    top.clear();
    for row in next.chunks_exact(stride) {
        top.extend_from_slice(&row[below.clone()]);
    }
}
