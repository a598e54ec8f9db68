//! JSON with the keys that Vosk made common, and more.

use serde::Serialize;
use vivavoce::transcript::{Alternative, TimedWord, span_ms};

use super::Transcript;

#[derive(Serialize)]
struct Document<'a> {
    file: &'a str,
    id: &'a str,
    model: &'a str,
    latency: &'a str,
    duration: f64,
    text: String,
    result: Vec<&'a TimedWord>,
    /// As `text` has them, where that is not how they are spoken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    written: Vec<&'a TimedWord>,
    /// Readings of the only segment.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    alternatives: &'a [Alternative],
    segments: Vec<Segment<'a>>,
}

#[derive(Serialize)]
struct Segment<'a> {
    start: f64,
    end: f64,
    text: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    alternatives: &'a [Alternative],
}

impl<'a> Document<'a> {
    fn new(transcript: &'a Transcript) -> Self {
        let segments = transcript.segments.iter().map(|segment| {
            let (start, end) = span_ms(&segment.result);
            Segment {
                start: start as f64 / 1000.0,
                end: end as f64 / 1000.0,
                text: &segment.text,
                tags: &segment.tags,
                alternatives: &segment.alternatives,
            }
        });
        let only = match transcript.segments.as_slice() {
            [only] => only.alternatives.as_slice(),
            _ => &[],
        };
        Self {
            file: &transcript.file,
            id: &transcript.name,
            model: &transcript.model,
            latency: &transcript.latency,
            duration: (transcript.duration_s * 1000.0).round() / 1000.0,
            text: transcript.text(),
            result: transcript.words().collect(),
            written: transcript.segments.iter().flat_map(|s| &s.written).collect(),
            alternatives: only,
            segments: segments.collect(),
        }
    }
}

pub fn document(transcript: &Transcript) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&Document::new(transcript))? + "\n")
}

pub fn document_line(transcript: &Transcript) -> anyhow::Result<String> {
    Ok(serde_json::to_string(&Document::new(transcript))? + "\n")
}

/// A final result as a stream gives it, with the file where there are several.
pub fn line(transcript: &Transcript, several: bool) -> anyhow::Result<String> {
    let mut out = String::new();
    for segment in &transcript.segments {
        let mut value = serde_json::to_value(segment)?;
        if let (true, Some(object)) = (several, value.as_object_mut()) {
            object.insert("file".into(), transcript.file.as_str().into());
        }
        out += &serde_json::to_string(&value)?;
        out.push('\n');
    }
    Ok(out)
}
