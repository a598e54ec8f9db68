//! What the neural language model makes of the words of hypotheses.

use std::sync::Arc;

use super::candidate::Candidate;
use super::hypothesis::{NONE, Path};
use super::states::StatePool;
use super::{Constraint, log_add};
use crate::config::SearchConfig;
use crate::lm::{NeuralLm, NeuralScratch, Outlook};

/// Marks, in [`Path::recall`], a row of the step to come instead of a slot; `NONE` has it too.
const ROW: u32 = 1 << 31;

/// Where states of the network are limited, there is a slot for so many of them.
const STATES_A_SLOT: usize = 2;

/// States and outlooks after the words of hypotheses, each shared by all that have the same words. The best hypotheses have them; the n-gram
/// model alone speaks for the others, and where one of them is among the best again, its last word is taken for the first one.
#[derive(Debug)]
pub(super) struct Recall {
    lm: Arc<NeuralLm>,
    /// Logarithms of the shares of both models in the probability of a word.
    log_shares: [f32; 2],
    /// So many sequences of words have slots, no more.
    most: usize,
    pool: StatePool,
    /// By slot: the hash of the words.
    words: Vec<u64>,
    outlooks: Vec<Outlook>,
}

/// Room for a step of the model.
#[derive(Debug, Default)]
pub(super) struct RecallScratch {
    network: NeuralScratch,
    /// Of the rows: states before, words read, hashes of all words, slots.
    states: Vec<f32>,
    words: Vec<u32>,
    hashes: Vec<u64>,
    slots: Vec<u32>,
    /// Hashes of the words that have slots from now on.
    kept: Vec<u64>,
}

impl Recall {
    /// As the settings ask for; none, if the constraint has no neural language model or that has no say.
    pub fn of(constraint: &Constraint, config: &SearchConfig) -> Option<Self> {
        let lm = Arc::clone(constraint.neural().filter(|_| config.neural_weight > 0.0)?);
        let most = match config.max_states {
            0 => usize::MAX,
            n => n.div_ceil(STATES_A_SLOT),
        };
        let log_shares = [config.neural_weight.ln(), (1.0 - config.neural_weight).ln()];
        // Outputs in 8 bits, in which the next step multiplies them; cells in 16, which words count on.
        let pool = StatePool::small(vec![lm.state_size() / 2]);
        let (words, outlooks) = (Vec::new(), Vec::new());
        Some(Self { lm, log_shares, most, pool, words, outlooks })
    }

    /// Forgets everything; the slot of the start of a sentence.
    pub fn begin(&mut self) -> u32 {
        self.pool.clear(self.lm.state_size());
        let lm = Arc::clone(&self.lm);
        let (state, outlook) = lm.start();
        let slot = self.insert(state, 0);
        self.outlooks[slot as usize].copy_from(outlook);
        slot
    }

    /// A slot with one user for `state`; its outlook is still that of another.
    fn insert(&mut self, state: &[f32], words: u64) -> u32 {
        let slot = self.pool.insert(state);
        if slot as usize == self.words.len() {
            // As the states: no more than is needed.
            self.words.reserve_exact(1);
            self.words.push(words);
            self.outlooks.reserve_exact(1);
            self.outlooks.push(Outlook::default());
        }
        self.words[slot as usize] = words;
        slot
    }

    /// `log_prob`, that of the n-gram model for `word` after the words of `slot`, mixed with that of the neural model.
    pub fn mix(&self, slot: u32, word: u32, log_prob: f32) -> f32 {
        let outlook = self.outlooks.get(slot as usize);
        let neural = outlook.and_then(|outlook| self.lm.log_prob(outlook, word));
        neural.map_or(log_prob, |neural| self.mixed(neural, log_prob))
    }

    /// The same for the end of the sentence.
    pub fn mix_end(&self, slot: u32, log_prob: f32) -> f32 {
        let neural = self.outlooks.get(slot as usize).map(|outlook| self.lm.end(outlook));
        neural.map_or(log_prob, |neural| self.mixed(neural, log_prob))
    }

    fn mixed(&self, neural: f32, ngram: f32) -> f32 {
        log_add(neural + self.log_shares[0], ngram + self.log_shares[1])
    }

    fn share(&mut self, slot: u32) {
        if slot & ROW == 0 {
            self.pool.share(slot);
        }
    }

    /// Gives up the slot of a hypothesis.
    pub fn release(&mut self, slot: u32) {
        if slot & ROW == 0 {
            self.pool.release(slot);
        }
    }

    /// Gives accepted candidates the slots of their words, and takes those of the hypotheses before, `old`.
    pub fn advance<'a>(
        &mut self,
        accepted: &mut [Candidate],
        old: impl Iterator<Item = &'a Path>,
        scratch: &mut RecallScratch,
    ) {
        let RecallScratch { network, states, words, hashes, slots, kept } = scratch;
        states.clear();
        words.clear();
        hashes.clear();
        kept.clear();
        for candidate in accepted.iter_mut() {
            let path = &mut candidate.path;
            let (hash, before) = (path.words_hash, path.recall);
            path.recall = NONE;
            if !kept.contains(&hash) {
                if kept.len() == self.most {
                    continue;
                }
                kept.push(hash);
            }
            path.recall = self.slot_of(hash).unwrap_or_else(|| {
                let known = hashes.iter().position(|known| *known == hash);
                let row = known.unwrap_or_else(|| {
                    match before {
                        NONE => states.extend_from_slice(self.lm.start().0),
                        slot => self.pool.get_into(slot, states),
                    }
                    words.push(path.lm.last_word());
                    hashes.push(hash);
                    words.len() - 1
                });
                ROW | row as u32
            });
            self.share(path.recall);
        }
        // Slots that were stepped from are free for what came of them.
        old.for_each(|path| self.release(path.recall));
        if words.is_empty() {
            return;
        }
        self.lm.step(states, words, network);
        slots.clear();
        slots.resize(words.len(), NONE);
        let lm = Arc::clone(&self.lm);
        let paths = accepted.iter_mut().map(|candidate| &mut candidate.path);
        for path in paths.filter(|path| path.recall & ROW != 0 && path.recall != NONE) {
            let row = (path.recall ^ ROW) as usize;
            if slots[row] == NONE {
                slots[row] = self.insert(lm.state(row, network), hashes[row]);
                lm.outlook_into(row, network, &mut self.outlooks[slots[row] as usize]);
            } else {
                self.pool.share(slots[row]);
            }
            path.recall = slots[row];
        }
    }

    /// The slot after words with this hash.
    fn slot_of(&self, hash: u64) -> Option<u32> {
        let mut slots = (0..).zip(&self.words);
        slots
            .find(|(slot, words)| **words == hash && self.pool.is_used(*slot))
            .map(|(slot, _)| slot)
    }

    /// Bytes held.
    pub fn num_bytes(&self) -> usize {
        self.pool.num_bytes()
            + self.words.capacity() * size_of::<u64>()
            + self.outlooks.capacity() * size_of::<Outlook>()
            + self.outlooks.iter().map(Outlook::num_bytes).sum::<usize>()
    }

    /// Slots in use, and all.
    #[cfg(test)]
    pub fn slots(&self) -> (usize, usize) {
        (self.pool.num_used(), self.pool.num_slots())
    }
}
