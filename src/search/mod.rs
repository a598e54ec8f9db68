//! Finding the best words: block-synchronous search over what the transducer emits.
//!
//! Every block begins with the hypotheses that closed the block before. Each is extended token by token until it emits the
//! end-of-block symbol, after at most M-1 tokens; equation 12 of Jaitly et al. 2016 is what is maximised, here with a lexicon
//! and a language model on top. Words that all hypotheses share are handed out once and forgotten, so memory stays bounded.

mod beam;
mod constraint;
mod greedy;
mod hypothesis;
#[cfg(test)]
mod tests;

pub use beam::BeamSearch;
pub use constraint::{Constraint, LexiconConstraint};
pub use greedy::Greedy;
pub use hypothesis::{Hypothesis, Word};

use crate::tokens::TokenId;

/// Log-probabilities are raised to this, so that a network that rules out everything still gives an answer.
const LOG_PROB_FLOOR: f32 = -1e4;

/// What search sees of the network, bound to one block. The state before the first step of a stream is all zeros, and the
/// token before it is the end-of-block symbol.
pub trait StepScorer {
    /// Number of tokens, the end-of-block symbol included.
    fn num_tokens(&self) -> usize;

    /// Values in one recurrent state.
    fn state_size(&self) -> usize;

    /// Advances a batch by one token: from `states` `[batch, state_size]` and the token before each, `tokens` `[batch]`,
    /// to `next` `[batch, state_size]` and `log_probs` `[batch, num_tokens]` (a log-softmax) of the token to come.
    fn step_into(
        &mut self,
        states: &[f32],
        tokens: &[TokenId],
        next: &mut [f32],
        log_probs: &mut [f32],
    );
}

/// A search over one stream: blocks in, words out.
pub trait Search: Send {
    /// Reads one block; `scorer` is bound to it. `max_tokens_per_block` is M: at most M-1 tokens and the end-of-block symbol.
    /// Does nothing between [`Search::finish`] and [`Search::reset`].
    fn advance_block(&mut self, scorer: &mut dyn StepScorer, max_tokens_per_block: usize);

    /// The stream is over: settles on the best words, which all become confirmed.
    fn finish(&mut self);

    /// Back to the start of a stream.
    fn reset(&mut self);

    /// Moves the words confirmed since the last call to the end of `out`. They never change.
    fn take_confirmed(&mut self, out: &mut Vec<Word>);

    /// Appends the words of the best hypothesis that are not yet confirmed. They may change; an unfinished word is not among them.
    fn tentative(&self, out: &mut Vec<Word>);

    /// The best `n` distinct word sequences, best first. Words that were confirmed before [`Search::finish`] are common to all
    /// and left out.
    fn n_best(&self, n: usize) -> Vec<Hypothesis>;

    /// Blocks read since the start of the stream.
    fn num_blocks(&self) -> u32;

    /// Block in which the best hypothesis emitted its newest token; none before the first.
    fn last_token_block(&self) -> Option<u32>;
}

fn bounded(log_prob: f32) -> f32 {
    if log_prob.is_nan() { LOG_PROB_FLOOR } else { log_prob.clamp(LOG_PROB_FLOOR, 0.0) }
}

/// Adds `bias` to the end-of-block symbol's logit: (what its log-probability gains, what all others gain).
///
/// Every hypothesis closes every block, so a bias without renewed normalisation would be the same for all and change nothing
/// but what is pruned. So it favours speaking, at most by `-bias` a token, where the network is sure that it should not.
fn bias_gains(end_of_block_log_prob: f32, bias: f32) -> (f32, f32) {
    let p = bounded(end_of_block_log_prob).exp();
    let others = -(1.0 - p + p * bias.clamp(-50.0, 50.0).exp()).ln();
    (bias + others, others)
}
