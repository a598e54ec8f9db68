//! The network that emits tokens for a block: equations (3) to (6) of Jaitly et al., 2016.

mod attend;
mod limited;

use super::attention;
use crate::attention::{Attention, AttentionScratch, BlockView};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::nn::Activations;
use crate::nn::kernels::kernels;
use crate::nn::{Linear, Lstm, PackedMatrix, Rows, RowsMut};
use crate::search::NUM_PLACES;
use crate::tokens::TokenId;
use crate::weights::Weights;
use limited::LimitedNets;

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

/// Transducer weights. A state row is `[h, c]` of every layer of the state net, then of the emit
/// net, then, with input feeding, the context, then, where something hangs on it, one more than the block of the step (0 before
/// the first; exact up to 2^24) and what attention keeps; the last two say where the token to come begins and ends
/// ([`crate::search::NUM_PLACES`]).
#[derive(Debug)]
pub(super) struct Transducer {
    tokens: TokenInput,
    embedding_dim: usize,
    /// The first layer's weights for the previous context, with input feeding.
    context_input: Option<PackedMatrix>,
    state_rnn: Vec<Lstm>,
    /// In place of the recurrent nets, where the last few tokens are all that is known.
    limited: Option<LimitedNets>,
    attention: Attention,
    emit_rnn: Vec<Lstm>,
    output: Linear,
    /// Whether the recurrent nets go on from block to block.
    carry_state: bool,
    /// Shares of the heads' centres in where a token begins and ends; the middle of the block has the rest.
    place_shares: [Vec<f32>; NUM_PLACES],
}

/// Buffers of one caller, kept between steps.
#[derive(Debug, Clone, Default)]
pub struct StepScratch {
    embedded: Vec<f32>,
    gates: Vec<f32>,
    pub(super) contexts: Vec<f32>,
    joint: Vec<f32>,
    /// States of rows some of which start anew.
    fresh: Vec<f32>,
    /// Outputs of the state net.
    queries: Vec<f32>,
    pub(super) attention: AttentionScratch,
    activations: Activations,
}

impl StepScratch {
    /// Keeps the attention weights of every step from now on, those of its last row.
    pub fn watch(&mut self) {
        self.attention.watch();
    }
}

impl Transducer {
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) naming the first tensor that does not fit.
    pub fn load(config: &ModelConfig, weights: &Weights<'_>) -> Result<Self> {
        let t = &config.transducer;
        let a = &config.attention;
        let embedding = "transducer.embedding.weight";
        let num_tokens = weights.rows(embedding, t.embedding_dim)?;
        let embeddings = weights.tensor(embedding, &[num_tokens, t.embedding_dim])?;
        let place_shares = match &config.word_times {
            Some(times) => [times.start_heads.clone(), times.end_heads.clone()],
            None => [Vec::new(), Vec::new()],
        };
        if t.history > 0 {
            return Ok(Self {
                limited: Some(LimitedNets::load(t, a.dim, &embeddings, weights)?),
                tokens: TokenInput::Embeddings(Vec::new()),
                embedding_dim: t.embedding_dim,
                context_input: None,
                state_rnn: Vec::new(),
                attention: attention::load(config, weights)?,
                emit_rnn: Vec::new(),
                output: weights.linear("transducer.output", num_tokens, t.emit_dim)?,
                carry_state: true,
                place_shares,
            });
        }

        let context_columns = if t.input_feeding { a.dim } else { 0 };
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
            let inputs = if i == 0 { a.dim + t.state_dim } else { t.emit_dim };
            weights.lstm(&format!("transducer.emit_rnn.{i}"), inputs, t.emit_dim)
        });
        Ok(Self {
            tokens,
            embedding_dim: t.embedding_dim,
            context_input,
            state_rnn,
            limited: None,
            attention: attention::load(config, weights)?,
            emit_rnn: emit_rnn.collect::<Result<_>>()?,
            output: weights.linear("transducer.output", num_tokens, t.emit_dim)?,
            carry_state: t.carry_state,
            place_shares,
        })
    }

    pub fn num_tokens(&self) -> usize {
        self.output.outputs()
    }

    pub fn attention(&self) -> &Attention {
        &self.attention
    }

    /// Weights and biases outside the attention.
    pub fn num_parameters(&self) -> usize {
        let layers = self.state_rnn.iter().chain(&self.emit_rnn);
        let context = self.context_input.as_ref().map_or(0, |m| m.inputs() * m.outputs());
        self.num_tokens() * self.embedding_dim
            + context
            + layers.map(Lstm::num_parameters).sum::<usize>()
            + self.limited.as_ref().map_or(0, LimitedNets::num_parameters)
            + self.output.num_parameters()
    }

    pub fn state_size(&self) -> usize {
        let marked = if self.is_marked() { 1 + self.attention.state_size() } else { 0 };
        self.marker() + marked + NUM_PLACES
    }

    /// Where the block stands in a state row.
    fn marker(&self) -> usize {
        self.recurrent_size() + self.context_input.as_ref().map_or(0, PackedMatrix::inputs)
    }

    fn is_marked(&self) -> bool {
        !self.carry_state || self.attention.state_size() > 0
    }

    /// See [`Model::half_states`](super::Model::half_states).
    pub fn half_states(&self) -> bool {
        let limited = self.limited.as_ref().is_none_or(LimitedNets::is_int8);
        !self.is_marked()
            && limited
            && self.state_rnn.iter().chain(&self.emit_rnn).all(Lstm::is_int8)
    }

    fn recurrent_size(&self) -> usize {
        let layers = self.state_rnn.iter().chain(&self.emit_rnn);
        layers.map(|l| 2 * l.hidden()).sum::<usize>()
            + self.limited.as_ref().map_or(0, LimitedNets::state_size)
    }

    /// The tokens' and contexts' part of the first layer's gates.
    fn first_gates_into(&self, states: &[f32], tokens: &[u32], scratch: &mut StepScratch) {
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
            let contexts =
                Rows { data: &states[self.recurrent_size()..], stride: self.state_size() };
            let gates = RowsMut { data: &mut scratch.gates, stride: width };
            context_input.accumulate(kernels(), batch, contexts, gates, &mut scratch.activations);
        }
    }

    /// See [`Model::step_into`](super::Model::step_into).
    pub fn step_into<'m>(
        &self,
        states: &[f32],
        tokens: &[TokenId],
        views: &(impl Iterator<Item = BlockView<'m>> + Clone),
        scratch: &mut StepScratch,
        next: &mut [f32],
        log_probs: &mut [f32],
    ) {
        if self.carry_state {
            return self.step(states, tokens, views, scratch, next, log_probs);
        }
        let mut fresh = std::mem::take(&mut scratch.fresh);
        fresh.clear();
        fresh.extend_from_slice(states);
        let blocks = views.clone().flat_map(|view| std::iter::repeat_n(view.block, view.rows));
        for (row, block) in fresh.chunks_exact_mut(self.state_size()).zip(blocks) {
            if row[self.marker()] as usize != block + 1 {
                row.fill(0.0);
            }
        }
        self.step(&fresh, tokens, views, scratch, next, log_probs);
        scratch.fresh = fresh;
    }

    fn step<'m>(
        &self,
        states: &[f32],
        tokens: &[TokenId],
        views: &(impl Iterator<Item = BlockView<'m>> + Clone),
        scratch: &mut StepScratch,
        next: &mut [f32],
        log_probs: &mut [f32],
    ) {
        let t = self;
        let batch = tokens.len();
        let size = t.state_size();
        assert!(states.len() == batch * size && next.len() == batch * size, "state rows");
        assert_eq!(log_probs.len(), batch * t.num_tokens(), "log-probability rows");
        if batch == 0 {
            return;
        }
        let s = scratch;
        if let Some(limited) = &t.limited {
            limited.query_into(states, tokens, size, &mut s.queries, next);
            s.contexts.resize(batch * t.attention.dim(), 0.0);
            t.attend(batch, states, views, s, next);
            let StepScratch { contexts, queries, joint, gates, activations, .. } = s;
            limited.emit_into(contexts, queries, joint, gates, activations);
            t.output.forward_into(batch, gates, log_probs, activations);
            log_probs.chunks_exact_mut(t.num_tokens()).for_each(|row| kernels().log_softmax(row));
            return;
        }
        let (state_dim, context_dim) = (t.state_rnn[0].hidden(), t.attention.dim());

        let mut offset = 0;
        for (i, layer) in t.state_rnn.iter().enumerate() {
            s.gates.resize(batch * 4 * state_dim, 0.0);
            if i == 0 {
                t.first_gates_into(states, tokens, s);
            } else {
                let below = Rows { data: &next[offset - 2 * state_dim..], stride: size };
                layer.project_into(batch, below, &mut s.gates, &mut s.activations);
            }
            let old = Rows { data: &states[offset..], stride: size };
            let mut new = RowsMut { data: &mut next[offset..], stride: size };
            layer.step_into(batch, &mut s.gates, old, &mut new, &mut s.activations);
            offset += 2 * state_dim;
        }

        s.contexts.resize(batch * context_dim, 0.0);
        s.queries.clear();
        for row in next.chunks_exact(size) {
            s.queries.extend_from_slice(&row[offset - 2 * state_dim..offset - state_dim]);
        }
        t.attend(batch, states, views, s, next);
        s.joint.clear();
        for (context, row) in s.contexts.chunks_exact(context_dim).zip(next.chunks_exact_mut(size))
        {
            s.joint.extend_from_slice(context);
            s.joint.extend_from_slice(&row[offset - 2 * state_dim..offset - state_dim]);
            if t.context_input.is_some() {
                row[t.marker() - context_dim..t.marker()].copy_from_slice(context);
            }
        }

        let emit_dim = t.emit_rnn[0].hidden();
        s.gates.resize(batch * 4 * emit_dim, 0.0);
        for (i, layer) in t.emit_rnn.iter().enumerate() {
            let below = if i == 0 {
                Rows { data: &s.joint, stride: context_dim + state_dim }
            } else {
                Rows { data: &next[offset - 2 * emit_dim..], stride: size }
            };
            layer.project_into(batch, below, &mut s.gates, &mut s.activations);
            let old = Rows { data: &states[offset..], stride: size };
            let mut new = RowsMut { data: &mut next[offset..], stride: size };
            layer.step_into(batch, &mut s.gates, old, &mut new, &mut s.activations);
            offset += 2 * emit_dim;
        }
        let top = Rows { data: &next[offset - 2 * emit_dim..], stride: size };
        t.output.forward_rows_into(batch, top, log_probs, &mut s.activations);
        for row in log_probs.chunks_exact_mut(t.num_tokens()) {
            kernels().log_softmax(row);
        }
    }
}
