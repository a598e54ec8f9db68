//! The transducer at one block.

use super::transducer::{StepScratch, Transducer};
use crate::attention::{BlockView, KeyValues, Watched, Window};
use crate::search::StepScorer;
use crate::tokens::TokenId;

/// The transducer bound to one block of one stream.
#[derive(Debug)]
pub struct BlockScorer<'a> {
    transducer: &'a Transducer,
    memory: &'a KeyValues,
    window: Window,
    block: usize,
    scratch: &'a mut StepScratch,
}

impl<'a> BlockScorer<'a> {
    pub(super) fn new(
        transducer: &'a Transducer,
        memory: &'a KeyValues,
        window: Window,
        block: usize,
        scratch: &'a mut StepScratch,
    ) -> Self {
        Self { transducer, memory, window, block, scratch }
    }

    /// Size of the output layer, `<e>` included.
    pub fn num_tokens(&self) -> usize {
        self.transducer.num_tokens()
    }

    /// Values of one recurrent state. The first state of a stream is all zeros.
    pub fn state_size(&self) -> usize {
        self.transducer.state_size()
    }

    /// Contexts `[batch, context_dim]` of the latest step.
    pub fn contexts(&self) -> &[f32] {
        &self.scratch.contexts
    }

    /// Where the attention of the latest step looked, if [`StepScratch::watch`] was called.
    pub fn watched(&self) -> Option<&Watched> {
        self.scratch.attention.watched()
    }

    /// One step of a batch of hypotheses: `states` `[batch, state_size]` and the previous token
    /// of each give `next` `[batch, state_size]` and `log_probs` `[batch, num_tokens]`. A row's
    /// results do not depend on the other rows.
    ///
    /// # Panics
    /// If a slice does not hold `tokens.len()` rows, a token is out of range, or the block's
    /// frames are not in memory.
    pub fn step_into(
        &mut self,
        states: &[f32],
        tokens: &[u32],
        next: &mut [f32],
        log_probs: &mut [f32],
    ) {
        let Self { memory, window, block, .. } = *self;
        let view = BlockView { rows: tokens.len(), memory, window, block };
        let views = std::iter::once(view);
        self.transducer.step_into(states, tokens, &views, self.scratch, next, log_probs);
    }
}

impl StepScorer for BlockScorer<'_> {
    fn num_tokens(&self) -> usize {
        self.num_tokens()
    }

    fn state_size(&self) -> usize {
        self.state_size()
    }

    fn step_into(
        &mut self,
        states: &[f32],
        tokens: &[TokenId],
        next: &mut [f32],
        log_probs: &mut [f32],
    ) {
        BlockScorer::step_into(self, states, tokens, next, log_probs);
    }
}
