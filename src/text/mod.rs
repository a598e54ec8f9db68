//! Shaping what was recognised for reading. Words come in as search finds them: lower case, without marks, numbers spelt out.

mod digits;
mod punctuation;

pub use digits::digits;
pub use punctuation::{Punctuator, SpokenWord};

/// How a segment is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shaping {
    /// Numbers as digits.
    pub digits: bool,
    /// Sentence ends and capitals.
    pub punctuate: bool,
}

impl Shaping {
    /// The words of a segment that is over. Without `punctuator` there are no sentence ends and capitals.
    pub fn shape(self, words: &[SpokenWord<'_>], punctuator: Option<&Punctuator>) -> String {
        let write = |text: &str| if self.digits { digits(text) } else { text.to_owned() };
        match punctuator.filter(|_| self.punctuate) {
            Some(punctuator) => punctuator.shape(words, write),
            None => write(&words.iter().map(|w| w.word).collect::<Vec<_>>().join(" ")),
        }
    }
}
