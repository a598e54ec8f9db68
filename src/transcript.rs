//! What a stream says: words with times, partial and final results, and the events that carry them.

use serde::{Deserialize, Serialize};

/// A recognised word with its place in the stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimedWord {
    /// The word (with units `bpe` or greedy search: the token).
    pub word: String,
    /// Seconds from the start of the stream to its beginning.
    pub start: f32,
    /// Seconds from the start of the stream to its end.
    pub end: f32,
    /// Probability that the word is right, in 0..=1, as far as the model was calibrated on development data; else what the
    /// network gives the word's tokens.
    pub conf: f32,
}

/// What is known so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Partial {
    /// All words so far, confirmed and tentative.
    pub partial: String,
    /// Words shared by every hypothesis still alive: never taken back, only added to.
    pub confirmed: String,
    /// The rest of the best hypothesis; may change.
    pub tentative: String,
    /// Seconds of audio heard.
    pub time: f32,
}

/// One of several readings of a segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// The words.
    pub text: String,
    /// Natural log-score with all weights and bonuses; only differences mean something.
    pub score: f64,
    /// Its share of the probability of all alternatives given.
    #[serde(default)]
    pub confidence: f32,
}

/// The result of a segment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Final {
    /// The words.
    pub text: String,
    /// The words with times.
    pub result: Vec<TimedWord>,
    /// Other readings, best first, where more than one was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
    /// Seconds of audio heard.
    pub time: f32,
}

/// What a pipeline tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The words so far have changed.
    Partial(Partial),
    /// A segment is over.
    Final(Final),
    /// The end of a segment was found at this time.
    Endpoint {
        /// Seconds from the start of the stream.
        time: f32,
    },
    /// How the stream is doing, every 100 ms of audio.
    Status {
        /// Seconds of audio heard.
        time: f32,
        /// Milliseconds from the capture of the latest audio to now, when it has been heard.
        lag_ms: f32,
        /// The loudest sample of late, in 0..=1.
        peak: f32,
        /// Whether a voice is heard.
        voice: bool,
    },
    /// Audio was lost because the queue was full.
    Overrun {
        /// Seconds lost since the last such event.
        lost_s: f32,
    },
    /// Something is wrong; the stream ends if `fatal`.
    Error {
        /// What, in words for the user.
        message: String,
        /// Whether the stream is over.
        fatal: bool,
    },
}

/// Joins words by spaces onto `out`.
pub(crate) fn join<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = String::new();
    for word in words {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}
