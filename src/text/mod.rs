//! Shaping what was recognised for reading. Words come in as search finds them: lower case, without marks, numbers spelt out.

mod digits;
mod months;
mod punctuation;

use digits::{Unit, units};
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
        let (mut at, mut out) = (0, Vec::with_capacity(words.len()));
        for unit in &units {
            write(unit, &words[at..], self.digits, str::to_owned, &mut out);
            at += unit.words;
        }
        (out, !around.after.is_empty())
    }
}

/// Writes a unit that begins `words`: a number in digits if those are wanted, else word by word in its `form`.
fn write(
    unit: &Unit,
    words: &[SpokenWord<'_>],
    digits: bool,
    form: impl Fn(&str) -> String,
    out: &mut Vec<Written>,
) {
    if let Some(text) = unit.digits.as_ref().filter(|_| digits) {
        out.push(Written { text: text.clone(), words: unit.words });
    } else {
        let own = &words[..unit.words];
        out.extend(own.iter().map(|w| Written { text: form(w.word), words: 1 }));
    }
}
