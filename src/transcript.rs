//! What a stream says: words with times, partial and final results, and the events that carry them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A recognised word with its place in the stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TimedWord {
    /// The word (with units `bpe` or greedy search: the token).
    pub word: String,
    /// Seconds from the start of the stream to its beginning.
    pub start: f64,
    /// Seconds from the start of the stream to its end.
    pub end: f64,
    /// Probability that the word is right, in 0..=1, as far as the model was calibrated on development data; else what the
    /// network gives the word's tokens.
    #[serde(serialize_with = "thousandths")]
    pub conf: f32,
}

/// What is known so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Partial {
    /// All words so far, confirmed and tentative.
    pub partial: String,
    /// Words shared by every hypothesis still alive: never taken back, only added to.
    pub confirmed: String,
    /// The rest of the best hypothesis; may change.
    pub tentative: String,
    /// Seconds of audio heard.
    pub time: f64,
}

/// One of several readings of a segment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alternative {
    /// The words.
    pub text: String,
    /// Natural log-score with all weights and bonuses; only differences mean something.
    #[serde(serialize_with = "thousandths")]
    pub score: f64,
    /// Its share of the probability of all alternatives given.
    #[serde(default, serialize_with = "thousandths")]
    pub confidence: f32,
}

/// The result of a segment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Final {
    /// The words.
    pub text: String,
    /// The words with times.
    pub result: Vec<TimedWord>,
    /// The same as `text` has them, with digits and marks, where those were asked for: a number is one word of the times of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<TimedWord>,
    /// Under a grammar, the tags of what was said, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Other readings, best first, where more than one was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
    /// Which segment of its stream this is, counted from 0.
    #[serde(default)]
    pub segment: u64,
    /// Seconds from the start of the stream to that of the segment.
    #[serde(default)]
    pub start: f64,
    /// Seconds of audio heard.
    pub time: f64,
}

impl Final {
    /// The words of `text`.
    #[doc(hidden)]
    pub fn shown(&self) -> &[TimedWord] {
        if self.written.is_empty() { &self.result } else { &self.written }
    }
}

/// All that was said in a source that has ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Transcript {
    /// Its segments; one, where nothing ended them.
    pub segments: Vec<Final>,
    /// Its length in seconds.
    pub duration_s: f64,
    /// What was wrong with the source without being an error.
    pub warnings: Vec<String>,
}

impl Transcript {
    /// The words.
    pub fn text(&self) -> String {
        text_of(&self.segments)
    }
}

/// What a stream tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
        time: f64,
    },
    /// How the stream is doing, every 100 ms of audio.
    Status {
        /// Seconds of audio heard.
        time: f64,
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
    /// Something is wrong, and the stream goes on.
    Warning {
        /// What, in words for the user.
        message: String,
    },
    /// The stream is over because of this.
    Error(#[serde(serialize_with = "as_text")] Arc<Error>),
}

fn as_text<S: serde::Serializer>(
    error: &Arc<Error>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Text {
        message: String,
    }
    Text { message: error.to_string() }.serialize(serializer)
}

/// Numbers of results have the same digits wherever they are written: three behind the point at most, as times have.
fn thousandths<S: serde::Serializer>(
    value: &(impl Copy + Into<f64>),
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_f64(to_ms((*value).into()))
}

/// A time in milliseconds.
#[doc(hidden)]
pub fn ms(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

/// From the first word to the last, in milliseconds.
#[doc(hidden)]
pub fn span_ms<'a>(words: impl IntoIterator<Item = &'a TimedWord> + Clone) -> (u64, u64) {
    let start = words.clone().into_iter().map(|w| ms(w.start)).min().unwrap_or(0);
    (start, words.into_iter().map(|w| ms(w.end)).max().unwrap_or(start))
}

/// Times to the millisecond.
pub(crate) fn to_ms(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// The words of segments, those without any left out.
#[doc(hidden)]
pub fn text_of(segments: &[Final]) -> String {
    join(segments.iter().map(|segment| segment.text.as_str()).filter(|text| !text.is_empty()))
}

/// Joins words by spaces.
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
