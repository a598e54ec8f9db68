//! The nets before and after attention as LSTMs, which know all that was said.

use super::stack::{Shape, Stack};
use super::{Before, StepScratch};
use crate::config::TransducerConfig;
use crate::error::Result;
use crate::nn::{Activations, Lstm, Rows};
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
/// then of the emit net, then, with input feeding, the context, which the state net reads beside the next token.
#[derive(Debug)]
pub(super) struct RecurrentNets {
    tokens: TokenInput,
    embedding_dim: usize,
    state: Stack,
    emit: Stack,
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
        let shape = Shape {
            context: if t.input_feeding { context_dim } else { 0 },
            input: t.embedding_dim,
            hidden: t.state_dim,
            layers: t.state_layers,
        };
        let state = Stack::load(weights, "transducer.state_rnn", &shape, 0)?;
        let num_tokens = embeddings.len() / t.embedding_dim;
        let tokens = if num_tokens * state.gates() <= MAX_TABLE_VALUES {
            let mut table = vec![0.0; num_tokens * state.gates()];
            let rows = Rows { data: &embeddings, stride: t.embedding_dim };
            state.read_inputs(num_tokens, rows, &mut table, &mut Activations::default());
            TokenInput::Gates(table)
        } else {
            TokenInput::Embeddings(embeddings)
        };
        let shape = Shape {
            context: context_dim,
            input: t.state_dim,
            hidden: t.emit_dim,
            layers: t.emit_layers,
        };
        let emit = Stack::load(weights, "transducer.emit_rnn", &shape, state.place().end)?;
        Ok(Self { tokens, embedding_dim: t.embedding_dim, state, emit })
    }

    fn layers(&self) -> impl Iterator<Item = &Lstm> {
        self.state.layers().iter().chain(self.emit.layers())
    }

    pub fn num_parameters(&self) -> usize {
        self.state.num_parameters() + self.emit.num_parameters()
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
        self.emit.place().end + self.state.context_size()
    }

    /// The queries `[batch, state_dim]`, and the part of the state net in `next`.
    pub fn query_into(&self, before: Before<'_>, s: &mut StepScratch, next: &mut [f32]) {
        let Before { states, stride, tokens } = before;
        let (batch, width) = (tokens.len(), self.state.gates());
        let StepScratch { embedded, gates, queries, activations, .. } = s;
        gates.resize(batch * width, 0.0);
        match &self.tokens {
            TokenInput::Gates(table) => {
                for (row, token) in gates.chunks_exact_mut(width).zip(tokens) {
                    row.copy_from_slice(&table[*token as usize * width..][..width]);
                }
            }
            TokenInput::Embeddings(table) => {
                let dim = self.embedding_dim;
                embedded.clear();
                for token in tokens {
                    embedded.extend_from_slice(&table[*token as usize * dim..][..dim]);
                }
                let rows = Rows { data: embedded, stride: dim };
                self.state.read_inputs(batch, rows, gates, activations);
            }
        }
        let contexts = Rows { data: &states[self.emit.place().end..], stride };
        self.state.read_contexts(batch, contexts, gates, activations);
        self.state.read_outputs(before, gates, activations);
        self.state.climb(before, gates, activations, next, queries);
    }

    /// From the queries in `s` to the gates of the emit net's first layer, but for what the contexts add to them.
    pub fn begin_emission(&self, before: Before<'_>, s: &mut StepScratch) {
        let batch = before.tokens.len();
        let StepScratch { gates, activations, queries, .. } = s;
        gates.resize(batch * self.emit.gates(), 0.0);
        let queries = Rows { data: queries, stride: queries.len() / batch };
        self.emit.read_inputs(batch, queries, gates, activations);
        self.emit.read_outputs(before, gates, activations);
    }

    /// What the output layer would read had nothing been heard, `s.emitted` `[batch, emit_dim]`: from the gates as
    /// [`Self::begin_emission`] left them, which stay.
    pub fn emit_unheard(&self, before: Before<'_>, s: &mut StepScratch) {
        let StepScratch { gates, activations, emitted, unheard_gates, unheard_states, .. } = s;
        // Only layers above the first use gates up.
        let gates = if self.emit.layers().len() > 1 {
            unheard_gates.clone_from(gates);
            unheard_gates
        } else {
            gates
        };
        unheard_states.resize(before.tokens.len() * before.stride, 0.0);
        self.emit.climb(before, gates, activations, unheard_states, emitted);
    }

    /// From those gates and the contexts in `s` to what the output layer reads, `s.emitted` `[batch, emit_dim]`, and the rest of `next`.
    pub fn emit_into(&self, before: Before<'_>, s: &mut StepScratch, next: &mut [f32]) {
        let StepScratch { gates, activations, contexts, emitted, .. } = s;
        let context_dim = self.emit.context_size();
        if self.state.context_size() > 0 {
            let rows = next.chunks_exact_mut(before.stride);
            for (context, row) in contexts.chunks_exact(context_dim).zip(rows) {
                row[self.emit.place().end..][..context_dim].copy_from_slice(context);
            }
        }
        let contexts = Rows { data: contexts, stride: context_dim };
        self.emit.read_contexts(before.tokens.len(), contexts, gates, activations);
        self.emit.climb(before, gates, activations, next, emitted);
    }
}
