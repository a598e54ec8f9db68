//! Cues by hand.

use super::*;

fn layout(max_line_width: usize, max_cue_ms: u64) -> Layout {
    Layout { max_line_width, max_cue_ms }
}

/// Words with start and end in seconds.
fn transcript(words: &[(&str, f64, f64)]) -> Vec<Final> {
    let word = |&(word, start, end): &(&str, f64, f64)| TimedWord {
        word: word.into(),
        start,
        end,
        conf: 1.0,
    };
    let result: Vec<_> = words.iter().map(word).collect();
    let text = joined(&result.iter().collect::<Vec<_>>());
    vec![Final { text, result, ..Final::default() }]
}

/// `n` words of four letters, each as long as its distance to the next allows.
fn even(n: usize, step_s: f64) -> Vec<Final> {
    let names: Vec<_> = (0..n).map(|i| format!("w{i:03}")).collect();
    let times = names.iter().enumerate();
    let words: Vec<_> =
        times.map(|(i, w)| (w.as_str(), i as f64 * step_s, (i as f64 + 0.9) * step_s)).collect();
    transcript(&words)
}

#[test]
fn a_pause_begins_a_cue() {
    let said = transcript(&[
        ("one", 0.0, 0.5),
        ("two", 0.6, 1.0),
        ("three", 1.7, 2.0),
        ("four", 2.6, 3.0),
    ]);
    let out = srt(&said, &layout(42, 7000));
    assert_eq!(
        out,
        "1\n00:00:00,000 --> 00:00:01,000\none two\n\n2\n00:00:01,700 --> 00:00:03,000\nthree four\n\n"
    );
    let out = vtt(&said, &layout(42, 7000));
    assert!(out.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\none two\n\n"), "{out}");
}

#[test]
fn lines_are_narrow_even_and_at_most_two() {
    let said = even(100, 0.1);
    for width in [9, 14, 42] {
        let all = cues(&said, &layout(width, 60_000));
        for cue in &all {
            assert!(cue.lines.len() <= 2 && cue.lines.iter().all(|l| l.len() <= width), "{cue:?}");
        }
        let words: Vec<_> = all.iter().flat_map(|c| &c.lines).flat_map(|l| l.split(' ')).collect();
        assert_eq!(words.join(" "), said[0].text);
        let full = &all[0].lines;
        assert_eq!(full[0].len(), full[1].len(), "{full:?}");
    }
    let wide = transcript(&[
        ("antidisestablishmentarianism", 0.0, 1.0),
        ("is", 1.0, 1.2),
        ("long", 1.2, 1.5),
    ]);
    assert_eq!(cues(&wide, &layout(8, 7000))[0].lines, ["antidisestablishmentarianism", "is long"]);
}

#[test]
fn a_full_cue_ends_at_its_longest_pause() {
    let mut said = even(12, 0.5);
    for word in &mut said[0].result[7..] {
        word.start += 0.3;
        word.end += 0.3;
    }
    // Ten words fit on two lines of 24; the pause stands behind the seventh.
    let all = cues(&said, &layout(24, 60_000));
    assert_eq!(all[0].lines.join(" ").split(' ').count(), 7, "{all:?}");
}

#[test]
fn cues_are_short_and_never_overlap() {
    let all = cues(&even(60, 0.5), &layout(42, 3000));
    assert!(all.iter().all(|c| c.end_ms - c.start_ms <= 3000 && c.start_ms < c.end_ms));
    let crowded = transcript(&[
        ("a", 0.0, 1.0),
        ("b", 0.0, 1.0),
        ("c", 0.5, 1.0),
        ("d", 0.5, 12.0),
        ("e", 0.5, 0.9),
    ]);
    for width in [1, 3, 42] {
        let all = cues(&crowded, &layout(width, 2000));
        for pair in all.windows(2) {
            assert!(pair[0].end_ms <= pair[1].start_ms, "{all:?}");
        }
        assert!(all.iter().all(|c| c.start_ms < c.end_ms), "{all:?}");
    }
}

#[test]
fn hours_and_markup_are_written_right() {
    let said = transcript(&[("a<b>&", 3725.25, 3726.0)]);
    assert!(
        vtt(&said, &layout(42, 7000)).contains("01:02:05.250 --> 01:02:06.250\na&lt;b&gt;&amp;\n")
    );
}

#[test]
fn a_cue_may_last_for_ever() {
    let said = transcript(&[("one", 1.0, 1.5), ("two", 1.6, 2.0)]);
    assert_eq!(srt(&said, &layout(42, u64::MAX)), srt(&said, &layout(42, 7000)));
}

/// Words of a line, `step_s` apart without pauses.
fn spoken(line: &str, step_s: f64) -> Vec<Final> {
    let words: Vec<&str> = line.split(' ').collect();
    let times = words.iter().enumerate();
    transcript(
        &times.map(|(i, w)| (*w, i as f64 * step_s, (i + 1) as f64 * step_s)).collect::<Vec<_>>(),
    )
}

#[test]
fn cues_end_where_sentences_and_clauses_do() {
    let said = spoken(
        "We left the harbour before the sun was up, because the wind had turned. Nobody spoke of the night before. It was over.",
        0.3,
    );
    let all = cues(&said, &layout(42, 7000));
    let ends: Vec<_> =
        all.iter().map(|c| c.lines.join(" ").split(' ').next_back().unwrap().to_owned()).collect();
    assert!(ends.iter().all(|end| end.ends_with(['.', ','])), "{all:?}");
    assert!(all.iter().all(|c| c.lines.iter().all(|l| !l.ends_with(" the"))), "{all:?}");
}

#[test]
fn cues_last_long_enough_to_be_read_where_there_is_room() {
    let short = transcript(&[("yes", 5.0, 5.2), ("indeed", 8.0, 8.1)]);
    let all = cues(&short, &layout(42, 7000));
    let spans: Vec<_> = all.iter().map(|c| (c.start_ms, c.end_ms)).collect();
    assert_eq!(spans, [(5000, 6000), (8000, 9000)]);
    // 36 letters want 1.8 s; the next cue leaves 1.1, and a lead of 0.3 is all that helps.
    let fast = transcript(&[
        ("incomprehensibilities", 5.0, 5.4),
        ("unpremeditated", 5.4, 5.6),
        ("no", 6.35, 7.5),
    ]);
    let all = cues(&fast, &layout(42, 7000));
    assert_eq!((all[0].start_ms, all[0].end_ms), (4700, 6350), "{all:?}");
}

#[test]
fn small_gaps_between_cues_are_closed() {
    let said = transcript(&[("one.", 0.0, 1.95), ("two.", 2.0, 4.0), ("three.", 4.2, 6.0)]);
    let all = cues(&said, &layout(4, 2500));
    let spans: Vec<_> = all.iter().map(|c| (c.start_ms, c.end_ms)).collect();
    assert_eq!(spans, [(0, 2000), (2000, 4000), (4200, 6000)]);
}

#[test]
fn written_words_are_shown() {
    let mut said = spoken("in nineteen eighty four", 0.5);
    let word = |word: &str, start, end| TimedWord { word: word.into(), start, end, conf: 1.0 };
    said[0].written = vec![word("In", 0.0, 0.5), word("1984.", 0.5, 2.0)];
    assert!(srt(&said, &layout(42, 7000)).contains("00:00:00,000 --> 00:00:02,000\nIn 1984.\n"));
}

#[test]
fn cues_of_one_moment_follow_each_other() {
    let cue = || Cue { start_ms: 5, end_ms: 6, lines: vec!["word".into()] };
    let mut cues = vec![cue(), cue(), cue(), cue()];
    separate(&mut cues, 7000);
    assert!(cues.iter().all(|cue| cue.start_ms < cue.end_ms), "{cues:?}");
    assert!(cues.windows(2).all(|two| two[0].end_ms <= two[1].start_ms), "{cues:?}");
}
