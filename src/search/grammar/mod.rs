//! A grammar as a constraint: a finite automaton over words; what fits none of its phrases is `[unk]`.

mod automaton;
mod number;
mod parse;
mod symbols;
mod tags;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bounded;
use super::candidate::{Candidate, Sink, Step};
use super::hypothesis::Path as Hypothesis;
use crate::config::SearchConfig;
use crate::error::{Error, Result};
use crate::lexicon::{Lexicon, PrefixTree, ROOT, WordId};
use automaton::{Builder, Leads};
use parse::{COST_STEP, Rules};

/// What is said where no phrase fits.
pub const UNKNOWN_PHRASE: &str = "[unk]";
/// Its number.
pub const UNKNOWN_ID: WordId = WordId::MAX;

/// Cursor of a hypothesis that is no phrase.
const FILLER: u32 = u32::MAX;
/// What each token of speech that is no phrase costs, in nats: what a phrase may lack, a token, against the best tokens.
pub const DEFAULT_UNKNOWN_COST: f32 = 2.0;
/// What such speech costs besides, in nats.
const UNKNOWN_BEGIN_COST: f32 = 5.0;
/// Other speech may have so many more tokens than a phrase before the rest of them is free.
const TOKENS_BEYOND: u32 = 2;

/// A grammar as it was read; its words are not yet those of a lexicon.
#[derive(Debug, Clone, PartialEq)]
pub struct Grammar {
    name: PathBuf,
    rules: Rules,
}

/// The phrases of a grammar in words of a lexicon.
#[derive(Debug, Clone)]
pub struct GrammarConstraint {
    lexicon: Arc<Lexicon>,
    states: Arc<[State]>,
    /// What tags are read by; none where there are no tags.
    rules: Option<Arc<Rules>>,
    unknown_cost: f32,
}

#[derive(Debug)]
struct State {
    /// Pronunciations of the words that may come.
    tree: PrefixTree,
    /// By rising word: where it leads, and at what cost.
    next: Vec<(WordId, Leads)>,
    /// What it costs to end here, in nats, if a phrase may.
    end: Option<f32>,
}

impl Grammar {
    /// Reads a list of phrases, one a line, or rules of JSGF: `public <go> = (lights | /0.1/ lamp) [please] <how> {tag};` with
    /// alternatives and their weights, groups, options, `+` and `*` behind what may come several times, tags, and references that do
    /// not lead back to themselves. `<number>`, `<digit>` and `<digits>` need no rule; what they were is a tag. A phrase is what a
    /// public rule allows, or the first rule where none is public. `name` is the grammar's in messages.
    ///
    /// # Errors
    /// [`Error::List`] naming the line.
    pub fn parse(name: impl AsRef<Path>, text: &str) -> Result<Self> {
        let name = name.as_ref();
        Ok(Self { name: name.to_owned(), rules: parse::parse(name, text)? })
    }

    /// The words with the lines they are first in.
    pub fn words(&self) -> impl Iterator<Item = (&str, usize)> {
        self.rules.words.iter().map(|(word, line)| (word.as_str(), *line))
    }

    /// Name in messages.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The same over words of `lexicon`.
    ///
    /// # Errors
    /// [`Error::List`] if a word is not in the lexicon, a rule is missing or leads back to itself, there are too many phrases, or
    /// a phrase can be empty.
    pub fn over(&self, lexicon: Arc<Lexicon>) -> Result<GrammarConstraint> {
        let mut builder = Builder::default();
        let (start, end) = (builder.state(), builder.state());
        self.add(&self.rules.root, start, end, &mut builder, &lexicon)?;
        let (table, ends) = self.deterministic(&mut builder, start, end)?;
        if ends[0].is_some() {
            return Err(Error::line(
                &self.name,
                1,
                "nothing at all is a phrase; make a word obligatory",
            ));
        }
        let sets: Vec<Vec<WordId>> =
            table.iter().map(|next| next.keys().copied().collect()).collect();
        let trees = lexicon.trees_of_sets(&sets);
        let states = table.into_iter().zip(ends).zip(trees);
        let states = states
            .map(|((next, end), tree)| State { tree, next: next.into_iter().collect(), end })
            .collect();
        let rules = self.rules.have_tags().then(|| Arc::new(self.rules.clone()));
        Ok(GrammarConstraint { lexicon, states, rules, unknown_cost: DEFAULT_UNKNOWN_COST })
    }
}

impl GrammarConstraint {
    /// The same with another cost, in nats, of each token of speech that is no phrase; a high one turns little away.
    #[must_use]
    pub fn with_unknown_cost(&self, unknown_cost: f32) -> Self {
        Self { unknown_cost, ..self.clone() }
    }

    /// The words of its phrases and how they are spoken.
    #[cfg(test)]
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// Spelling of a word found under this constraint.
    pub fn word(&self, word: WordId) -> &str {
        if word == UNKNOWN_ID {
            UNKNOWN_PHRASE
        } else {
            self.lexicon.word(word).unwrap_or_default()
        }
    }

    /// Which of `paths`, best first, is what was said, if not the first. What other speech has paid for tokens beyond as many as the
    /// phrase has does not count, so that a short phrase is no way through long speech.
    pub(super) fn said(&self, paths: &[Hypothesis]) -> Option<usize> {
        let other = paths.iter().position(|path| path.cursor == FILLER);
        let phrase = paths.iter().position(|path| path.cursor != FILLER && path.num_tokens > 0);
        let (other, phrase) = (other?, phrase?);
        let (o, p) = (&paths[other], &paths[phrase]);
        let beyond = o.num_tokens.saturating_sub(p.num_tokens + TOKENS_BEYOND);
        let is_other = o.score + self.unknown_cost * beyond as f32 > p.score;
        (phrase < other && is_other).then_some(other)
    }

    /// Whether `path` is a phrase that nothing can follow.
    pub(super) fn is_over(&self, path: &Hypothesis) -> bool {
        let over = |state: &State| state.end.is_some() && state.next.is_empty();
        path.node == ROOT && self.states.get(path.cursor as usize).is_some_and(over)
    }

    /// Whether a stream may end with `path`: with a phrase, with none that is known, or with nothing.
    pub(super) fn is_complete(&self, path: &Hypothesis) -> bool {
        let at_end = self.states.get(path.cursor as usize).is_none_or(|state| state.end.is_some());
        path.node == ROOT && (at_end || path.num_words == 0)
    }

    /// What it costs to end with `path`, in nats; to have said nothing costs nothing.
    pub(super) fn end_cost(&self, path: &Hypothesis) -> f32 {
        self.states.get(path.cursor as usize).and_then(|state| state.end).unwrap_or(0.0)
    }

    /// The tags of a phrase, in the order in which what they stand behind was said.
    pub fn tags(&self, words: &[&str]) -> Vec<String> {
        self.rules.as_ref().map_or_else(Vec::new, |rules| tags::tags(rules, words))
    }

    /// Emits every token that some phrase has next, and, from the start on, any token as part of what is no phrase.
    pub(super) fn extend(&self, step: &Step<'_>, config: &SearchConfig, sink: &mut Sink<'_>) {
        if step.path.cursor == FILLER || step.path.num_words == 0 && step.path.node == ROOT {
            self.extend_filler(step, sink);
        }
        let Some(state) = self.states.get(step.path.cursor as usize) else { return };
        for child in state.tree.children(step.path.node) {
            let token = state.tree.token(child);
            let log_prob = bounded(step.log_probs[token as usize]);
            let mut inner = *step.path;
            inner.emit(token, log_prob, step.block);
            inner.node = child;
            inner.score += log_prob + step.gain;
            let words = state.tree.words(child);
            if words.is_empty() {
                sink.push(Candidate {
                    path: inner,
                    parent: step.parent,
                    word: None,
                    closed: false,
                });
            }
            for ending in words {
                let mut path = inner;
                path.score -= config.pronunciation_weight * ending.cost;
                let found = state.next.binary_search_by_key(&ending.word, |next| next.0);
                let (cursor, cost) = found.map_or((FILLER, 0), |found| state.next[found].1);
                path.cursor = cursor;
                path.score -= cost as f32 * COST_STEP;
                path.end_word(ending.word);
                let word = Some(ending.word);
                sink.push(Candidate { path, parent: step.parent, word, closed: false });
            }
        }
    }

    /// All hypotheses of the filler have equal words, so search sums them up and follows the best.
    fn extend_filler(&self, step: &Step<'_>, sink: &mut Sink<'_>) {
        let begins = step.path.cursor != FILLER;
        for (token, log_prob) in (0..).zip(step.log_probs) {
            if token == step.end_of_block {
                continue;
            }
            let log_prob = bounded(*log_prob);
            let mut path = *step.path;
            path.emit(token, log_prob, step.block);
            path.score += log_prob + step.gain - self.unknown_cost;
            path.cursor = FILLER;
            if begins {
                path.score -= UNKNOWN_BEGIN_COST;
                path.end_word(UNKNOWN_ID);
            }
            let word = begins.then_some(UNKNOWN_ID);
            sink.push(Candidate { path, parent: step.parent, word, closed: false });
        }
    }
}
