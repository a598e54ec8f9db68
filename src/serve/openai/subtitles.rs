//! Subtitles: the words of segments, a few seconds at a time.

use std::fmt::Write;

use vivavoce::transcript::{Final, TimedWord};

/// The longest time that words stand together.
const MAX_MS: u64 = 7000;
/// Characters that can be read in that time, in one line.
const MAX_CHARACTERS: usize = 42;

/// `SubRip`.
pub fn srt(segments: &[Final]) -> String {
    let mut out = String::new();
    for (i, (start, end, text)) in cues(segments).into_iter().enumerate() {
        let (start, end) = (clock(start, ','), clock(end, ','));
        let _ = writeln!(out, "{}\n{start} --> {end}\n{text}\n", i + 1);
    }
    out
}

/// `WebVTT` (W3C).
pub fn vtt(segments: &[Final]) -> String {
    let mut out = String::from("WEBVTT\n\n");
    for (start, end, text) in cues(segments) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _ = writeln!(out, "{} --> {}\n{text}\n", clock(start, '.'), clock(end, '.'));
    }
    out
}

fn clock(ms: u64, point: char) -> String {
    let (s, m, h) = (ms / 1000 % 60, ms / 60_000 % 60, ms / 3_600_000);
    format!("{h:02}:{m:02}:{s:02}{point}{:03}", ms % 1000)
}

fn ms(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

/// Start, end and text of each; none begins before the one before it has ended.
fn cues(segments: &[Final]) -> Vec<(u64, u64, String)> {
    let mut cues: Vec<(u64, u64, String)> = Vec::new();
    for segment in segments {
        let mut open = false;
        // Text that was made anew has other words than those with times, unless there are as many.
        let written: Vec<&str> = segment.text.split_whitespace().collect();
        let same = written.len() == segment.result.len();
        for (i, word) in segment.result.iter().enumerate() {
            let text = if same { written[i] } else { word.word.as_str() };
            match cues.last_mut() {
                Some(cue) if open && fits(cue, word, text) => {
                    cue.1 = ms(word.end).max(cue.1);
                    cue.2 = format!("{} {text}", cue.2);
                }
                last => {
                    let start = last.map_or(0, |cue| cue.1).max(ms(word.start));
                    cues.push((start, ms(word.end).max(start + 1), text.to_owned()));
                }
            }
            open = true;
        }
    }
    cues
}

fn fits(cue: &(u64, u64, String), word: &TimedWord, text: &str) -> bool {
    let characters = cue.2.chars().count() + 1 + text.chars().count();
    ms(word.end).saturating_sub(cue.0) <= MAX_MS && characters <= MAX_CHARACTERS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(text: &str, start: f64, step: f64) -> Final {
        let result = text.split(' ').zip(0_u32..).map(|(word, i)| TimedWord {
            word: word.to_lowercase(),
            start: start + f64::from(i) * step,
            end: start + f64::from(i + 1) * step,
            conf: 1.0,
        });
        Final { text: text.into(), result: result.collect(), ..Final::default() }
    }

    #[test]
    fn cues_are_short_do_not_overlap_and_have_the_text_as_it_is_written() {
        let long = "one two three four five six seven eight nine ten eleven";
        let segments = [segment("A < b", 0.5, 0.25), segment(long, 1.0, 0.2)];
        let expected = "1\n00:00:00,500 --> 00:00:01,250\nA < b\n\n\
                        2\n00:00:01,250 --> 00:00:02,600\none two three four five six seven eight\n\n\
                        3\n00:00:02,600 --> 00:00:03,200\nnine ten eleven\n\n";
        assert_eq!(srt(&segments), expected);
        assert!(
            vtt(&segments).starts_with("WEBVTT\n\n00:00:00.500 --> 00:00:01.250\nA &lt; b\n\n")
        );
        let slow = cues(&[segment("a b c", 3600.0, 4.0)]);
        assert_eq!(slow.len(), 3);
        assert_eq!(clock(slow[1].0, '.'), "01:00:04.000");
    }
}
