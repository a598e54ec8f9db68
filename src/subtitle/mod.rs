//! Subtitles: words gathered into cues of at most two lines.

#[cfg(test)]
mod tests;

use std::fmt::Write;

use crate::transcript::{Final, TimedWord, ms, span_ms};

/// A pause after which a new cue begins.
const PAUSE_MS: u64 = 700;
/// Shorter gaps between cues are closed, as they flicker.
const SHORTEST_GAP_MS: u64 = 100;
/// A cue may begin so long before its words where it is shown too short.
const LEAD_MS: u64 = 300;
/// As long as a cue is shown where there is room.
const SHORTEST_CUE_S: f32 = 1.0;
/// Characters a second that can be read.
const FASTEST: f32 = 20.0;
/// Words that go with what follows.
const CLINGING: [&str; 27] = [
    "a", "an", "the", "of", "to", "in", "on", "at", "by", "for", "with", "from", "and", "or",
    "but", "as", "that", "than", "my", "your", "his", "her", "its", "our", "their", "is", "was",
];

/// How large cues may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Characters of a line, of which a cue has at most two.
    pub max_line_width: usize,
    /// The longest time that a cue is shown.
    pub max_cue_ms: u64,
}

impl Default for Layout {
    fn default() -> Self {
        Self { max_line_width: 42, max_cue_ms: 7000 }
    }
}

/// Words shown together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cue {
    start_ms: u64,
    end_ms: u64,
    lines: Vec<String>,
}

/// `SubRip`.
pub fn srt(segments: &[Final], layout: &Layout) -> String {
    let mut out = String::new();
    for (i, cue) in cues(segments, layout).iter().enumerate() {
        let (start, end) = (clock(cue.start_ms, ','), clock(cue.end_ms, ','));
        let _ = writeln!(out, "{}\n{start} --> {end}\n{}\n", i + 1, cue.lines.join("\n"));
    }
    out
}

/// `WebVTT` (W3C).
pub fn vtt(segments: &[Final], layout: &Layout) -> String {
    let mut out = String::from("WEBVTT\n\n");
    for cue in cues(segments, layout) {
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

fn cues(segments: &[Final], layout: &Layout) -> Vec<Cue> {
    let words: Vec<&TimedWord> = segments.iter().flat_map(Final::shown).collect();
    let mut cues = Vec::new();
    for run in words.chunk_by(|a, b| pause_ms(a, b) < PAUSE_MS) {
        let mut from = 0;
        for until in breaks(run, layout) {
            let now = &run[from..until];
            let (start_ms, end_ms) = span_ms(now.iter().copied());
            let end_ms = end_ms.min(start_ms.saturating_add(layout.max_cue_ms));
            cues.push(Cue { start_ms, end_ms, lines: lines(now, layout.max_line_width) });
            from = until;
        }
    }
    separate(&mut cues, layout.max_cue_ms);
    cues
}

fn pause_ms(a: &TimedWord, b: &TimedWord) -> u64 {
    ms(b.start).saturating_sub(ms(a.end))
}

/// Where the cues of a run of words end: of all ways to cut it the one that costs least.
fn breaks(run: &[&TimedWord], layout: &Layout) -> Vec<usize> {
    // For every place: what the best cues up to it cost, and where the last of them begins.
    let mut best = vec![(0.0_f32, 0_usize)];
    for until in 1..=run.len() {
        let mut here = (f32::INFINITY, until - 1);
        for from in (0..until).rev() {
            let one = &run[from..until];
            if one.len() > 1 && !fits(one, layout) {
                break;
            }
            let cost = best[from].0 + cost(one, run.get(until).copied());
            if cost < here.0 {
                here = (cost, from);
            }
        }
        best.push(here);
    }
    let mut out = Vec::new();
    let mut at = run.len();
    while at > 0 {
        out.push(at);
        at = best[at].1;
    }
    out.reverse();
    out
}

fn fits(words: &[&TimedWord], layout: &Layout) -> bool {
    let (start, end) = span_ms(words.iter().copied());
    end - start <= layout.max_cue_ms && fill(words, layout.max_line_width).len() <= 2
}

/// What it costs a reader that these words are a cue before `next`.
fn cost(words: &[&TimedWord], next: Option<&TimedWord>) -> f32 {
    let Some((last, before)) = words.split_last() else { return 0.0 };
    let (start, end) = span_ms(words.iter().copied());
    // What it can be shown for.
    let until = next.map_or(u64::MAX, |next| ms(next.start).max(end));
    let shown_s = until.saturating_sub(start).max(1) as f32 / 1000.0;
    let letters = joined(words).chars().count() as f32;
    let mut cost = 1.0;
    if let Some(next) = next {
        cost += if ends_sentence(last) {
            0.0
        } else if last.word.ends_with(',') {
            0.6
        } else {
            1.5
        };
        cost -= (pause_ms(last, next) as f32 / 1000.0).min(0.5);
        if CLINGING.contains(&last.word.to_lowercase().as_str()) {
            cost += 1.0;
        }
    }
    cost += 3.0 * (SHORTEST_CUE_S - shown_s).max(0.0);
    cost += 0.2 * (letters / shown_s - FASTEST).max(0.0);
    cost += (12.0 - letters).max(0.0) / 12.0;
    cost + 0.5 * before.iter().filter(|word| ends_sentence(word)).count() as f32
}

fn ends_sentence(word: &TimedWord) -> bool {
    word.word.ends_with(['.', '?', '!'])
}

/// The words in lines of at most `width` characters, where no word is longer; of two lines neither is much longer, and the first
/// ends at a mark or before a word that clings to those behind it where that can be.
fn lines(words: &[&TimedWord], width: usize) -> Vec<String> {
    let filled = fill(words, width);
    if filled.len() != 2 {
        return filled;
    }
    let count = |line: &str| line.chars().count();
    let mut best = (f32::INFINITY, filled);
    for first in 1..words.len() {
        let split = vec![joined(&words[..first]), joined(&words[first..])];
        let (upper, lower) = (count(&split[0]), count(&split[1]));
        if upper > width || lower > width {
            continue;
        }
        let last = &words[first - 1].word;
        let mut cost = upper.abs_diff(lower) as f32;
        if last.ends_with(['.', '?', '!']) {
            cost -= 12.0;
        } else if last.ends_with(',') {
            cost -= 8.0;
        }
        if CLINGING.contains(&last.to_lowercase().as_str()) {
            cost += 6.0;
        }
        if cost < best.0 {
            best = (cost, split);
        }
    }
    best.1
}

fn fill(words: &[&TimedWord], width: usize) -> Vec<String> {
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

fn joined(words: &[&TimedWord]) -> String {
    words.iter().map(|w| w.word.as_str()).collect::<Vec<_>>().join(" ")
}

/// Gives cues time to be read, as far as those around them leave it: they begin a little before their words and stay behind them.
/// Words may overlap where their blocks do; cues may not, and none flickers.
fn separate(cues: &mut [Cue], max_cue_ms: u64) {
    let mut free_ms = 0;
    for i in 0..cues.len() {
        let next_ms = cues.get(i + 1).map_or(u64::MAX, |next| next.start_ms);
        let cue = &mut cues[i];
        let letters: usize = cue.lines.iter().map(|line| line.chars().count() + 1).sum();
        let wanted = (1000.0 * (letters as f32 / FASTEST).max(SHORTEST_CUE_S)) as u64;
        let wanted = wanted.min(max_cue_ms);
        cue.start_ms = cue.start_ms.max(free_ms);
        let end = cue.end_ms.max(cue.start_ms.saturating_add(wanted)).min(next_ms);
        let lacking = wanted.saturating_sub(end.saturating_sub(cue.start_ms)).min(LEAD_MS);
        cue.start_ms -= lacking.min(cue.start_ms - free_ms);
        cue.end_ms = end.max(cue.start_ms + 1);
        if next_ms.saturating_sub(cue.end_ms) < SHORTEST_GAP_MS
            && next_ms.saturating_sub(cue.start_ms) <= max_cue_ms
        {
            cue.end_ms = next_ms.max(cue.end_ms);
        }
        free_ms = cue.end_ms;
    }
}
