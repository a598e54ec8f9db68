//! What token sequences search may produce, and what they are worth beside the network's opinion.

use std::collections::HashMap;
use std::sync::Arc;

use super::bounded;
use super::candidate::{Candidate, Sink, Step};
use super::grammar::GrammarConstraint;
use super::hotwords::HotwordTrie;
use super::hypothesis::Path;
use super::look_ahead::{LookAhead, WordNodes};
use super::recall::Recall;
use crate::config::SearchConfig;
use crate::error::{Error, Result};
use crate::lexicon::{Lexicon, PrefixTree, ROOT, WordId};
use crate::lm::{LmState, NeuralLm, NgramLm, TokenPrior};

/// Which token sequences are allowed. Cheap to clone: sessions share what is inside.
#[derive(Debug, Clone)]
pub enum Constraint {
    /// All of them; a "word" is a token (pieces of words, bare phones).
    Free,
    /// Pronunciations of the lexicon's words.
    Lexicon(LexiconConstraint),
    /// One text, to be found in its audio; a "word" is its place in the text.
    Text(TextConstraint),
    /// One phrase of a grammar, or `[unk]`.
    Grammar(GrammarConstraint),
}

/// The words of a text in their order.
#[derive(Debug, Clone)]
pub struct TextConstraint {
    lexicon: Arc<Lexicon>,
    words: Arc<[(WordId, PrefixTree)]>,
}

impl TextConstraint {
    /// Words of `lexicon`, one after the other.
    pub fn new(lexicon: Arc<Lexicon>, words: &[WordId]) -> Self {
        let words = words.iter().copied().zip(lexicon.trees_of(words)).collect();
        Self { lexicon, words }
    }

    /// Spelling of the word at a place in the text.
    pub fn word(&self, place: u32) -> &str {
        let word = self.words.get(place as usize).and_then(|w| self.lexicon.word(w.0));
        word.unwrap_or_default()
    }
}

impl Constraint {
    /// The words of `lexicon`, weighed by `lm` if there is one.
    ///
    /// # Errors
    /// [`Error::Model`] if `lm` was made with another lexicon, or the lexicon has no words.
    pub fn lexicon(lexicon: Arc<Lexicon>, lm: Option<Arc<NgramLm>>) -> Result<Self> {
        if lexicon.num_words() == 0 {
            return Err(Error::model("lexicon.bin", "no words"));
        }
        if lm.as_ref().is_some_and(|lm| lm.fingerprint() != lexicon.fingerprint()) {
            return Err(Error::model("lm.bin", "made with another lexicon.bin"));
        }
        let value = |word| lm.as_ref().map_or(0.0, |lm| lm.unigram(word));
        let nodes = Arc::new(WordNodes::new(&lexicon, value, HashMap::new()));
        Ok(Self::Lexicon(LexiconConstraint { lexicon, lm, neural: None, prior: None, nodes }))
    }

    /// The same, with a neural language model beside the other.
    ///
    /// # Errors
    /// [`Error::Model`] if it was made with another lexicon.
    pub fn with_neural(mut self, neural: Arc<NeuralLm>) -> Result<Self> {
        if let Self::Lexicon(lexicon) = &mut self {
            if neural.fingerprint() != lexicon.lexicon.fingerprint() {
                return Err(Error::model("word_lm.safetensors", "made with another lexicon.bin"));
            }
            lexicon.neural = lexicon.lm.is_some().then_some(neural);
        }
        Ok(self)
    }

    /// The same, with what the network expects of its tokens before it hears anything; used where there is a language model.
    #[must_use]
    pub fn with_prior(mut self, prior: Arc<TokenPrior>) -> Self {
        if let Self::Lexicon(lexicon) = &mut self {
            lexicon.prior = lexicon.lm.is_some().then_some(prior);
        }
        self
    }
}

/// A lexicon with its language model and what look-ahead needs of both.
#[derive(Debug, Clone)]
pub struct LexiconConstraint {
    lexicon: Arc<Lexicon>,
    lm: Option<Arc<NgramLm>>,
    neural: Option<Arc<NeuralLm>>,
    prior: Option<Arc<TokenPrior>>,
    nodes: Arc<WordNodes>,
}

impl LexiconConstraint {
    /// The lexicon.
    pub fn lexicon(&self) -> &Arc<Lexicon> {
        &self.lexicon
    }

    /// Spelling of a word found under this constraint.
    pub fn word(&self, word: WordId) -> &str {
        self.lexicon.word(word).unwrap_or_default()
    }
}

impl Step<'_> {
    /// Ends the block.
    pub fn close(&self, sink: &mut Sink<'_>) {
        let mut path = *self.path;
        let log_prob = bounded(self.log_probs[self.end_of_block as usize]);
        path.score += log_prob + self.closing;
        path.close(self.end_of_block, log_prob);
        sink.push(Candidate { path, parent: self.parent, word: None, closed: true });
    }

    /// Emits every token that `constraint` allows, by rising token.
    pub fn extend(
        &self,
        constraint: &Constraint,
        config: &SearchConfig,
        look_ahead: &mut LookAhead,
        sink: &mut Sink<'_>,
    ) {
        match constraint {
            Constraint::Free => self.extend_freely(sink),
            Constraint::Lexicon(lexicon) => self.extend_in(lexicon, config, look_ahead, sink),
            Constraint::Text(text) => self.extend_along(text, config, sink),
            Constraint::Grammar(grammar) => grammar.extend(self, config, sink),
        }
    }

    fn extend_freely(&self, sink: &mut Sink<'_>) {
        for (token, log_prob) in (0..).zip(self.log_probs) {
            if token == self.end_of_block {
                continue;
            }
            let log_prob = bounded(*log_prob);
            let (cursor, boost) = self.boost(token);
            let score = self.path.score + log_prob + self.gain + boost;
            sink.offer(score, || {
                let mut path = Path { score, cursor, ..*self.path };
                path.emit(token, log_prob, self.block);
                path.end_word(token);
                Candidate { path, parent: self.parent, word: Some(token), closed: false }
            });
        }
    }

    /// Where `symbol` leads among the hotwords, and what it is worth there.
    fn boost(&self, symbol: u32) -> (u32, f32) {
        let cursor = self.path.cursor;
        self.hotwords.map_or((cursor, 0.0), |hotwords| hotwords.advance(cursor, symbol))
    }

    fn extend_along(&self, text: &TextConstraint, config: &SearchConfig, sink: &mut Sink<'_>) {
        let place = self.path.num_words;
        let Some((_, tree)) = text.words.get(place as usize) else { return };
        for child in tree.children(self.path.node) {
            let token = tree.token(child);
            let log_prob = bounded(self.log_probs[token as usize]);
            let mut path = *self.path;
            path.emit(token, log_prob, self.block);
            path.node = child;
            path.score += log_prob + self.gain;
            let ending = tree.words(child).first();
            if let Some(ending) = ending {
                path.score -= config.pronunciation_weight * ending.cost;
                path.end_word(place);
            }
            let word = ending.map(|_| place);
            sink.push(Candidate { path, parent: self.parent, word, closed: false });
        }
    }

    fn extend_in(
        &self,
        lexicon: &LexiconConstraint,
        config: &SearchConfig,
        look_ahead: &mut LookAhead,
        sink: &mut Sink<'_>,
    ) {
        let tree = lexicon.lexicon.tree();
        let lm = lexicon.lm.as_deref();
        let words_to_come = look_ahead.after(&lexicon.nodes, tree, lm, self.path.lm);
        let begun = if self.path.node == ROOT { config.word_bonus } else { 0.0 };
        let mut words_below = words_to_come.within(self.path.node);
        let given = config.lm_weight * words_below.best();
        let before = self.path.score + begun - given + self.gain;
        let prior = lexicon.prior.as_ref().filter(|_| config.prior_weight > 0.0);
        let expected = prior.map(|prior| prior.after(self.path.recent));
        let internal_lm = if lm.is_some() { self.internal_lm } else { &[] };
        let most = self.hotwords.map_or(0.0, HotwordTrie::max_boost);
        for child in tree.children(self.path.node) {
            let token = tree.token(child);
            let log_prob = bounded(self.log_probs[token as usize]);
            let words = tree.words(child);
            let surprise = expected.map_or(0.0, |costs| config.prior_weight * costs.of(token))
                - internal_lm
                    .get(token as usize)
                    .map_or(0.0, |log_prob| config.internal_lm_weight * bounded(*log_prob));
            // With what may be added to the score of all words that end here, as neither log-probabilities nor negative
            // costs exceed 0.
            let limit = before + log_prob + surprise;
            if !sink.admits(limit + most) {
                continue;
            }
            let score = limit + config.lm_weight * words_below.best_of(child);
            let within = |score| {
                let mut path = Path { score, ..*self.path };
                path.emit(token, log_prob, self.block);
                path.node = child;
                path
            };
            let parent = self.parent;
            if words.is_empty() {
                sink.offer(score, || Candidate {
                    path: within(score),
                    parent,
                    word: None,
                    closed: false,
                });
                continue;
            }
            if !sink.admits(score + most + config.lm_weight * MOST_GAINED) {
                continue;
            }
            for ending in words {
                let (ngram, lm) = lexicon.score(self.path.lm, ending.word);
                let (cursor, boost) = self.boost(ending.word);
                let limit = limit + boost - config.pronunciation_weight * ending.cost;
                let gained = if self.recall.is_some() { MOST_GAINED } else { 0.0 };
                if !sink.admits(limit + config.lm_weight * (ngram + gained)) {
                    continue;
                }
                let mix = |recall: &Recall| recall.mix(self.path.recall, ending.word, ngram);
                let lm_score = self.recall.map_or(ngram, mix);
                let score = limit + config.lm_weight * lm_score;
                sink.offer(score, || {
                    let mut path = within(score);
                    (path.lm, path.cursor, path.word_lm) = (lm, cursor, lm_score);
                    path.end_word(ending.word);
                    Candidate { path, parent, word: Some(ending.word), closed: false }
                });
            }
        }
    }
}

impl LexiconConstraint {
    fn score(&self, state: LmState, word: WordId) -> (f32, LmState) {
        self.lm.as_ref().map_or((0.0, state), |lm| {
            let (log_prob, next) = lm.score(state, word);
            (log_prob + added(lm, word), next)
        })
    }

    /// The same with other words in the lexicon, of which some are hotwords with a boost of so many nats; `lm_weight` makes one of nats and
    /// the language model's log-probabilities.
    pub fn with_hotwords(
        &self,
        lexicon: Lexicon,
        boosts: &HashMap<WordId, f32>,
        lm_weight: f32,
    ) -> Constraint {
        let scale = if lm_weight > 0.0 { 1.0 / lm_weight } else { 0.0 };
        let lm = self.lm.as_deref();
        let boosts: HashMap<_, _> =
            boosts.iter().map(|(word, boost)| (*word, boost * scale)).collect();
        let value = |word| {
            let boost = boosts.get(&word).copied().unwrap_or(0.0);
            lm.map_or(0.0, |lm| lm.unigram(word) + added(lm, word)) + boost
        };
        let nodes = Arc::new(WordNodes::new(&lexicon, value, boosts.clone()));
        Constraint::Lexicon(Self { lexicon: Arc::new(lexicon), nodes, ..self.clone() })
    }
}

/// A word whose context makes it likelier than was expected by more than this, in nats, is not looked at where it would be far off by then:
/// from look-ahead to n-gram, and from that to the neural model.
const MOST_GAINED: f32 = 6.0;

/// Log-probability of a word that the language model does not know, without context.
const ADDED_WORD_LOG_PROB: f32 = -12.0;

/// What makes the log-probability of an unknown word, any one of them, that of this one; 0 for known words.
fn added(lm: &NgramLm, word: WordId) -> f32 {
    if (word as usize) < lm.num_words() { 0.0 } else { ADDED_WORD_LOG_PROB - lm.unigram(word) }
}

impl Constraint {
    /// The language model, if there is one.
    pub fn lm(&self) -> Option<&NgramLm> {
        match self {
            Self::Lexicon(lexicon) => lexicon.lm.as_deref(),
            Self::Free | Self::Text(_) | Self::Grammar(_) => None,
        }
    }

    /// The neural language model, if there is one.
    pub(super) fn neural(&self) -> Option<&Arc<NeuralLm>> {
        match self {
            Self::Lexicon(lexicon) => lexicon.neural.as_ref(),
            Self::Free | Self::Text(_) | Self::Grammar(_) => None,
        }
    }

    /// Whether a stream may end with `path`.
    pub(super) fn is_complete(&self, path: &Path) -> bool {
        let all = match self {
            Self::Text(text) => path.num_words as usize == text.words.len(),
            Self::Grammar(grammar) => grammar.is_complete(path),
            Self::Free | Self::Lexicon(_) => true,
        };
        all && path.node == ROOT
    }
}
