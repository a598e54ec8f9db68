//! The network that emits tokens for a block: equations (3) to (6) of Jaitly et al., 2016.

mod limited;
mod recurrent;
mod stack;

use super::attention;
use crate::attention::{Attention, AttentionScratch, BlockView};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::nn::kernels::kernels;
use crate::nn::{Activations, Linear, Rows, RowsMut};
use crate::search::{NUM_PLACES, StepOutput};
use crate::tokens::TokenId;
use crate::weights::Weights;
use limited::LimitedNets;
use recurrent::RecurrentNets;

/// Logit of a token that is ruled out.
const NEXT_TO_NEVER: f32 = -1e4;

/// The nets before and after attention.
#[derive(Debug)]
enum Nets {
    Recurrent(RecurrentNets),
    Limited(LimitedNets),
}

/// What a step begins with.
#[derive(Clone, Copy)]
struct Before<'a> {
    /// Rows of `stride` values.
    states: &'a [f32],
    stride: usize,
    /// `[batch]`, to be read on top of them.
    tokens: &'a [TokenId],
}

/// Transducer weights. A state row is what the nets keep, then, where something hangs on it, one more than the block of the step (0 before
/// the first; exact up to 2^24) and what attention keeps; the last two say where the token to come begins and ends
/// ([`crate::search::NUM_PLACES`]).
#[derive(Debug)]
pub(super) struct Transducer {
    nets: Nets,
    attention: Attention,
    output: Linear,
    num_embedded: usize,
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
    /// States of rows some of which start anew.
    fresh: Vec<f32>,
    /// Outputs of the net before attention.
    queries: Vec<f32>,
    /// Outputs of the net after it.
    emitted: Vec<f32>,
    /// Of that net had nothing been heard: the first layer's gates, and states from which nobody goes on.
    unheard_gates: Vec<f32>,
    unheard_states: Vec<f32>,
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
        let context_dim = config.attention.dim;
        let embedding = "transducer.embedding.weight";
        let num_tokens = weights.rows(embedding, t.embedding_dim)?;
        let embeddings = weights.tensor(embedding, &[num_tokens, t.embedding_dim])?;
        let num_embedded = embeddings.len();
        let nets = if t.history > 0 {
            Nets::Limited(LimitedNets::load(t, context_dim, &embeddings, weights)?)
        } else {
            Nets::Recurrent(RecurrentNets::load(t, context_dim, embeddings, weights)?)
        };
        Ok(Self {
            nets,
            attention: attention::load(config, weights)?,
            output: weights.linear("transducer.output", num_tokens, t.emit_dim)?,
            num_embedded,
            carry_state: t.carry_state,
            place_shares: match &config.word_times {
                Some(times) => [times.start_heads.clone(), times.end_heads.clone()],
                None => [Vec::new(), Vec::new()],
            },
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
        let nets = match &self.nets {
            Nets::Recurrent(nets) => nets.num_parameters(),
            Nets::Limited(nets) => nets.num_parameters(),
        };
        self.num_embedded + nets + self.output.num_parameters()
    }

    pub fn state_size(&self) -> usize {
        let marked = if self.is_marked() { 1 + self.attention.state_size() } else { 0 };
        self.marker() + marked + NUM_PLACES
    }

    /// Where the block stands in a state row.
    fn marker(&self) -> usize {
        match &self.nets {
            Nets::Recurrent(nets) => nets.state_size(),
            Nets::Limited(nets) => nets.state_size(),
        }
    }

    fn is_marked(&self) -> bool {
        !self.carry_state || self.attention.state_size() > 0
    }

    /// See [`Model::small_parts`](super::Model::small_parts).
    pub fn small_parts(&self) -> Option<Vec<usize>> {
        let (int8, parts) = match &self.nets {
            Nets::Recurrent(nets) => {
                (nets.is_int8(), nets.sizes().into_iter().flat_map(|size| [size; 2]).collect())
            }
            Nets::Limited(nets) => (nets.is_int8(), Vec::new()),
        };
        (int8 && !self.is_marked()).then_some(parts)
    }

    /// See [`Model::step_into`](super::Model::step_into).
    pub fn step_into<'m>(
        &self,
        states: &[f32],
        tokens: &[TokenId],
        views: &(impl Iterator<Item = BlockView<'m>> + Clone),
        scratch: &mut StepScratch,
        out: StepOutput<'_>,
    ) {
        if self.carry_state {
            return self.step(states, tokens, views, scratch, out);
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
        self.step(&fresh, tokens, views, scratch, out);
        scratch.fresh = fresh;
    }

    fn step<'m>(
        &self,
        states: &[f32],
        tokens: &[TokenId],
        views: &(impl Iterator<Item = BlockView<'m>> + Clone),
        scratch: &mut StepScratch,
        out: StepOutput<'_>,
    ) {
        let StepOutput { next, log_probs, internal_lm } = out;
        let (batch, size) = (tokens.len(), self.state_size());
        assert!(states.len() == batch * size && next.len() == batch * size, "state rows");
        let values = batch * self.num_tokens();
        assert_eq!(log_probs.len(), values, "log-probability rows");
        if batch == 0 {
            return;
        }
        let before = Before { states, stride: size, tokens };
        match &self.nets {
            Nets::Recurrent(nets) => nets.query_into(before, scratch, next),
            Nets::Limited(nets) => nets.query_into(before, scratch, next),
        }
        scratch.contexts.resize(batch * self.attention.dim(), 0.0);
        self.attend(batch, states, views, scratch, next);
        match &self.nets {
            Nets::Recurrent(nets) => nets.begin_emission(before, scratch),
            Nets::Limited(nets) => nets.begin_emission(batch, scratch),
        }
        if let Some((end_of_block, internal_lm)) = internal_lm {
            match &self.nets {
                Nets::Recurrent(nets) => nets.emit_unheard(before, scratch),
                Nets::Limited(_) => LimitedNets::emit_unheard(scratch),
            }
            let StepScratch { emitted, activations, .. } = scratch;
            self.output.forward_into(batch, emitted, internal_lm, activations);
            for row in internal_lm.chunks_exact_mut(self.num_tokens()) {
                row[end_of_block as usize] = NEXT_TO_NEVER;
                kernels().log_softmax(row);
            }
        }
        match &self.nets {
            Nets::Recurrent(nets) => nets.emit_into(before, scratch, next),
            Nets::Limited(nets) => nets.emit_into(batch, scratch),
        }
        let StepScratch { emitted, activations, .. } = scratch;
        self.output.forward_into(batch, emitted, log_probs, activations);
        log_probs.chunks_exact_mut(self.num_tokens()).for_each(|row| kernels().log_softmax(row));
    }

    /// Contexts of the rows whose queries stand in `s.queries`.
    fn attend<'m>(
        &self,
        batch: usize,
        states: &[f32],
        views: &(impl Iterator<Item = BlockView<'m>> + Clone),
        s: &mut StepScratch,
        next: &mut [f32],
    ) {
        let size = self.state_size();
        let queries = Rows { data: &s.queries, stride: s.queries.len() / batch };
        let (contexts, scratch) = (&mut s.contexts, &mut s.attention);
        let (mut old, mut new): (&[f32], &mut [f32]) = (&[], &mut []);
        if self.is_marked() {
            let blocks = views.clone().flat_map(|view| std::iter::repeat_n(view.block, view.rows));
            for (row, block) in next.chunks_exact_mut(size).zip(blocks) {
                row[self.marker()] = (block + 1) as f32;
            }
            (old, new) = (&states[self.marker()..], &mut next[self.marker()..]);
        }
        let old = Rows { data: old, stride: size };
        let mut new = RowsMut { data: new, stride: size };
        self.attention.attend_into(batch, queries, views, old, &mut new, scratch, contexts);
        let blocks =
            views.clone().flat_map(|view| std::iter::repeat_n(view.window.block_frames, view.rows));
        let centres = s.attention.centres().chunks_exact(self.attention.num_heads);
        for ((row, block_frames), centres) in next.chunks_exact_mut(size).zip(blocks).zip(centres) {
            let middle = -(block_frames as f32) / 2.0;
            for (place, shares) in row[size - NUM_PLACES..].iter_mut().zip(&self.place_shares) {
                let moved =
                    shares.iter().zip(centres).map(|(share, centre)| share * (centre - middle));
                *place = middle + moved.sum::<f32>();
            }
        }
    }
}
