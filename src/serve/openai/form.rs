//! The form of a transcription.

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use axum::http::StatusCode;
use serde_json::Value;
use tokio::time::timeout_at;

use super::super::ask::Ask;
use super::super::failure::Failure;
use super::super::upload::{Pace, slow, too_large};

/// A field that is no file.
const MAX_FIELD_BYTES: usize = 64 * 1024;
/// All fields together.
const MAX_FIELDS: usize = 4096;

/// What the answer is written as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// The text in an object.
    #[default]
    Json,
    /// The bare text.
    Text,
    /// `SubRip`.
    Srt,
    /// `WebVTT`.
    Vtt,
    /// Segments and words with times.
    VerboseJson,
}

/// What was asked.
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the form")]
#[derive(Debug, Default)]
pub struct Form {
    /// The file; empty where there was none.
    pub file: Vec<u8>,
    /// As what to answer.
    pub format: Format,
    /// Whether text comes as it is found.
    pub stream: bool,
    /// Which times were asked for.
    pub words: bool,
    /// The same of segments.
    pub segments: bool,
    /// Whether each word comes with its log-probability.
    pub log_probs: bool,
    wishes: Ask,
}

impl Form {
    /// Reads a form that comes at a reasonable pace.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn read(mut body: Multipart, most: usize) -> Result<Self, Failure> {
        let mut form = Self::default();
        let mut pace = Pace::new();
        for _ in 0..MAX_FIELDS {
            let field = timeout_at(pace.deadline(), body.next_field()).await.map_err(|_| slow())?;
            let Some(field) = field.map_err(|error| failed(&error, most))? else { return Ok(form) };
            let name = field.name().unwrap_or_default().trim_end_matches("[]").to_owned();
            if name == "file" {
                form.file = bytes(field, &mut pace, most).await?;
            } else {
                let value = bytes(field, &mut pace, MAX_FIELD_BYTES).await?;
                let value = String::from_utf8(value);
                let value = value.map_err(|_| Failure::bad(format!("{name} is no UTF-8")))?;
                form.set(&name, value)?;
            }
        }
        Err(Failure::bad("too many fields"))
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), Failure> {
        match name {
            "language" => {
                let language = value.to_ascii_lowercase();
                if !matches!(language.as_str(), "" | "en" | "english")
                    && !language.starts_with("en-")
                {
                    let message = format!("the language {value:?} is not supported; en is");
                    return Err(Failure::bad(message).param("language"));
                }
            }
            "response_format" => {
                self.format = match value.as_str() {
                    "json" | "" => Format::Json,
                    "text" => Format::Text,
                    "srt" => Format::Srt,
                    "vtt" => Format::Vtt,
                    "verbose_json" => Format::VerboseJson,
                    _ => {
                        let known = "json, text, srt, verbose_json or vtt";
                        let message = format!("response_format {value:?} is not {known}");
                        return Err(Failure::bad(message).param("response_format"));
                    }
                }
            }
            "stream" => self.stream = flag(&value, "stream")?,
            "punctuate" => self.wishes.punctuate = Some(flag(&value, "punctuate")?),
            "digits" => self.wishes.digits = Some(flag(&value, "digits")?),
            "latency" => self.wishes.latency = Some(value),
            "keywords" => self.wishes.hotwords.push(value),
            "phrases" => self.wishes.phrases.push(value),
            "timestamp_granularities" => match value.as_str() {
                "word" => self.words = true,
                "segment" => self.segments = true,
                _ => {
                    let message = format!("{value:?} is neither word nor segment");
                    return Err(Failure::bad(message).param("timestamp_granularities"));
                }
            },
            "include" => self.log_probs |= value == "logprobs",
            "chunking_strategy" if value.starts_with('{') => {
                let strategy: Value = serde_json::from_str(&value).unwrap_or_default();
                self.silence(strategy["silence_duration_ms"].as_f64());
            }
            "chunking_strategy[silence_duration_ms]" => self.silence(value.parse().ok()),
            // model, prompt and temperature change nothing.
            _ => {}
        }
        Ok(())
    }

    fn silence(&mut self, ms: Option<f64>) {
        self.wishes.after_speech_s = ms.map(|ms| (ms / 1000.0) as f32);
    }

    /// Refuses what does not go together.
    ///
    /// # Errors
    /// What that is.
    pub fn check(&self) -> Result<(), Failure> {
        if self.file.is_empty() {
            return Err(Failure::bad("a file is missing, or empty").param("file"));
        }
        if (self.words || self.segments) && self.format != Format::VerboseJson {
            let message = "timestamp_granularities need response_format verbose_json";
            return Err(Failure::bad(message).param("timestamp_granularities"));
        }
        if self.stream && self.format != Format::Json {
            let message = "stream needs response_format json";
            return Err(Failure::bad(message).param("response_format"));
        }
        Ok(())
    }

    /// What the stream is to be like.
    pub fn ask(&self) -> Ask {
        self.wishes.clone()
    }
}

fn flag(value: &str, name: &'static str) -> Result<bool, Failure> {
    match value {
        "true" | "True" | "1" => Ok(true),
        "false" | "False" | "0" | "" => Ok(false),
        _ => Err(Failure::bad(format!("{name} is neither true nor false")).param(name)),
    }
}

/// Reads a field that comes at a reasonable pace.
async fn bytes(mut field: Field<'_>, pace: &mut Pace, most: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    loop {
        let chunk = timeout_at(pace.deadline(), field.chunk()).await.map_err(|_| slow())?;
        let Some(chunk) = chunk.map_err(|error| failed(&error, most))? else { return Ok(bytes) };
        pace.count(chunk.len());
        if bytes.len() + chunk.len() > most {
            return Err(too_large(most, None));
        }
        bytes.extend_from_slice(&chunk);
    }
}

fn failed(error: &MultipartError, most: usize) -> Failure {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large(most, None);
    }
    Failure::bad(error.body_text())
}
