//! The only phrases that a stream should expect.

use std::path::Path;
use std::sync::Arc;

use super::{Recognizer, SearchKind, Session, SessionOptions};
use crate::config::{LatencyMode, SearchConfig};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::search::{BeamSearch, Constraint, Grammar};

/// Phrases this far below speech of any kind are kept.
const GRAMMAR_PRUNE_LOG_PROB: f32 = 30.0;

/// Added to the model's `end_of_block_bias`: a network that was trained on sentences is slow to say a single short word (a point of
/// `training/grammar_test.py`).
const GRAMMAR_END_OF_BLOCK_BIAS: f32 = -2.0;

/// A grammar made ready for the streams of one recognizer ([`Recognizer::grammar`]). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Phrases {
    model: Arc<Model>,
    constraint: Arc<Constraint>,
}

impl PartialEq for Phrases {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.constraint, &other.constraint)
    }
}

impl Phrases {
    /// Whether they were made by `recognizer` or a clone of it.
    pub(super) fn fit(&self, recognizer: &Recognizer) -> bool {
        Arc::ptr_eq(&self.model, &recognizer.model)
    }
}

impl Session {
    /// A stream whose segments are phrases of a grammar.
    pub(super) fn with_grammar(
        recognizer: &Recognizer,
        options: &SessionOptions,
        grammar: &Phrases,
        mode: LatencyMode,
        mut search: SearchConfig,
    ) -> Result<Self> {
        let refuse = |reason: &str| Err(Error::Usage { reason: reason.into() });
        if !grammar.fit(recognizer) {
            return refuse("a grammar of another recognizer; make it with this one");
        }
        if options.hotwords.is_some() || options.search != SearchKind::Beam {
            return refuse("a grammar goes with beam search and without hotwords");
        }
        search.prune_log_prob = search.prune_log_prob.max(GRAMMAR_PRUNE_LOG_PROB);
        if options.end_of_block_bias.is_none() {
            search.end_of_block_bias += GRAMMAR_END_OF_BLOCK_BIAS;
        }
        let constraint = match (&*grammar.constraint, options.unknown_cost) {
            (Constraint::Grammar(_), Some(cost)) if !(0.0..=100.0).contains(&cost) => {
                let reason = format!("{cost} is not in 0..=100");
                return Err(Error::config("unknown_cost", reason));
            }
            (Constraint::Grammar(phrases), Some(cost)) => {
                Constraint::Grammar(phrases.with_unknown_cost(cost))
            }
            (other, _) => other.clone(),
        };
        let end = recognizer.tokens.end_of_block();
        let beam = BeamSearch::new(&search, constraint.clone(), end);
        let beam = Box::new(beam.with_half_states(recognizer.model.half_states()));
        Self::with_search(recognizer, mode, beam, constraint, true)
    }
}

impl Recognizer {
    /// Makes a grammar ready ([`Grammar::parse`]): each segment of a stream is one of its phrases, `[unk]` if it is none of them,
    /// or nothing if nothing is said. Words that the lexicon lacks are spoken as their letters suggest. `name` is the grammar's in
    /// messages.
    ///
    /// # Errors
    /// [`Error::List`] naming the line that cannot be used; [`Error::Usage`] if the model has no lexicon.
    pub fn grammar(&self, name: impl AsRef<Path>, text: &str) -> Result<Phrases> {
        let grammar = Grammar::parse(name, text)?;
        let Constraint::Lexicon(constraint) = &self.constraint else {
            let reason = format!("{}: a grammar needs a model with a lexicon", self.config().name);
            return Err(Error::Usage { reason });
        };
        let known = constraint.lexicon();
        let mut entries = Vec::new();
        for (word, line) in grammar.words().filter(|(word, _)| known.word_id(word).is_none()) {
            let guesses = self.guess(word);
            entries.extend(guesses.map_err(|reason| Error::line(grammar.name(), line, reason))?);
        }
        let lexicon = if entries.is_empty() {
            Arc::clone(known)
        } else {
            Arc::new(known.with_words(&entries, &self.tokens)?)
        };
        let constraint = Arc::new(Constraint::Grammar(grammar.over(lexicon)?));
        Ok(Phrases { model: Arc::clone(&self.model), constraint })
    }
}
