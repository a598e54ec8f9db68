//! What sclite of NIST's Scoring Toolkit reads (SCTK, doc/infmts.htm): ctm, stm and trn.

use std::fmt::Write;

use vivavoce::transcript::{ms, span_ms};

use super::Transcript;

/// Nobody has told how many speakers there are.
const SPEAKER: &str = "unknown";

/// `<waveform> <channel> <begin> <duration> <word> <confidence>`.
pub fn ctm(transcript: &Transcript) -> String {
    let (id, mut out) = (transcript.id(), String::new());
    for word in transcript.words() {
        let (start, end) = (ms(word.start), ms(word.end));
        let duration = seconds(end.saturating_sub(start));
        let token = token(&word.word);
        let _ = writeln!(out, "{id} 1 {} {duration} {token} {:.3}", seconds(start), word.conf);
    }
    out
}

/// `<waveform> <channel> <speaker> <begin> <end> <words>`; a file without words is one segment without words.
pub fn stm(transcript: &Transcript) -> String {
    let (id, mut out) = (transcript.id(), String::new());
    for segment in &transcript.segments {
        let (start, end) = span_ms(&segment.result);
        let (start, end) = (seconds(start), seconds(end));
        let words = words(segment.shown().iter().map(|w| w.word.as_str()));
        let _ = writeln!(out, "{id} 1 {SPEAKER} {start} {end} {words}");
    }
    if out.is_empty() {
        let _ = writeln!(out, "{id} 1 {SPEAKER} 0.000 {:.3}", transcript.duration_s);
    }
    out
}

/// `<words> (<id>)`.
pub fn trn(transcript: &Transcript) -> String {
    let words = words(transcript.words().map(|w| w.word.as_str()));
    let space = if words.is_empty() { "" } else { " " };
    format!("{words}{space}({})\n", transcript.id())
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(token).collect::<Vec<_>>().join(" ")
}

/// Spaces end a word, and brackets mean alternatives and ids.
fn token(word: &str) -> String {
    let special = |c: char| c.is_whitespace() || "(){}".contains(c);
    word.chars().map(|c| if special(c) { '_' } else { c }).collect()
}
