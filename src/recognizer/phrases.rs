//! The only phrases that a stream should expect.

use std::path::Path;
use std::sync::Arc;

use super::Recognizer;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::search::{Constraint, Grammar};

/// A grammar made ready for the streams of one recognizer ([`Recognizer::grammar`]). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Phrases {
    model: Arc<Model>,
    pub(crate) constraint: Arc<Constraint>,
}

impl PartialEq for Phrases {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.constraint, &other.constraint)
    }
}

impl Phrases {
    /// Whether they were made by `recognizer` or a clone of it.
    pub(crate) fn fit(&self, recognizer: &Recognizer) -> bool {
        Arc::ptr_eq(&self.model, &recognizer.model)
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
