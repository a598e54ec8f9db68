//! Finding the best words: block-synchronous search over what the transducer emits.
//!
//! Every block begins with the hypotheses that closed the block before. Each is extended token by token until it emits the
//! end-of-block symbol, after at most M-1 tokens; equation 12 of Jaitly et al. 2016 is what is maximised, here with a lexicon
//! and a language model on top. Words that all hypotheses share are handed out once and forgotten, so memory stays bounded.

mod beam;
mod candidate;
mod constraint;
mod emitted;
mod grammar;
mod greedy;
mod hotwords;
mod hypothesis;
mod look_ahead;
mod recall;
mod states;
#[cfg(test)]
mod tests;
mod word;

pub use beam::{BeamSearch, SearchScratch};
pub use constraint::{Constraint, LexiconConstraint, TextConstraint};
pub use emitted::Emitted;
#[cfg(feature = "lists")]
pub use emitted::Listed;
pub use grammar::{DEFAULT_UNKNOWN_COST, Grammar, GrammarConstraint, UNKNOWN_ID, UNKNOWN_PHRASE};
pub use greedy::Greedy;
pub use hotwords::{Cursor, Hotword, HotwordTrie};
pub use word::{Hypothesis, Word};

use crate::tokens::TokenId;

/// Log-probabilities are raised to this, so that a network that rules out everything still gives an answer.
const LOG_PROB_FLOOR: f32 = -1e4;

/// Values at the end of a recurrent state that say where the token to come begins and ends.
pub const NUM_PLACES: usize = 2;

/// What search sees of the network, bound to the blocks of some rows: of one block in tests and traces, of those of many streams in
/// the [`Engine`](crate::Engine). The state before the first step of a stream is all zeros, and the
/// token before it is the end-of-block symbol.
pub trait StepScorer {
    /// Number of tokens, the end-of-block symbol included.
    fn num_tokens(&self) -> usize;

    /// Values in one recurrent state, [`NUM_PLACES`] at least: where the token that follows on it begins and ends, in encoder
    /// frames from the end of the block that emits it, stands last in it.
    fn state_size(&self) -> usize;

    /// Advances a batch by one token: from `states` `[batch, state_size]` and the token before each, `tokens` `[batch]`, to what
    /// `out` has room for.
    fn step_into(&mut self, states: &[f32], tokens: &[TokenId], out: StepOutput<'_>);
}

/// Room for what the network says of a batch of rows.
#[derive(Debug)]
pub struct StepOutput<'a> {
    /// The next states, `[batch, state_size]`.
    pub next: &'a mut [f32],
    /// Of the token to come, `[batch, num_tokens]`: a log-softmax.
    pub log_probs: &'a mut [f32],
    /// Where it is wanted, the internal language model: the same had nothing been heard and were this token, the end of the block,
    /// ruled out.
    pub internal_lm: Option<(TokenId, &'a mut [f32])>,
}

impl<'a> StepOutput<'a> {
    /// Without an internal language model.
    pub fn new(next: &'a mut [f32], log_probs: &'a mut [f32]) -> Self {
        Self { next, log_probs, internal_lm: None }
    }
}

/// What the network says of some rows.
#[derive(Debug, Clone, Copy)]
pub struct StepRows<'a> {
    /// The next states, `[rows, state_size]`.
    pub next: &'a [f32],
    /// Of the token to come, `[rows, num_tokens]`.
    pub log_probs: &'a [f32],
    /// See [`StepOutput`]; empty if nobody wanted it.
    pub internal_lm: &'a [f32],
}

/// Rows for the network: those of one search, or of many that are stepped together.
#[derive(Debug, Default)]
pub struct StepBatch {
    /// `[rows, state_size]`
    states: Vec<f32>,
    /// `[rows]`
    tokens: Vec<TokenId>,
    /// `[rows, state_size]`
    next: Vec<f32>,
    /// `[rows, num_tokens]`
    log_probs: Vec<f32>,
    /// `[rows, num_tokens]`, or nothing.
    internal_lm: Vec<f32>,
    /// The end of the block, if a row's search takes the internal language model back.
    wants_internal_lm: Option<TokenId>,
}

/// What the network says of the rows of a batch, those taken first that were added first.
#[derive(Debug)]
pub struct StepResults<'a> {
    state_size: usize,
    num_tokens: usize,
    left: StepRows<'a>,
}

impl StepBatch {
    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.states.clear();
        self.tokens.clear();
        self.wants_internal_lm = None;
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Has `scorer`, which is bound to the blocks of the rows, compute them.
    pub fn run(&mut self, scorer: &mut dyn StepScorer) {
        let Self { states, tokens, next, log_probs, internal_lm, wants_internal_lm } = self;
        let values = tokens.len() * scorer.num_tokens();
        next.resize(states.len(), 0.0);
        log_probs.resize(values, 0.0);
        internal_lm.resize(wants_internal_lm.map_or(0, |_| values), 0.0);
        let internal_lm =
            wants_internal_lm.map(|end_of_block| (end_of_block, &mut internal_lm[..]));
        scorer.step_into(states, tokens, StepOutput { next, log_probs, internal_lm });
    }

    /// What came of the rows.
    pub fn results(&self) -> StepResults<'_> {
        let rows = self.len().max(1);
        StepResults {
            state_size: self.next.len() / rows,
            num_tokens: self.log_probs.len() / rows,
            left: StepRows {
                next: &self.next,
                log_probs: &self.log_probs,
                internal_lm: &self.internal_lm,
            },
        }
    }
}

impl<'a> StepResults<'a> {
    /// Takes the next `rows`.
    ///
    /// # Panics
    /// If there are fewer left.
    pub fn take(&mut self, rows: usize) -> StepRows<'a> {
        let StepRows { next, log_probs, internal_lm } = self.left;
        let (next, next_left) = next.split_at(rows * self.state_size);
        let (log_probs, log_probs_left) = log_probs.split_at(rows * self.num_tokens);
        let wanted = internal_lm.len().min(rows * self.num_tokens);
        let (internal_lm, internal_lm_left) = internal_lm.split_at(wanted);
        self.left =
            StepRows { next: next_left, log_probs: log_probs_left, internal_lm: internal_lm_left };
        StepRows { next, log_probs, internal_lm }
    }
}

/// A search over one stream: blocks in, words out.
///
/// A block is read by [`Search::begin_block`] and then, until nothing is pending, one step of the network for
/// [`Search::pending_into`] and [`Search::absorb`]; [`Search::advance_block`] does all of it.
pub trait Search: Send {
    /// Begins a block. `max_tokens_per_block` is M: at most M-1 tokens and the end-of-block symbol. Nothing becomes pending
    /// between [`Search::finish`] and [`Search::reset`].
    fn begin_block(&mut self, state_size: usize, max_tokens_per_block: usize);

    /// Rows that the network must compute before the block can go on; 0 when it is over.
    fn num_pending(&self) -> usize;

    /// Appends those rows, their states and the tokens before them.
    fn pending_into(&self, batch: &mut StepBatch);

    /// Goes on with what the network says of those rows.
    fn absorb(&mut self, rows: StepRows<'_>, scratch: &mut SearchScratch);

    /// Reads one block; `scorer` is bound to it.
    fn advance_block(&mut self, scorer: &mut dyn StepScorer, max_tokens_per_block: usize) {
        let (mut batch, mut scratch) = (StepBatch::default(), SearchScratch::default());
        self.begin_block(scorer.state_size(), max_tokens_per_block);
        while self.num_pending() > 0 {
            batch.clear();
            self.pending_into(&mut batch);
            batch.run(scorer);
            let rows = batch.results().take(self.num_pending());
            self.absorb(rows, &mut scratch);
        }
    }

    /// Bytes held.
    fn num_bytes(&self) -> usize;

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

    /// Whether the best hypothesis is a phrase that nothing can follow.
    fn phrase_is_over(&self) -> bool {
        false
    }
}

/// Logarithm of the sum of two probabilities, given by theirs.
fn log_add(a: f32, b: f32) -> f32 {
    let (high, low) = if a >= b { (a, b) } else { (b, a) };
    high + (low - high).exp().ln_1p()
}

fn bounded(log_prob: f32) -> f32 {
    if log_prob.is_nan() { LOG_PROB_FLOOR } else { log_prob.clamp(LOG_PROB_FLOOR, 0.0) }
}

/// Adds `bias` to the end-of-block symbol's logit: (what its log-probability gains, what all others gain).
///
/// Every hypothesis closes every block, so a bias without renewed normalisation would be the same for all and change nothing
/// but what is pruned. So it boosts speaking, at most by `-bias` a token, where the network is sure that it should not.
fn bias_gains(end_of_block_log_prob: f32, bias: f32) -> (f32, f32) {
    let p = bounded(end_of_block_log_prob).exp();
    let others = -(1.0 - p + p * bias.clamp(-50.0, 50.0).exp()).ln();
    (bias + others, others)
}
