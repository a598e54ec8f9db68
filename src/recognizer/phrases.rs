//! The only phrases that a stream should expect.

use std::path::Path;
use std::sync::Arc;

use super::Recognizer;
use crate::error::{Error, Result};
use crate::lexicon::{Entry, Lexicon};
use crate::model::Model;
use crate::search::{Constraint, Grammar};

/// What it costs, in nats, to say a word as its letters suggest where the lexicon has it otherwise: people of other regions say
/// "garage" so.
const GUESSED_COST: f32 = 1.0;

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
    /// or nothing if nothing is said. Words may also be spoken as their letters suggest, and those that the lexicon lacks are only spoken
    /// so. `name` is the grammar's in messages.
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
        let (mut ids, mut entries) = (Vec::new(), Vec::new());
        for (word, line) in grammar.words() {
            let id = known.word_id(word);
            match self.guess(word) {
                Ok(guesses) => {
                    let more = if id.is_some() { GUESSED_COST } else { 0.0 };
                    let costlier = |guess: Entry| Entry { cost: guess.cost + more, ..guess };
                    entries.extend(guesses.into_iter().map(costlier));
                }
                Err(reason) if id.is_none() => {
                    return Err(Error::line(grammar.name(), line, reason));
                }
                Err(_) => {}
            }
            ids.extend(id);
        }
        // What the lexicon says goes before a guess that is the same.
        entries.splice(0..0, known.entries_of(&ids));
        let lexicon = Arc::new(Lexicon::from_entries(&entries, &self.tokens)?);
        let constraint = Arc::new(Constraint::Grammar(grammar.over(lexicon)?));
        Ok(Phrases { model: Arc::clone(&self.model), constraint })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_be_spoken_as_their_letters_suggest() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/en-small");
        let recognizer = Recognizer::load(folder).unwrap();
        let ways = |lexicon: &Lexicon, word| -> Vec<_> {
            let spell = |path: &Vec<_>| {
                let names: Vec<_> = path
                    .iter()
                    .map(|token| recognizer.tokens.text(recognizer.tokens.plain(*token)).unwrap())
                    .collect();
                names.join(" ")
            };
            let id = lexicon.word_id(word).unwrap();
            lexicon.pronunciations_of(&[id])[0].iter().map(spell).collect()
        };
        let Constraint::Lexicon(known) = recognizer.constraint() else { panic!("no lexicon") };
        let phrases = recognizer.grammar("phrases", "open the garage\nblorple").unwrap();
        let Constraint::Grammar(grammar) = &*phrases.constraint else { panic!("no grammar") };
        // As the lexicon has it first, and then as "marriage" is spoken.
        let (before, now) = (ways(known.lexicon(), "garage"), ways(grammar.lexicon(), "garage"));
        assert_eq!(now[..before.len()], before);
        assert!(now.contains(&"G EH R IH JH".into()), "{now:?}");
        assert!(!before.contains(&"G EH R IH JH".into()), "{before:?}");
        assert_eq!(ways(grammar.lexicon(), "blorple")[0], "B L AO R P AH L");
        // Only what the grammar needs.
        assert_eq!(grammar.lexicon().num_words(), 4);
    }
}
