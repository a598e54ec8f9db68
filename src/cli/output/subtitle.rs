//! Subtitles: words gathered into cues of at most two lines.

use std::fmt::Write;

use vivavoce::transcript::TimedWord;

use super::{Style, Transcript, ms, span_ms};

/// A pause after which a new cue begins.
const PAUSE_MS: u64 = 700;

/// Words shown together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cue {
    start_ms: u64,
    end_ms: u64,
    lines: Vec<String>,
}

/// `SubRip`.
pub fn srt(transcript: &Transcript, style: &Style) -> String {
    let mut out = String::new();
    for (i, cue) in cues(transcript, style).iter().enumerate() {
        let (start, end) = (clock(cue.start_ms, ','), clock(cue.end_ms, ','));
        let _ = writeln!(out, "{}\n{start} --> {end}\n{}\n", i + 1, cue.lines.join("\n"));
    }
    out
}

/// `WebVTT` (W3C).
pub fn vtt(transcript: &Transcript, style: &Style) -> String {
    let mut out = String::from("WEBVTT\n\n");
    for cue in cues(transcript, style) {
        let (start, end) = (clock(cue.start_ms, '.'), clock(cue.end_ms, '.'));
        let text = cue.lines.join("\n");
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _ = writeln!(out, "{start} --> {end}\n{text}\n");
    }
    out
}

fn clock(ms: u64, point: char) -> String {
    let (s, m, h) = (ms / 1000 % 60, ms / 60_000 % 60, ms / 3_600_000);
    format!("{h:02}:{m:02}:{s:02}{point}{:03}", ms % 1000)
}

fn cues(transcript: &Transcript, style: &Style) -> Vec<Cue> {
    let mut cues = Vec::new();
    for segment in &transcript.segments {
        let mut rest = segment.result.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(cue_length(rest, style));
            let (start_ms, end_ms) = span_ms(now);
            let end_ms = end_ms.min(start_ms.saturating_add(style.max_cue_ms));
            cues.push(Cue { start_ms, end_ms, lines: lines(now, style.max_line_width) });
            rest = later;
        }
    }
    separate(&mut cues);
    cues
}

/// How many words the next cue takes: up to a pause, or as many as fit, ended at the longest pause in their second half.
fn cue_length(words: &[TimedWord], style: &Style) -> usize {
    let pause = |i: usize| ms(words[i + 1].start).saturating_sub(ms(words[i].end));
    let mut fits = 1;
    while fits < words.len() {
        if pause(fits - 1) >= PAUSE_MS {
            return fits;
        }
        let (start, end) = span_ms(&words[..=fits]);
        let short = end - start <= style.max_cue_ms;
        if !short || lines(&words[..=fits], style.max_line_width).len() > 2 {
            let half = fits.div_ceil(2);
            return (half..=fits).max_by_key(|n| (pause(n - 1), *n)).unwrap_or(fits);
        }
        fits += 1;
    }
    fits
}

/// The words in lines of at most `width` characters, where no word is longer; two lines are made even.
fn lines(words: &[TimedWord], width: usize) -> Vec<String> {
    let filled = fill(words, width);
    if filled.len() != 2 {
        return filled;
    }
    let longest = |lines: &[String]| lines.iter().map(|l| l.chars().count()).max().unwrap_or(0);
    let mut best = filled;
    for first in 1..words.len() {
        let (upper, lower) = words.split_at(first);
        let split = vec![joined(upper), joined(lower)];
        if longest(&split) < longest(&best) {
            best = split;
        }
    }
    best
}

fn fill(words: &[TimedWord], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        let length = word.word.chars().count();
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + length <= width => {
                line.push(' ');
                line.push_str(&word.word);
            }
            _ => lines.push(word.word.clone()),
        }
    }
    lines
}

fn joined(words: &[TimedWord]) -> String {
    words.iter().map(|w| w.word.as_str()).collect::<Vec<_>>().join(" ")
}

/// Words may overlap where their blocks do; cues may not, and each is shown for a moment.
fn separate(cues: &mut [Cue]) {
    let mut free_ms = 0;
    for i in 0..cues.len() {
        let next_ms = cues.get(i + 1).map_or(u64::MAX, |next| next.start_ms);
        let cue = &mut cues[i];
        cue.start_ms = cue.start_ms.max(free_ms);
        cue.end_ms = cue.end_ms.min(next_ms).max(cue.start_ms + 1);
        free_ms = cue.end_ms;
    }
}

#[cfg(test)]
#[path = "subtitle_tests.rs"]
mod tests;
