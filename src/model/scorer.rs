//! The transducer at one block, or at those of many streams.

use super::transducer::{StepScratch, Transducer};
use crate::attention::{BlockView, KeyValues, Watched, Window};
use crate::search::{StepOutput, StepScorer};
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

    /// Contexts `[batch, context_dim]` of the latest step.
    pub fn contexts(&self) -> &[f32] {
        &self.scratch.contexts
    }

    /// Where the attention of the latest step looked, if [`StepScratch::watch`] was called.
    pub fn watched(&self) -> Option<&Watched> {
        self.scratch.attention.watched()
    }
}

/// The transducer bound to the blocks of the streams whose rows it steps, as many rows of each view as it names.
pub struct RowScorer<'a, V> {
    transducer: &'a Transducer,
    views: V,
    scratch: &'a mut StepScratch,
}

impl<V> std::fmt::Debug for RowScorer<'_, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowScorer").finish_non_exhaustive()
    }
}

impl<'a, V> RowScorer<'a, V> {
    pub(super) fn new(transducer: &'a Transducer, views: V, scratch: &'a mut StepScratch) -> Self {
        Self { transducer, views, scratch }
    }
}

/// A row's results do not depend on the other rows.
///
/// # Panics
/// If a slice does not hold as many rows as there are tokens and rows of the views, or a token is out of range.
impl<'m, V: Iterator<Item = BlockView<'m>> + Clone> StepScorer for RowScorer<'_, V> {
    fn num_tokens(&self) -> usize {
        self.transducer.num_tokens()
    }

    fn state_size(&self) -> usize {
        self.transducer.state_size()
    }

    fn step_into(&mut self, states: &[f32], tokens: &[TokenId], out: StepOutput<'_>) {
        self.transducer.step_into(states, tokens, &self.views, self.scratch, out);
    }
}

/// A row's results do not depend on the other rows.
///
/// # Panics
/// If a slice does not hold as many rows as there are tokens, a token is out of range, or the block's frames are not in memory.
impl StepScorer for BlockScorer<'_> {
    fn num_tokens(&self) -> usize {
        self.transducer.num_tokens()
    }

    fn state_size(&self) -> usize {
        self.transducer.state_size()
    }

    fn step_into(&mut self, states: &[f32], tokens: &[TokenId], out: StepOutput<'_>) {
        let Self { memory, window, block, .. } = *self;
        let view = BlockView { rows: tokens.len(), memory, window, block };
        let views = std::iter::once(view);
        self.transducer.step_into(states, tokens, &views, self.scratch, out);
    }
}
