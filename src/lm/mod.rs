//! Word n-gram language model with back-off, read in place from `lm.bin` (docs/model-format.md).

mod format;
mod neural;
mod token_prior;

use std::borrow::Cow;

use crate::error::Result;
use format::{Level, Unigrams};

pub(crate) use neural::to_bytes;
pub use neural::{NeuralLm, NeuralScratch, Outlook};
pub use token_prior::{Costs, TokenPrior};

/// The highest order that can be read.
pub const MAX_ORDER: usize = 4;
const NONE: u32 = u32::MAX;

/// The last words of a history, as positions in the model. Equal states give equal scores for all that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LmState {
    /// `nodes[k]` is the n-gram of the last `k + 1` words, `NONE` where the model has none.
    nodes: [u32; MAX_ORDER - 1],
}

impl LmState {
    /// The last word, as [`NgramLm::successors`] takes it.
    pub fn last_word(self) -> u32 {
        self.nodes[0]
    }
}

/// The state where there is no model.
impl Default for LmState {
    fn default() -> Self {
        Self { nodes: [NONE; MAX_ORDER - 1] }
    }
}

/// An n-gram model of order 1 to 4. Word `i` is word `i` of the lexicon that the model was made with; any other number
/// stands for an unknown word. Log-probabilities are natural; those of two words and more are quantised to 256 values.
#[derive(Debug)]
pub struct NgramLm {
    data: Cow<'static, [u8]>,
    order: usize,
    num_words: u32,
    fingerprint: u64,
    unigrams: Unigrams,
    /// Orders 2 and up.
    levels: Vec<Level>,
}

impl NgramLm {
    /// Takes the bytes of an `lm.bin`. They are checked once and then read where they lie.
    ///
    /// # Errors
    /// [`crate::Error::Model`] if the bytes are no such file or damaged; get the model folder again.
    pub fn from_bytes(data: impl Into<Cow<'static, [u8]>>) -> Result<Self> {
        format::parse(data.into())
    }

    /// Words in the longest n-gram.
    pub fn order(&self) -> usize {
        self.order
    }

    /// Words, without the sentence marks and the unknown word.
    pub fn num_words(&self) -> usize {
        self.num_words as usize
    }

    /// Equals [`crate::lexicon::Lexicon::fingerprint`] of the lexicon that the model was made with.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    fn unknown(&self) -> u32 {
        self.num_words
    }

    /// The state at the start of a sentence.
    pub fn start(&self) -> LmState {
        let mut state = LmState::default();
        state.nodes[0] = self.num_words + 1;
        state
    }

    /// Log-probability of `word` after `state`, and the state after it.
    pub fn score(&self, state: LmState, word: u32) -> (f32, LmState) {
        self.advance(state, if word < self.num_words { word } else { self.unknown() })
    }

    /// Log-probability that the sentence ends after `state`.
    pub fn end(&self, state: LmState) -> f32 {
        self.advance(state, self.num_words + 2).0
    }

    /// Log-probability of `word` without any context.
    pub fn unigram(&self, word: u32) -> f32 {
        let word = if word < self.num_words { word } else { self.unknown() };
        self.unigrams.log_prob(&self.data, word)
    }

    /// Words that the model has seen after `word` ([`LmState::last_word`]), with their log-probabilities there.
    pub fn successors(&self, word: u32) -> impl Iterator<Item = (u32, f32)> + '_ {
        let level = self.levels.first().filter(|_| word <= self.num_words + 2);
        level.into_iter().flat_map(move |level| {
            let (begin, end) = self.children(0, word);
            let seen =
                (begin..end).map(|n| (level.word(&self.data, n), level.log_prob(&self.data, n)));
            seen.filter(|(next, _)| *next < self.num_words)
        })
    }

    /// Added to the log-probability of a word that was never seen after `word`.
    pub fn word_backoff(&self, word: u32) -> f32 {
        if word <= self.num_words + 2 { self.backoff(0, word) } else { 0.0 }
    }

    fn advance(&self, state: LmState, word: u32) -> (f32, LmState) {
        let mut next = LmState::default();
        next.nodes[0] = word;
        let mut log_prob = self.unigrams.log_prob(&self.data, word);
        for (k, level) in self.levels.iter().enumerate() {
            let context = state.nodes[k];
            if context == NONE {
                continue;
            }
            let (begin, end) = self.children(k, context);
            if let Some(node) = level.find(&self.data, begin, end, word) {
                log_prob = level.log_prob(&self.data, node);
                if k + 2 < self.order && self.matters(k + 1, node) {
                    next.nodes[k + 1] = node;
                }
            } else {
                log_prob += self.backoff(k, context);
            }
        }
        (log_prob, next)
    }

    /// Where the n-grams of `k + 2` words that continue `context` (one of `k + 1` words) lie.
    fn children(&self, k: usize, context: u32) -> (u32, u32) {
        match k {
            0 => self.unigrams.children(&self.data, context),
            _ => self.levels[k - 1].children(&self.data, context),
        }
    }

    fn backoff(&self, k: usize, context: u32) -> f32 {
        match k {
            0 => self.unigrams.backoff(&self.data, context),
            _ => self.levels[k - 1].backoff(&self.data, context),
        }
    }

    /// Whether a context changes any score; leaving out those that do not makes more states equal.
    fn matters(&self, k: usize, context: u32) -> bool {
        let (begin, end) = self.children(k, context);
        begin < end || self.backoff(k, context) != 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexicon::fingerprint;

    const TINY: &[u8] = include_bytes!("../../tests/golden/lm-tiny.bin");

    /// ```text
    /// \1-grams:   ln p  ln back-off      \2-grams:  ln p  back-off     \3-grams: ln p
    /// a           -1.0  -0.5             <s> a      -0.5  -0.25        <s> a b   -0.125
    /// b           -2.0   0               a b        -0.75  0
    /// <unk>       -8.0   0
    /// <s>         -31    -1.0
    /// </s>        -1.5   0
    /// ```
    fn by_hand() -> Vec<u8> {
        let mut out = b"VVLM".to_vec();
        for value in [1_u32, 3, 2] {
            out.extend(value.to_le_bytes());
        }
        out.extend(fingerprint(["a", "b"]).to_le_bytes());
        for count in [5_u32, 2, 1, 0] {
            out.extend(count.to_le_bytes());
        }
        for log_prob in [-1.0_f32, -2.0, -8.0, -31.0, -1.5] {
            out.extend(((-log_prob * 2048.0) as u16).to_le_bytes());
        }
        for backoff in [-0.5_f32, 0.0, 0.0, -1.0, 0.0] {
            out.extend(((backoff * 2048.0 + 32768.0) as u16).to_le_bytes());
        }
        for child in [0_u32, 1, 1, 1, 2, 2] {
            out.extend(child.to_le_bytes());
        }
        let book = |values: [f32; 2]| {
            let mut book = [0.0_f32; 256];
            book[..2].copy_from_slice(&values);
            book.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<_>>()
        };
        // Bigrams in the order of their keys: "a b", "<s> a".
        out.extend(book([-0.75, -0.5]));
        out.extend([1, 0, 0, 0]);
        out.extend([0, 1]);
        out.extend(book([0.0, -0.25]));
        out.extend([0, 1]);
        out.extend(0_u32.to_le_bytes());
        out.extend([0, 0, 0, 0, 1, 0]);
        out.extend(book([-0.125, 0.0]));
        out.extend([1, 0, 0]);
        out
    }

    fn close(got: f32, expected: f32) {
        assert!((got - expected).abs() < 1e-3, "got {got}, expected {expected}");
    }

    #[test]
    fn scores_of_a_model_computed_by_hand() {
        let lm = NgramLm::from_bytes(by_hand()).unwrap();
        let (p, after_a) = lm.score(lm.start(), 0);
        close(p, -0.5);
        let (p, after_ab) = lm.score(after_a, 1);
        close(p, -0.125);
        close(lm.score(after_a, 0).0, -0.25 - 0.5 - 1.0);
        close(lm.score(lm.start(), 1).0, -1.0 - 2.0);
        close(lm.score(lm.start(), 77).0, -1.0 - 8.0);
        close(lm.end(after_ab), -1.5);
        close(lm.end(lm.score(after_ab, 0).1), -0.5 - 1.5);
        close(lm.unigram(1), -2.0);
    }

    #[test]
    fn contexts_without_effect_leave_the_state() {
        let lm = NgramLm::from_bytes(by_hand()).unwrap();
        let after_ab = lm.score(lm.score(lm.start(), 0).1, 1).1;
        let after_b = lm.score(lm.start(), 1).1;
        assert_eq!(after_ab, after_b);
    }

    #[test]
    fn equals_the_recipe_but_for_quantisation() {
        let lm = NgramLm::from_bytes(TINY).unwrap();
        assert_eq!((lm.order(), lm.num_words()), (4, 6));
        for line in include_str!("../../tests/golden/lm-tiny.tsv").lines() {
            let (sentence, expected) = line.split_once('\t').unwrap();
            let (mut state, mut total, mut words) = (lm.start(), 0.0, 1.0);
            for word in sentence.split(' ') {
                let id = ["a", "b", "c", "d", "e", "f"].iter().position(|w| *w == word);
                let (p, next) = lm.score(state, id.map_or(99, |i| i as u32));
                (state, total, words) = (next, total + p, words + 1.0);
            }
            total += lm.end(state);
            let expected: f32 = expected.parse().unwrap();
            assert!((total - expected).abs() < 0.01 * words, "{sentence}: {total}, {expected}");
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_harmless() {
        for data in [by_hand(), TINY.to_vec()] {
            for n in 0..data.len() {
                assert!(NgramLm::from_bytes(data[..n].to_vec()).is_err());
            }
            let mut longer = data.clone();
            longer.push(0);
            assert!(NgramLm::from_bytes(longer).is_err());
            for (i, flip) in (0..data.len()).flat_map(|i| [(i, 1_u8), (i, 0x80), (i, 0xff)]) {
                let mut bad = data.clone();
                bad[i] ^= flip;
                if let Ok(lm) = NgramLm::from_bytes(bad) {
                    let mut state = lm.start();
                    for word in [0, 1, 5, 3, 900, u32::MAX, 1, 0, 2] {
                        let (p, next) = lm.score(state, word);
                        assert!(p.is_finite() && lm.end(next).is_finite());
                        state = next;
                    }
                }
            }
        }
    }
}
