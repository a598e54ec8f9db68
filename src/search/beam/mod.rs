//! Block-synchronous beam search.

mod confirm;
mod rows;
mod select;
mod support;

use std::sync::Arc;

use super::candidate::{Candidate, Sink, Step};
use super::hotwords::HotwordTrie;
use super::hypothesis::{History, NONE, Path};
use super::look_ahead::LookAhead;
use super::recall::{Recall, RecallScratch};
use super::states::StatePool;
use super::{Constraint, Hypothesis, Search, StepBatch, StepRows, Word, bias_gains};
use crate::config::SearchConfig;
use crate::lm::NgramLm;
use crate::tokens::TokenId;
use support::Support;

/// Beam search. Log-probabilities of equal words are added where they meet; all ties are broken by the order of generation, so
/// results depend on nothing but the input.
///
/// The word bonus and the language model's look-ahead are given when a word begins; its exact score replaces the look-ahead
/// when the word ends.
#[derive(Debug)]
pub struct BeamSearch {
    config: SearchConfig,
    constraint: Constraint,
    hotwords: Option<Arc<HotwordTrie>>,
    end_of_block: TokenId,
    known_tokens: u32,
    pool: StatePool,
    /// What the neural language model makes of the words of hypotheses, if it has a say.
    recall: Option<Recall>,
    history: History,
    /// Hypotheses at the border of a block, best first.
    closed: Vec<Path>,
    /// Hypotheses inside the current block.
    active: Vec<Path>,
    /// Added to all scores.
    offset: f64,
    block: u32,
    finished: bool,
    confirmed: Vec<Word>,
    support: Support,
    /// By active hypothesis: its row of the network. Those of equal tokens share one.
    rows: Vec<u32>,
    num_rows: usize,
    /// Steps of the network in this block so far, and how many there may be.
    steps: usize,
    max_steps: usize,
}

/// Memory that searches need while they work. Nothing in it outlives a call, so one serves any number of streams.
#[derive(Debug, Default)]
pub struct SearchScratch {
    look_ahead: LookAhead,
    candidates: Vec<Candidate>,
    /// By row: what the bias adds to the end of the block, and to every other token.
    gains: Vec<(f32, f32)>,
    ranked: Vec<u64>,
    accepted: Vec<Candidate>,
    /// By row: the slot of its next state.
    slots: Vec<u32>,
    /// Rows, or slots of hypotheses that stay, whose state is wanted.
    wanted: Vec<(bool, u32)>,
    recall: RecallScratch,
    /// The best hypothesis' unconfirmed entries and words, first word first.
    best: Vec<(u32, u32)>,
    /// Where entries of the history go.
    moved: Vec<u32>,
    /// Room for hypotheses inside a block, which a search needs only there.
    spare: Vec<Vec<Path>>,
}

impl BeamSearch {
    /// A search at the start of a stream. The scorer must know all tokens of the constraint.
    pub fn new(config: &SearchConfig, constraint: Constraint, end_of_block: TokenId) -> Self {
        let recall = Recall::of(&constraint, config);
        Self {
            config: config.clone(),
            constraint,
            recall,
            hotwords: None,
            end_of_block,
            known_tokens: 0,
            pool: StatePool::default(),
            history: History::default(),
            closed: Vec::new(),
            active: Vec::new(),
            offset: 0.0,
            block: 0,
            finished: false,
            confirmed: Vec::new(),
            support: Support::default(),
            rows: Vec::new(),
            num_rows: 0,
            steps: 0,
            max_steps: 0,
        }
    }

    /// Favours sequences of the words, or tokens, of the constraint.
    #[must_use]
    pub fn with_hotwords(self, hotwords: Option<Arc<HotwordTrie>>) -> Self {
        Self { hotwords, ..self }
    }

    /// For a network that knows the last `known_tokens` tokens and no more, the ends of blocks among them (0: all): hypotheses
    /// that agree on those share one row.
    #[must_use]
    pub fn with_known_tokens(self, known_tokens: usize) -> Self {
        Self { known_tokens: known_tokens as u32, ..self }
    }

    /// Keeps the network's states small: parts of these lengths, with which they begin, in 8 bits and the rest in 16.
    #[must_use]
    pub fn with_small_states(self, parts: Option<Vec<usize>>) -> Self {
        let pool = parts.map_or_else(StatePool::default, StatePool::small);
        Self { pool, ..self }
    }

    fn begin(&mut self, state_size: usize) {
        self.pool.clear(state_size);
        let state = self.pool.zeros();
        let lm = self.constraint.lm().map(NgramLm::start).unwrap_or_default();
        let mut path = Path::first(state, self.end_of_block, self.known_tokens, lm);
        if let Some(recall) = &mut self.recall {
            path.recall = recall.begin();
        }
        self.closed.push(path);
    }

    /// Gathers what the active hypotheses can become.
    fn expand(&self, rows: StepRows<'_>, may_emit: bool, scratch: &mut SearchScratch) {
        let StepRows { log_probs, internal_lm, .. } = rows;
        let SearchScratch { candidates, look_ahead, gains, .. } = scratch;
        let num_tokens = log_probs.len() / self.num_rows;
        let (block, end_of_block, hotwords, recall) =
            (self.block, self.end_of_block, self.hotwords.as_deref(), self.recall.as_ref());
        gains.clear();
        gains.extend(log_probs.chunks_exact(num_tokens).map(|log_probs| {
            bias_gains(log_probs[end_of_block as usize], self.config.end_of_block_bias)
        }));
        let steps = (0..).zip(&self.active).zip(&self.rows).map(|((parent, path), row)| {
            let place = *row as usize * num_tokens..(*row as usize + 1) * num_tokens;
            let log_probs = &log_probs[place.clone()];
            let internal_lm = internal_lm.get(place).unwrap_or_default();
            let (closing, gain) = gains[*row as usize];
            Step {
                path,
                parent,
                log_probs,
                internal_lm,
                block,
                end_of_block,
                closing,
                gain,
                hotwords,
                recall,
            }
        });
        candidates.clear();
        let best = self.closed.iter().map(|p| p.score).fold(f32::NEG_INFINITY, f32::max);
        let mut sink = Sink { candidates, best, margin: self.config.prune_log_prob };
        // What closes is often among the best; with that known, less is looked at that has no chance.
        steps.clone().for_each(|step| step.close(&mut sink));
        if may_emit {
            for step in steps {
                step.extend(&self.constraint, &self.config, look_ahead, &mut sink);
            }
        }
    }

    /// Makes hypotheses of the accepted candidates; only here are states and words stored.
    fn accept(&mut self, next: &[f32], scratch: &mut SearchScratch) {
        let SearchScratch { accepted, slots, recall, .. } = scratch;
        if let Some(own) = &mut self.recall {
            own.advance(accepted, self.active.iter().chain(&self.closed), recall);
        }
        let state_size = next.len() / self.num_rows;
        slots.clear();
        slots.resize(self.num_rows, NONE);
        // Slots of the states that were stepped from are free for what came of them.
        for candidate in accepted.iter().filter(|c| c.parent == NONE) {
            self.pool.share(candidate.path.state);
        }
        for path in self.active.iter().chain(&self.closed) {
            self.pool.release(path.state);
        }
        self.active.clear();
        self.closed.clear();
        for candidate in accepted.iter() {
            let mut path = candidate.path;
            if let Some(row) = self.rows.get(candidate.parent as usize) {
                let row = *row as usize;
                if !candidate.closed {
                    path.locate(&next[row * state_size..][..state_size]);
                }
                if slots[row] == NONE {
                    slots[row] = self.pool.insert(&next[row * state_size..][..state_size]);
                } else {
                    self.pool.share(slots[row]);
                }
                path.state = slots[row];
            }
            if let Some(id) = candidate.word {
                let word = path.ended_word(id, self.block);
                path.history = self.history.push(path.history, path.num_words, word);
            }
            if candidate.closed { &mut self.closed } else { &mut self.active }.push(path);
        }
    }

    fn end_block(&mut self, scratch: &mut SearchScratch) {
        self.rank();
        let best = self.closed.first().map_or(0.0, |path| path.score);
        self.offset += f64::from(best);
        self.closed.iter_mut().for_each(|path| path.score -= best);
        self.block += 1;
        self.confirm(scratch);
    }
}

impl Search for BeamSearch {
    fn begin_block(&mut self, state_size: usize, max_tokens_per_block: usize) {
        if self.finished {
            return;
        }
        if self.closed.is_empty() {
            self.begin(state_size);
        }
        std::mem::swap(&mut self.closed, &mut self.active);
        (self.steps, self.max_steps) = (0, max_tokens_per_block.max(1));
        self.assign_rows();
    }

    fn num_pending(&self) -> usize {
        if self.active.is_empty() { 0 } else { self.num_rows }
    }

    fn pending_into(&self, batch: &mut StepBatch) {
        // Nothing is active once the block is over.
        for path in self.row_owners() {
            self.pool.get_into(path.state, &mut batch.states);
            batch.tokens.push(path.token);
        }
        if self.config.internal_lm_weight > 0.0 && self.constraint.lm().is_some() {
            batch.wants_internal_lm = Some(self.end_of_block);
        }
    }

    fn absorb(&mut self, rows: StepRows<'_>, scratch: &mut SearchScratch) {
        if self.closed.capacity() == 0 {
            self.closed = scratch.spare.pop().unwrap_or_default();
        }
        self.steps += 1;
        self.expand(rows, self.steps < self.max_steps, scratch);
        self.select(scratch);
        self.accept(rows.next, scratch);
        if self.active.is_empty() {
            scratch.spare.push(std::mem::take(&mut self.active));
            self.end_block(scratch);
        } else {
            self.assign_rows();
        }
    }

    fn num_bytes(&self) -> usize {
        let paths = self.closed.capacity() + self.active.capacity();
        paths * size_of::<Path>()
            + self.pool.num_bytes()
            + self.recall.as_ref().map_or(0, Recall::num_bytes)
            + self.history.num_bytes()
            + self.support.num_bytes()
    }

    fn finish(&mut self) {
        if self.finished {
            return;
        }
        self.finished = true;
        self.settle();
    }

    fn reset(&mut self) {
        self.closed.clear();
        self.active.clear();
        self.confirmed.clear();
        self.support.clear();
        self.history.clear();
        self.offset = 0.0;
        self.block = 0;
        self.finished = false;
    }

    fn take_confirmed(&mut self, out: &mut Vec<Word>) {
        out.append(&mut self.confirmed);
    }

    fn tentative(&self, out: &mut Vec<Word>) {
        if let Some(best) = self.closed.first().filter(|_| !self.finished) {
            let start = out.len();
            self.history.words_into(best.history, out);
            self.support.tell(&mut out[start..]);
        }
    }

    fn n_best(&self, n: usize) -> Vec<Hypothesis> {
        let distinct = self.closed.iter().enumerate().filter(|(i, path)| {
            self.closed[..*i].iter().all(|better| better.words_hash != path.words_hash)
        });
        distinct
            .take(n)
            .map(|(i, path)| {
                let mut words = Vec::new();
                self.history.words_into(path.history, &mut words);
                if i == 0 {
                    self.support.tell(&mut words);
                }
                let score = self.offset + f64::from(path.score);
                Hypothesis { words, score, emitted: path.emitted }
            })
            .collect()
    }

    fn num_blocks(&self) -> u32 {
        self.block
    }

    fn last_token_block(&self) -> Option<u32> {
        self.closed.first().map(|path| path.last_block).filter(|block| *block != NONE)
    }

    fn phrase_is_over(&self) -> bool {
        let Constraint::Grammar(grammar) = &self.constraint else { return false };
        !self.finished && self.closed.first().is_some_and(|path| grammar.is_over(path))
    }
}
