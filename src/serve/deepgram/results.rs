//! The messages of Deepgram. Final results tile the stream: each begins where the one before it ended.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use vivavoce::transcript::{Event, Final, text_of};

use super::super::scheduler::Output;
use super::query::Wishes;

/// What is said about every result.
#[derive(Debug, Clone)]
pub struct About {
    /// Names the request.
    pub request_id: String,
    /// Names the model.
    pub model: String,
}

impl About {
    fn model_info(&self) -> Value {
        json!({"name": self.model, "version": env!("CARGO_PKG_VERSION"), "arch": "neural-transducer"})
    }

    /// The answer to a file.
    pub fn whole(&self, segments: &[Final], seconds: f64, hash: &str, utterances: bool) -> Value {
        let mut all = Final::default();
        all.text = text_of(segments);
        all.result = segments.iter().flat_map(|s| s.result.clone()).collect();
        all.written = segments.iter().flat_map(|s| s.written.clone()).collect();
        let mut results = json!({"channels": [{"alternatives": [alternative(&all)]}]});
        if utterances {
            results["utterances"] = segments.iter().map(utterance).collect();
        }
        json!({
            "metadata": {
                "transaction_key": "deprecated", "request_id": self.request_id, "sha256": hash, "created": now(),
                "duration": seconds, "channels": 1, "models": [self.model],
                "model_info": {self.model.as_str(): self.model_info()},
            },
            "results": results,
        })
    }
}

/// What one client was told.
pub struct Results {
    about: About,
    wishes: Wishes,
    /// Where the last final result ended.
    told_s: f64,
    /// End of the last word whose utterance was not yet told to be over.
    last_word_s: Option<f64>,
    voice: bool,
    finalize: bool,
    finalized: bool,
}

impl Results {
    /// Nothing was told.
    pub fn new(about: About, wishes: &Wishes) -> Self {
        Self {
            about,
            wishes: wishes.clone(),
            told_s: 0.0,
            last_word_s: None,
            voice: false,
            finalize: false,
            finalized: false,
        }
    }

    /// What an output gives to tell.
    ///
    /// # Errors
    /// Why the stream is over.
    pub fn hear(&mut self, output: Output) -> Result<Vec<String>, String> {
        let mut messages = Vec::new();
        if output.voice && !self.voice && self.wishes.vad_events {
            let at = output.time_s;
            messages.push(
                json!({"type": "SpeechStarted", "channel": [0, 1], "timestamp": at}).to_string(),
            );
        }
        self.voice = output.voice;
        for event in output.events {
            match event {
                Event::Partial(partial) if self.wishes.interim && !partial.partial.is_empty() => {
                    let mut segment = Final::default();
                    (segment.text, segment.time) = (partial.partial, partial.time);
                    messages.push(self.results(&segment, false));
                }
                Event::Final(segment) => {
                    messages.push(self.results(&segment, true));
                    self.told_s = segment.time;
                    self.last_word_s =
                        segment.result.last().map(|word| word.end).or(self.last_word_s);
                    self.finalized = self.finalize;
                }
                Event::Error(error) => return Err(error.to_string()),
                _ => {}
            }
        }
        if let (Some(wait), Some(end)) = (self.wishes.utterance_end_s, self.last_word_s)
            && !output.voice
            && output.time_s - end >= wait
        {
            self.last_word_s = None;
            let over = json!({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": end});
            messages.push(over.to_string());
        }
        Ok(messages)
    }

    /// What comes now was asked for.
    pub fn finalize(&mut self) {
        (self.finalize, self.finalized) = (true, false);
    }

    /// It has come; where nothing did, that is told.
    pub fn finalized(&mut self, seconds: f64) -> Option<String> {
        let mut nothing = Final::default();
        nothing.time = seconds.max(self.told_s);
        let message = (!self.finalized).then(|| self.results(&nothing, true));
        self.told_s = self.told_s.max(seconds);
        (self.finalize, self.finalized) = (false, false);
        message
    }

    /// The last message.
    pub fn metadata(&self, seconds: f64, hash: &str) -> String {
        json!({
            "type": "Metadata", "transaction_key": "deprecated", "request_id": self.about.request_id,
            "sha256": hash, "created": now(), "duration": seconds, "channels": 1,
        })
        .to_string()
    }

    fn results(&self, segment: &Final, last: bool) -> String {
        json!({
            "type": "Results",
            "channel_index": [0, 1],
            "start": self.told_s,
            "duration": round((segment.time - self.told_s).max(0.0)),
            "is_final": last,
            "speech_final": last,
            "from_finalize": last && self.finalize,
            "channel": {"alternatives": [alternative(segment)]},
            "metadata": {
                "request_id": self.about.request_id,
                "model_info": self.about.model_info(),
                "model_uuid": self.about.model,
            },
        })
        .to_string()
    }
}

fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

fn confidence(segment: &Final) -> f64 {
    let sum: f64 = segment.result.iter().map(|word| f64::from(word.conf)).sum();
    round(sum / segment.result.len().max(1) as f64)
}

fn words(segment: &Final) -> Vec<Value> {
    let words = segment.shown().iter().map(|word| {
        let bare = word.word.trim_end_matches(['.', ',', '?']).to_lowercase();
        json!({
            "word": bare, "start": word.start, "end": word.end,
            "confidence": round(word.conf.into()), "punctuated_word": word.word,
        })
    });
    words.collect()
}

fn alternative(segment: &Final) -> Value {
    json!({"transcript": segment.text, "confidence": confidence(segment), "words": words(segment)})
}

fn utterance(segment: &Final) -> Value {
    let start = segment.result.first().map_or(segment.start, |word| word.start);
    let end = segment.result.last().map_or(segment.time, |word| word.end);
    json!({
        "start": start, "end": end, "confidence": confidence(segment), "channel": 0,
        "transcript": segment.text, "words": words(segment), "id": segment.segment.to_string(),
    })
}

/// Now, as RFC 3339 has it.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    moment(since.as_secs(), since.subsec_millis())
}

/// Days to a date: Howard Hinnant, "chrono-compatible low-level date algorithms".
fn moment(seconds: u64, ms: u32) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates() {
        assert_eq!(moment(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(moment(951_782_400, 7), "2000-02-29T00:00:00.007Z");
        assert_eq!(moment(1_724_972_122, 202), "2024-08-29T22:55:22.202Z");
    }
}
