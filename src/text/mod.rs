//! Shaping what was recognised for reading. Words come in as search finds them: lower case, without marks, numbers spelt out.

mod digits;
mod punctuation;

use digits::units;
pub use punctuation::Punctuator;

/// A word of a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpokenWord<'a> {
    /// As search found it.
    pub word: &'a str,
    /// Seconds from the start of the stream.
    pub start_s: f64,
    /// Seconds from the start of the stream.
    pub end_s: f64,
}

/// A piece of written text without a space at its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// As it is written, with its mark.
    pub text: String,
    /// So many spoken words.
    pub words: usize,
}

/// How a segment is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shaping {
    /// Numbers as digits.
    pub digits: bool,
    /// Sentence ends, commas and capitals.
    pub punctuate: bool,
}

/// What words do with the sentence before them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sentence {
    /// They begin one of their own.
    #[default]
    Begins,
    /// They go on with it.
    GoesOn,
}

/// Where a segment stands in what is said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around<'a> {
    /// Whether the segment before was cut inside a sentence.
    pub goes_on: bool,
    /// What comes after a segment that is cut; nothing after one that is over.
    pub after: &'a [SpokenWord<'a>],
}

impl Shaping {
    /// The words of a segment as they are written, and whether it ends inside a sentence. Without `punctuator` there are no marks and
    /// capitals.
    pub fn shape(
        self,
        words: &[SpokenWord<'_>],
        around: Around<'_>,
        punctuator: Option<&Punctuator>,
    ) -> (Vec<Written>, bool) {
        let spoken: Vec<&str> = words.iter().map(|w| w.word).collect();
        let units = units(&spoken);
        if let Some(punctuator) = punctuator.filter(|_| self.punctuate) {
            return punctuator.shape(words, &units, around, self.digits);
        }
        let mut at = 0;
        let mut out = Vec::with_capacity(units.len());
        for unit in units {
            match unit.digits.filter(|_| self.digits) {
                Some(text) => out.push(Written { text, words: unit.words }),
                None => out.extend(
                    spoken[at..at + unit.words]
                        .iter()
                        .map(|word| Written { text: (*word).to_owned(), words: 1 }),
                ),
            }
            at += unit.words;
        }
        (out, !around.after.is_empty())
    }
}
