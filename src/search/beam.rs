//! Block-synchronous beam search.

use super::constraint::{Candidate, Sink, Step};
use super::hypothesis::{History, NONE, Path, StatePool};
use super::{Constraint, Hypothesis, Search, StepScorer, Word, bias_gains};
use crate::config::SearchConfig;
use crate::lexicon::ROOT;
use crate::lm::NgramLm;
use crate::tokens::TokenId;

/// More unconfirmed words than this are never kept: the best hypothesis decides about the older half.
const MAX_PENDING_WORDS: u32 = 64;

/// Beam search. Log-probabilities of equal words are added where they meet; all ties are broken by the order of generation, so
/// results depend on nothing but the input.
///
/// The word bonus and the language model's look-ahead are given when a word begins; its exact score replaces the look-ahead
/// when the word ends.
#[derive(Debug)]
pub struct BeamSearch {
    config: SearchConfig,
    constraint: Constraint,
    end_of_block: TokenId,
    pool: StatePool,
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
    buffers: Buffers,
}

/// Memory kept between steps; nothing in it outlives one.
#[derive(Debug, Default)]
struct Buffers {
    states: Vec<f32>,
    tokens: Vec<TokenId>,
    next: Vec<f32>,
    log_probs: Vec<f32>,
    candidates: Vec<Candidate>,
    ranked: Vec<(f32, u32)>,
    accepted: Vec<Candidate>,
    /// By parent: the slot of its next state.
    slots: Vec<u32>,
    /// The best hypothesis' unconfirmed entries and words, first word first.
    best: Vec<(u32, u32)>,
}

fn log_add(a: f32, b: f32) -> f32 {
    let (high, low) = if a >= b { (a, b) } else { (b, a) };
    high + (low - high).exp().ln_1p()
}

fn sort(paths: &mut [Path]) {
    // Stable, so that ties keep the order of generation.
    paths.sort_by(|a, b| b.score.total_cmp(&a.score));
}

impl BeamSearch {
    /// A search at the start of a stream. The scorer must know all tokens of the constraint.
    pub fn new(config: &SearchConfig, constraint: Constraint, end_of_block: TokenId) -> Self {
        Self {
            config: config.clone(),
            constraint,
            end_of_block,
            pool: StatePool::default(),
            history: History::default(),
            closed: Vec::new(),
            active: Vec::new(),
            offset: 0.0,
            block: 0,
            finished: false,
            confirmed: Vec::new(),
            buffers: Buffers::default(),
        }
    }

    fn begin(&mut self, state_size: usize) {
        self.pool.clear(state_size);
        let zeros = &mut self.buffers.states;
        zeros.clear();
        zeros.resize(state_size, 0.0);
        let state = self.pool.insert(zeros);
        let lm = self.constraint.lm().map(NgramLm::start).unwrap_or_default();
        self.closed.push(Path::first(state, self.end_of_block, lm));
    }

    /// One step of the network for all active hypotheses.
    fn step(&mut self, scorer: &mut dyn StepScorer) {
        let Buffers { states, tokens, next, log_probs, .. } = &mut self.buffers;
        states.clear();
        tokens.clear();
        for path in &self.active {
            states.extend_from_slice(self.pool.get(path.state));
            tokens.push(path.token);
        }
        next.resize(states.len(), 0.0);
        log_probs.resize(tokens.len() * scorer.num_tokens(), 0.0);
        scorer.step_into(states, tokens, next, log_probs);
    }

    /// Gathers what the active hypotheses can become.
    fn expand(&mut self, num_tokens: usize, may_emit: bool) {
        let Buffers { candidates, log_probs, .. } = &mut self.buffers;
        candidates.clear();
        let best = self.closed.iter().map(|p| p.score).fold(f32::NEG_INFINITY, f32::max);
        let mut sink = Sink { candidates, best, margin: self.config.prune_log_prob };
        let (block, end_of_block) = (self.block, self.end_of_block);
        let rows = (0..).zip(self.active.iter().zip(log_probs.chunks_exact(num_tokens)));
        for (parent, (path, log_probs)) in rows {
            let bias = self.config.end_of_block_bias;
            let (closing, gain) = bias_gains(log_probs[end_of_block as usize], bias);
            let step = Step { path, parent, log_probs, block, end_of_block, gain };
            step.close(closing, &mut sink);
            if may_emit {
                step.extend(&self.constraint, &self.config, &mut sink);
            }
        }
    }

    /// Keeps the best of the candidates and of the hypotheses that closed earlier, equal ones merged.
    fn select(&mut self) {
        let Buffers { candidates, ranked, accepted, .. } = &mut self.buffers;
        let earlier = self.closed.len();
        let closed = self.closed.iter().map(|p| p.score);
        ranked.clear();
        ranked.extend(closed.chain(candidates.iter().map(|c| c.path.score)).zip(0..));
        let best = ranked.iter().map(|r| r.0).fold(f32::NEG_INFINITY, f32::max);
        ranked.retain(|r| r.0 >= best - self.config.prune_log_prob);
        let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        // Twice as many as are wanted, since some will be merged.
        let enough = 2 * self.config.beam_size;
        if ranked.len() > enough {
            ranked.select_nth_unstable_by(enough, order);
            ranked.truncate(enough);
        }
        ranked.sort_unstable_by(order);
        accepted.clear();
        for (_, index) in ranked.iter() {
            let index = *index as usize;
            let candidate = match index.checked_sub(earlier) {
                Some(index) => candidates[index],
                None => Candidate::kept(self.closed[index]),
            };
            let new = &candidate.path;
            let peer = accepted.iter().position(|a| {
                a.closed == candidate.closed
                    && (a.path.same_words(new) || a.path.same_future(new, self.config.merge_tokens))
            });
            match peer {
                Some(peer) if accepted[peer].path.same_words(new) => {
                    let score = &mut accepted[peer].path.score;
                    *score = log_add(*score, new.score);
                }
                None if accepted.len() < self.config.beam_size => accepted.push(candidate),
                _ => {}
            }
        }
    }

    /// Makes hypotheses of the accepted candidates; only here are states and words stored.
    fn accept(&mut self, state_size: usize) {
        let Buffers { accepted, slots, next, .. } = &mut self.buffers;
        slots.clear();
        slots.resize(self.active.len(), NONE);
        let (parents, earlier) = (self.active.len(), self.closed.len());
        for candidate in accepted.iter() {
            let mut path = candidate.path;
            if let Some(slot) = slots.get_mut(candidate.parent as usize) {
                if *slot == NONE {
                    let start = candidate.parent as usize * state_size;
                    *slot = self.pool.insert(&next[start..start + state_size]);
                } else {
                    self.pool.share(*slot);
                }
                path.state = *slot;
            } else {
                self.pool.share(path.state);
            }
            if let Some(id) = candidate.word {
                let (first_block, log_prob) = (path.first_block, path.word_log_prob);
                let word = Word { id, first_block, last_block: self.block, log_prob };
                path.history = self.history.push(path.history, path.num_words, word);
            }
            if candidate.closed { &mut self.closed } else { &mut self.active }.push(path);
        }
        for path in self.active.drain(..parents).chain(self.closed.drain(..earlier)) {
            self.pool.release(path.state);
        }
    }

    /// Confirms the words that all hypotheses share.
    fn confirm(&mut self) {
        let Some(first) = self.closed.first() else { return };
        let base = self.history.base();
        let best = &mut self.buffers.best;
        best.clear();
        best.extend(self.history.back_from(first.history).map(|(at, _, word)| (at, word.id)));
        best.reverse();
        if best.len() as u32 > MAX_PENDING_WORDS {
            let decided = base + best.len() as u32 - MAX_PENDING_WORDS / 2;
            let (history, pool) = (&self.history, &mut self.pool);
            self.closed.retain(|path| {
                let agrees = shared_words(history, path, best) >= decided;
                if !agrees {
                    pool.release(path.state);
                }
                agrees
            });
        }
        let shared = self.closed.iter().map(|path| shared_words(&self.history, path, best)).min();
        let shared = shared.unwrap_or(base);
        let entries = &best[..(shared - base) as usize];
        let start = self.confirmed.len();
        self.confirmed.extend(entries.iter().filter_map(|(at, _)| self.history.word(*at)));
        self.history.confirm(shared, &self.confirmed[start..]);
        if self.history.wants_sweep() {
            self.closed.iter().for_each(|path| self.history.mark(path.history));
            self.history.sweep();
            self.closed.iter_mut().for_each(|path| path.history = self.history.moved(path.history));
            self.history.swept();
        }
    }
}

/// How many words from the start of the stream `path` has in common with `best`, its unconfirmed (entry, word id) in order.
fn shared_words(history: &History, path: &Path, best: &[(u32, u32)]) -> u32 {
    let base = history.base();
    let mut shared = path.num_words.min(base + best.len() as u32);
    for (at, depth, word) in history.back_from(path.history) {
        match best.get((depth - base - 1) as usize) {
            Some((same, _)) if *same == at => break,
            Some((_, id)) if *id == word.id => {}
            _ => shared = shared.min(depth - 1),
        }
    }
    shared
}

impl Search for BeamSearch {
    fn advance_block(&mut self, scorer: &mut dyn StepScorer, max_tokens_per_block: usize) {
        if self.finished {
            return;
        }
        let (state_size, num_tokens) = (scorer.state_size(), scorer.num_tokens());
        if self.closed.is_empty() {
            self.begin(state_size);
        }
        std::mem::swap(&mut self.closed, &mut self.active);
        for emitted in 1..=max_tokens_per_block.max(1) {
            self.step(scorer);
            self.expand(num_tokens, emitted < max_tokens_per_block);
            self.select();
            self.accept(state_size);
            if self.active.is_empty() {
                break;
            }
        }
        sort(&mut self.closed);
        let best = self.closed.first().map_or(0.0, |path| path.score);
        self.offset += f64::from(best);
        self.closed.iter_mut().for_each(|path| path.score -= best);
        self.block += 1;
        self.confirm();
    }

    fn finish(&mut self) {
        if self.finished {
            return;
        }
        self.finished = true;
        let any_complete = self.closed.iter().any(|path| path.node == ROOT);
        self.closed.retain(|path| path.node == ROOT || !any_complete);
        if let Some(lm) = self.constraint.lm() {
            for path in &mut self.closed {
                path.score += self.config.lm_weight * lm.end(path.lm);
            }
        }
        sort(&mut self.closed);
        if let Some(best) = self.closed.first() {
            self.history.words_into(best.history, &mut self.confirmed);
        }
    }

    fn reset(&mut self) {
        self.closed.clear();
        self.active.clear();
        self.confirmed.clear();
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
            self.history.words_into(best.history, out);
        }
    }

    fn n_best(&self, n: usize) -> Vec<Hypothesis> {
        let distinct = self.closed.iter().enumerate().filter(|(i, path)| {
            self.closed[..*i].iter().all(|better| better.words_hash != path.words_hash)
        });
        distinct
            .take(n)
            .map(|(_, path)| {
                let mut words = Vec::new();
                self.history.words_into(path.history, &mut words);
                Hypothesis { words, score: self.offset + f64::from(path.score) }
            })
            .collect()
    }

    fn num_blocks(&self) -> u32 {
        self.block
    }

    fn last_token_block(&self) -> Option<u32> {
        self.closed.first().map(|path| path.last_block).filter(|block| *block != NONE)
    }
}

#[cfg(test)]
impl BeamSearch {
    /// (history entries, state slots, slots in use, hypotheses)
    pub(super) fn memory(&self) -> (usize, usize, usize, usize) {
        (self.history.len(), self.pool.num_slots(), self.pool.num_used(), self.closed.len())
    }

    /// Of every hypothesis: the hash of all its words since the start, and those not yet confirmed.
    pub(super) fn alive(&self) -> impl Iterator<Item = (u64, Vec<Word>)> + '_ {
        self.closed.iter().map(|path| {
            let mut words = Vec::new();
            self.history.words_into(path.history, &mut words);
            (path.words_hash, words)
        })
    }
}
