//! A grammar as a constraint: a finite automaton over words; what fits none of its phrases is `[unk]`.

mod parse;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bounded;
use super::candidate::{Candidate, Sink, Step};
use super::hypothesis::Path as Hypothesis;
use crate::config::SearchConfig;
use crate::error::{Error, Result};
use crate::lexicon::{Lexicon, PrefixTree, ROOT, WordId};
use parse::{Expression, Rules};

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
/// What it costs to say nothing.
pub(super) const SILENCE_COST: f32 = 3.0;
const MAX_STATES: usize = 100_000;
/// Arcs of the automaton, and parts of expressions that it is made of.
const MAX_ARCS: usize = 1_000_000;
/// Arcs that are looked at while it is made.
const MAX_LOOKS: usize = 20_000_000;
/// Parts of expressions inside each other, rules that rules refer to among them.
const MAX_DEPTH: usize = 1000;

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
    unknown_cost: f32,
}

#[derive(Debug)]
struct State {
    /// Pronunciations of the words that may come.
    tree: PrefixTree,
    /// By rising word: where it leads.
    next: Vec<(WordId, u32)>,
    /// Whether a phrase may end here.
    is_end: bool,
}

/// Arcs of a nondeterministic automaton; without a word it is passed for nothing.
#[derive(Default)]
struct Builder {
    arcs: Vec<Vec<(Option<WordId>, usize)>>,
    open: Vec<String>,
    parts: usize,
    depth: usize,
    looks: usize,
}

impl Grammar {
    /// Reads a list of phrases, one a line, or rules of JSGF: `public <go> = (lights | lamp) [please] <how>;` with alternatives,
    /// groups, options, `+` and `*` behind what may come several times, and references that do not lead back to themselves. A phrase is what a public rule allows, or the first
    /// rule where none is public. `name` is the grammar's in messages.
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
        if ends[0] {
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
            .map(|((next, is_end), tree)| State { tree, next: next.into_iter().collect(), is_end })
            .collect();
        Ok(GrammarConstraint { lexicon, states, unknown_cost: DEFAULT_UNKNOWN_COST })
    }

    fn add(
        &self,
        expression: &Expression,
        from: usize,
        to: usize,
        builder: &mut Builder,
        lexicon: &Lexicon,
    ) -> Result<()> {
        builder.parts += 1;
        if builder.arcs.len() > MAX_STATES || builder.parts > MAX_ARCS {
            return self.too_large();
        }
        builder.depth += 1;
        match expression {
            Expression::Word(word) => {
                let line = self.rules.words.get(word).copied().unwrap_or(1);
                let id = lexicon.word_id(word).ok_or_else(|| {
                    Error::line(&self.name, line, format!("{word:?} is not in the lexicon"))
                })?;
                builder.arcs[from].push((Some(id), to));
            }
            Expression::Optional(inner) => {
                builder.arcs[from].push((None, to));
                self.add(inner, from, to, builder, lexicon)?;
            }
            Expression::Repeated(inner) => {
                let (begin, end) = (builder.state(), builder.state());
                builder.arcs[from].push((None, begin));
                self.add(inner, begin, end, builder, lexicon)?;
                builder.arcs[end].push((None, begin));
                builder.arcs[end].push((None, to));
            }
            Expression::Alternatives(all) => {
                for one in all {
                    self.add(one, from, to, builder, lexicon)?;
                }
            }
            Expression::Sequence(all) => {
                let mut at = from;
                for (i, one) in all.iter().enumerate() {
                    let next = if i + 1 == all.len() { to } else { builder.state() };
                    self.add(one, at, next, builder, lexicon)?;
                    at = next;
                }
            }
            Expression::Rule(name, line) => {
                let refuse =
                    |what: &str| Error::line(&self.name, *line, format!("<{name}> {what}"));
                let rule = self.rules.named.get(name).ok_or_else(|| refuse("is not there"))?;
                if builder.open.contains(name) {
                    return Err(refuse("leads back to itself"));
                }
                if builder.depth > MAX_DEPTH {
                    return Err(refuse("comes after too many other rules"));
                }
                builder.open.push(name.clone());
                self.add(rule, from, to, builder, lexicon)?;
                builder.open.pop();
            }
        }
        builder.depth -= 1;
        Ok(())
    }

    fn too_large<T>(&self) -> Result<T> {
        Err(Error::line(&self.name, 1, "too many phrases"))
    }

    /// States and whether a phrase may end there; the first is the start.
    #[expect(clippy::type_complexity, reason = "one call site")]
    fn deterministic(
        &self,
        builder: &mut Builder,
        start: usize,
        end: usize,
    ) -> Result<(Vec<BTreeMap<WordId, u32>>, Vec<bool>)> {
        let mut sets = vec![builder.closure(vec![start])];
        let mut numbers: HashMap<Vec<usize>, u32> = HashMap::from([(sets[0].clone(), 0)]);
        let (mut table, mut ends, mut arcs) = (Vec::new(), Vec::new(), 0);
        while let Some(set) = sets.get(table.len()).cloned() {
            let mut targets: BTreeMap<WordId, Vec<usize>> = BTreeMap::new();
            for (word, to) in set.iter().flat_map(|state| &builder.arcs[*state]) {
                if let Some(word) = word {
                    targets.entry(*word).or_default().push(*to);
                }
            }
            let mut next = BTreeMap::new();
            for (word, to) in targets {
                let closure = builder.closure(to);
                let number = *numbers.entry(closure.clone()).or_insert(sets.len() as u32);
                if number as usize == sets.len() {
                    sets.push(closure);
                }
                next.insert(word, number);
                if sets.len() > MAX_STATES || builder.looks > MAX_LOOKS {
                    return self.too_large();
                }
            }
            arcs += next.len();
            if arcs > MAX_ARCS {
                return self.too_large();
            }
            table.push(next);
            ends.push(set.contains(&end));
        }
        Ok((table, ends))
    }
}

impl Builder {
    fn state(&mut self) -> usize {
        self.arcs.push(Vec::new());
        self.arcs.len() - 1
    }

    /// All states that are reached without a word, sorted.
    fn closure(&mut self, mut open: Vec<usize>) -> Vec<usize> {
        let mut seen: HashSet<usize> = open.iter().copied().collect();
        while let Some(state) = open.pop() {
            self.looks += self.arcs[state].len() + 1;
            for (_, to) in self.arcs[state].iter().filter(|arc| arc.0.is_none()) {
                if seen.insert(*to) {
                    open.push(*to);
                }
            }
        }
        let mut all: Vec<_> = seen.into_iter().collect();
        all.sort_unstable();
        all
    }
}

impl GrammarConstraint {
    /// The same with another cost, in nats, of each token of speech that is no phrase; a high one turns little away.
    #[must_use]
    pub fn with_unknown_cost(&self, unknown_cost: f32) -> Self {
        Self { unknown_cost, ..self.clone() }
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
        let over = |state: &State| state.is_end && state.next.is_empty();
        path.node == ROOT && self.states.get(path.cursor as usize).is_some_and(over)
    }

    /// Whether a stream may end with `path`: with a phrase, with none that is known, or with nothing.
    pub(super) fn is_complete(&self, path: &Hypothesis) -> bool {
        let at_end = self.states.get(path.cursor as usize).is_none_or(|state| state.is_end);
        path.node == ROOT && (at_end || path.num_words == 0)
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
                path.cursor = found.map_or(FILLER, |found| state.next[found].1);
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
