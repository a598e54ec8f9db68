//! What was heard, in the shapes that clients ask for.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use vivavoce::subtitle::{self, Layout};
use vivavoce::transcript::{Event, Final, TimedWord, text_of};

use super::super::failure::Failure;
use super::form::{Form, Format};

/// What was heard of a file.
#[derive(Debug, Default)]
pub struct Heard {
    segments: Vec<Final>,
    /// Length of the file.
    pub seconds: f64,
}

impl Heard {
    /// Keeps what an event tells.
    ///
    /// # Errors
    /// If it tells that the stream is over before its end.
    pub fn hear(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Final(segment) if !segment.text.is_empty() => self.segments.push(segment),
            Event::Error(error) => return Err(Failure::bad(error.to_string())),
            _ => {}
        }
        Ok(())
    }

    fn text(&self) -> String {
        text_of(&self.segments)
    }

    fn words(&self) -> impl Iterator<Item = &TimedWord> {
        self.segments.iter().flat_map(|segment| &segment.result)
    }

    /// The answer that was asked for.
    pub fn response(&self, form: &Form) -> Response {
        let plain = |kind: &'static str, text: String| {
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        };
        match form.format {
            Format::Json => Json(self.json(form.log_probs)).into_response(),
            Format::VerboseJson => Json(self.verbose(form)).into_response(),
            Format::Text => plain("text/plain; charset=utf-8", self.text() + "\n"),
            Format::Srt => plain(
                "text/plain; charset=utf-8",
                subtitle::srt(&self.segments, &Layout::default()),
            ),
            Format::Vtt => {
                plain("text/vtt; charset=utf-8", subtitle::vtt(&self.segments, &Layout::default()))
            }
        }
    }

    fn usage(&self) -> Value {
        json!({"type": "duration", "seconds": self.seconds.ceil() as u64})
    }

    fn json(&self, log_probs: bool) -> Value {
        let mut value = json!({"text": self.text(), "usage": self.usage()});
        if log_probs {
            let words = self.words().map(|word| {
                json!({"token": word.word, "logprob": log_prob(word), "bytes": word.word.as_bytes()})
            });
            value["logprobs"] = words.collect();
        }
        value
    }

    fn verbose(&self, form: &Form) -> Value {
        let mut value = json!({
            "task": "transcribe",
            "language": "english",
            "duration": (self.seconds * 1000.0).round() / 1000.0,
            "text": self.text(),
            "usage": self.usage(),
        });
        if form.segments || !form.words {
            value["segments"] = self.segments.iter().zip(0_u64..).map(segment).collect();
        }
        if form.words {
            let words = self.words();
            value["words"] = words
                .map(|word| json!({"word": word.word, "start": word.start, "end": word.end}))
                .collect();
        }
        value
    }
}

/// Natural, and finite where a word has no chance at all.
fn log_prob(word: &TimedWord) -> f64 {
    let log = f64::from(word.conf).max(1e-6).ln();
    (log * 1e4).round() / 1e4
}

/// Every key is required. `tokens`, `compression_ratio` and `no_speech_prob` are of another kind of model: they have values that
/// make no client suspicious.
fn segment((segment, id): (&Final, u64)) -> Value {
    let start = segment.result.first().map_or(segment.start, |word| word.start);
    let end = segment.result.last().map_or(segment.time, |word| word.end).max(start);
    let sum: f64 = segment.result.iter().map(log_prob).sum();
    let mean = sum / segment.result.len().max(1) as f64;
    json!({
        "id": id, "seek": (start * 100.0) as u64, "start": start, "end": end, "text": segment.text,
        "tokens": [], "temperature": 0.0, "avg_logprob": mean, "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    })
}
