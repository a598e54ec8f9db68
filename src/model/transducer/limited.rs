//! The nets before and after attention where the last few tokens are all that is known of what was said (Ghodsi et al., 2020: a
//! transducer needs no recurrent memory of its tokens).
//!
//! Hypotheses that agree on those tokens share what they see, and the network can't learn its training sentences by heart.

use super::{Before, StepScratch};
use crate::config::TransducerConfig;
use crate::error::Result;
use crate::nn::kernels::kernels;
use crate::nn::{Linear, PackedMatrix, Rows, RowsMut};
use crate::weights::Weights;

/// `relu(W [embeddings of the last tokens])` before attention, `relu(W [context; that])` after it.
#[derive(Debug)]
pub(super) struct LimitedNets {
    /// What each token adds at each of its places, the oldest first, `[history, tokens, state_dim]`; the bias stands in the newest's.
    tables: Vec<f32>,
    history: usize,
    state_dim: usize,
    /// After attention: the context's part, and the query's, which has the bias.
    heard: PackedMatrix,
    emit: Linear,
    num_parameters: usize,
}

fn relu(values: &mut [f32]) {
    for value in values {
        *value = value.max(0.0);
    }
}

impl LimitedNets {
    /// `embeddings` `[tokens, embedding_dim]`.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) naming the first tensor that does not fit.
    pub fn load(
        config: &TransducerConfig,
        context_dim: usize,
        embeddings: &[f32],
        weights: &Weights<'_>,
    ) -> Result<Self> {
        let (history, dim, state_dim) = (config.history, config.embedding_dim, config.state_dim);
        let columns = history * dim;
        let weight = weights.tensor("transducer.state_net.weight", &[state_dim, columns])?;
        let bias = weights.tensor("transducer.state_net.bias", &[state_dim])?;
        let mut tables = Vec::with_capacity(history * embeddings.len() / dim * state_dim);
        for place in 0..history {
            for token in embeddings.chunks_exact(dim) {
                for (row, bias) in weight.chunks_exact(columns).zip(&bias) {
                    let part = &row[place * dim..][..dim];
                    let sum: f32 = part.iter().zip(token).map(|(w, e)| w * e).sum();
                    tables.push(if place + 1 == history { sum + bias } else { sum });
                }
            }
        }
        let width = context_dim + state_dim;
        let matrix = weights.matrix("transducer.emit_net.weight", config.emit_dim, width)?;
        let heard = matrix.pack_columns(width, 0..context_dim);
        let emit_bias = weights.tensor("transducer.emit_net.bias", &[config.emit_dim])?;
        let emit = Linear::from_packed(matrix.pack_columns(width, context_dim..width), emit_bias);
        let num_parameters =
            weight.len() + bias.len() + heard.inputs() * heard.outputs() + emit.num_parameters();
        Ok(Self { tables, history, state_dim, heard, emit, num_parameters })
    }

    pub fn num_parameters(&self) -> usize {
        self.num_parameters
    }

    pub fn is_int8(&self) -> bool {
        self.emit.is_int8()
    }

    /// Values in a state: the tokens before the newest, the oldest first, as numbers (exact in 16 bits up to 2048).
    pub fn state_size(&self) -> usize {
        self.history - 1
    }

    /// The queries `[batch, state_dim]`, and what `next` keeps.
    pub fn query_into(&self, before: Before<'_>, s: &mut StepScratch, next: &mut [f32]) {
        let Before { states, stride, tokens } = before;
        let num_tokens = self.tables.len() / (self.history * self.state_dim);
        let earlier = self.state_size();
        s.queries.clear();
        s.queries.resize(tokens.len() * self.state_dim, 0.0);
        let rows = states.chunks_exact(stride).zip(next.chunks_exact_mut(stride)).zip(tokens);
        for (((old, new), token), query) in rows.zip(s.queries.chunks_exact_mut(self.state_dim)) {
            let known = old[..earlier].iter().map(|v| *v as usize).chain([*token as usize]);
            for (place, token) in known.enumerate() {
                let row = (place * num_tokens + token) * self.state_dim;
                let added = &self.tables[row..][..self.state_dim];
                query.iter_mut().zip(added).for_each(|(q, a)| *q += a);
            }
            relu(query);
            if let Some(last) = earlier.checked_sub(1) {
                new[..last].copy_from_slice(&old[1..earlier]);
                new[last] = *token as f32;
            }
        }
    }

    /// From the queries in `s` to the sums of the layer after attention, but for what the contexts add to them.
    pub fn begin_emission(&self, batch: usize, s: &mut StepScratch) {
        let StepScratch { gates, queries, activations, .. } = s;
        gates.resize(batch * self.emit.outputs(), 0.0);
        self.emit.forward_into(batch, queries, gates, activations);
    }

    /// What the output layer would read had nothing been heard, `s.emitted` `[batch, emit_dim]`: from the sums as
    /// [`Self::begin_emission`] left them, which stay.
    pub fn emit_unheard(s: &mut StepScratch) {
        Self::activate(s);
    }

    /// The outputs of the layer after attention from its sums.
    fn activate(s: &mut StepScratch) {
        s.emitted.clone_from(&s.gates);
        relu(&mut s.emitted);
    }

    /// From those sums and the contexts in `s` to what the output layer reads, `s.emitted` `[batch, emit_dim]`.
    pub fn emit_into(&self, batch: usize, s: &mut StepScratch) {
        let StepScratch { gates, contexts, activations, .. } = s;
        let contexts = Rows { data: contexts, stride: self.heard.inputs() };
        let sums = RowsMut { data: gates, stride: self.heard.outputs() };
        self.heard.accumulate(kernels(), batch, contexts, sums, activations);
        Self::activate(s);
    }
}
