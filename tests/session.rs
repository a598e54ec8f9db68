//! Law 1 for a whole session: results do not depend on how the audio is cut, and what is confirmed stays.

use proptest::prelude::*;
use vivavoce::search::Word;
use vivavoce::transcript::{Final, Partial};
use vivavoce::{Recognizer, SearchKind, StreamOptions};

use crate::common::{Solo, babble, clip, real, small_recognizers};

const KINDS: [SearchKind; 3] = [SearchKind::Beam, SearchKind::Tokens, SearchKind::Greedy];

struct Run {
    words: Vec<Word>,
    result: Final,
    partials: Vec<Partial>,
}

/// Transcribes `samples` in pieces that end at `cuts`.
fn run(recognizer: &Recognizer, search: SearchKind, samples: &[f32], cuts: &[usize]) -> Run {
    let options = StreamOptions::default().search(search);
    let mut session = Solo::new(recognizer, &options);
    let mut partials = Vec::new();
    let mut start = 0;
    for &end in cuts.iter().chain(&[samples.len()]) {
        if session.accept_waveform(&samples[start..end]).unwrap() {
            partials.push(session.partial());
        }
        start = end;
    }
    session.finish().unwrap();
    Run { words: session.confirmed().to_vec(), result: session.result(4), partials }
}

/// Tokens, times and log-probabilities, bit for bit.
fn bits(words: &[Word]) -> Vec<(u32, u32, u32, u32)> {
    words.iter().map(|w| (w.id, w.first_block, w.last_block, w.log_prob.to_bits())).collect()
}

/// Places to cut `len` samples.
fn sorted(cuts: impl IntoIterator<Item = usize>, len: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % len).collect();
    cuts.sort_unstable();
    cuts
}

fn assert_same(name: &str, search: SearchKind, whole: &Run, cut: &Run) {
    assert_eq!(bits(&whole.words), bits(&cut.words), "{name}, {search:?}");
    assert_eq!(whole.result, cut.result, "{name}, {search:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn streaming_equals_batch_for_any_chunking(
        cuts in prop::collection::vec(0_usize..1 << 20, 0..30),
        seed in 0_u32..1000,
    ) {
        let samples = babble(3.0, seed);
        let cuts = sorted(cuts, samples.len());
        for (name, recognizer) in small_recognizers() {
            for search in KINDS {
                let whole = run(recognizer, search, &samples, &[]);
                assert_same(name, search, &whole, &run(recognizer, search, &samples, &cuts));
            }
        }
    }
}

#[test]
fn the_small_models_say_something_in_every_search() {
    let samples = babble(3.0, 1);
    for (name, recognizer) in small_recognizers() {
        for search in KINDS {
            let run = run(recognizer, search, &samples, &[20_000]);
            assert!(
                !run.words.is_empty(),
                "{name}, {search:?}: the other tests would prove nothing"
            );
        }
    }
}

#[test]
fn streaming_equals_batch_sample_by_sample() {
    let samples = babble(0.5, 2);
    let cuts: Vec<usize> = (1..samples.len()).collect();
    for (name, recognizer) in small_recognizers() {
        let search = SearchKind::Beam;
        let whole = run(recognizer, search, &samples, &[]);
        assert_same(name, search, &whole, &run(recognizer, search, &samples, &cuts));
    }
}

#[test]
fn streaming_equals_batch_on_speech() {
    let Some(recognizer) = real() else { return };
    let samples = clip("harbour-int16-16000-mono.wav");
    let cuts = sorted((1..40).map(|i| i * i * 7919), samples.len());
    for search in KINDS {
        let whole = run(recognizer, search, &samples, &[]);
        assert!(!whole.words.is_empty());
        assert_same("en-small", search, &whole, &run(recognizer, search, &samples, &cuts));
    }
}

/// Confirmed words grow, and the result begins with them.
fn assert_append_only(name: &str, search: SearchKind, run: &Run) {
    let texts = run.partials.iter().map(|p| &p.confirmed).chain([&run.result.text]);
    let mut before = String::new();
    for text in texts {
        assert!(text.starts_with(&before), "{name}, {search:?}: {text:?} after {before:?}");
        before.clone_from(text);
    }
}

#[test]
fn confirmed_words_are_only_added_to() {
    let samples = babble(6.0, 3);
    let cuts: Vec<usize> = (1..samples.len()).step_by(800).collect();
    let mut talkative = 0;
    for (name, recognizer) in small_recognizers() {
        for search in KINDS {
            let run = run(recognizer, search, &samples, &cuts);
            talkative += usize::from(run.partials.len() > 1);
            assert_append_only(name, search, &run);
        }
    }
    // Random weights may keep one model silent on these sounds, not most of them.
    assert!(talkative >= 2 * KINDS.len(), "{talkative} runs with partial results");
}

#[test]
fn confirmed_words_are_only_added_to_on_speech() {
    let Some(recognizer) = real() else { return };
    let mut samples = clip("story-int16-16000-mono.wav");
    samples.truncate(15 * 16_000);
    let cuts: Vec<usize> = (1..samples.len()).step_by(1600).collect();
    let run = run(recognizer, SearchKind::Beam, &samples, &cuts);
    assert_append_only("en-small", SearchKind::Beam, &run);
    let early = run.partials.iter().filter(|p| !p.confirmed.is_empty()).count();
    assert!(early > 0, "nothing was confirmed before the end");
}

#[test]
fn every_reading_begins_with_the_confirmed_words() {
    let samples = babble(6.0, 4);
    for (name, recognizer) in small_recognizers() {
        for search in KINDS {
            let run = run(recognizer, search, &samples, &[]);
            let confirmed = run.partials.last().map_or("", |p| &p.confirmed);
            let alternatives = &run.result.alternatives;
            assert_eq!(alternatives[0].text, run.result.text, "{name}, {search:?}");
            for other in alternatives {
                assert!(other.text.starts_with(confirmed), "{name}, {search:?}: {}", other.text);
                assert!(other.score <= alternatives[0].score);
            }
        }
    }
}

#[test]
fn times_are_in_order_and_inside_the_audio() {
    let samples = babble(4.0, 5);
    for (name, recognizer) in small_recognizers() {
        for search in KINDS {
            let result = run(recognizer, search, &samples, &[]).result;
            let mut last = 0.0;
            for word in &result.result {
                assert!(
                    word.start >= last && word.end >= word.start,
                    "{name}, {search:?}: {word:?}"
                );
                assert!(word.end <= result.time && (0.0..=1.0).contains(&word.conf));
                last = word.start;
            }
        }
    }
}

#[test]
fn a_session_that_was_reset_equals_a_new_one() {
    let (first, second) = (babble(2.0, 6), babble(2.0, 7));
    for (name, recognizer) in small_recognizers() {
        for search in KINDS {
            let options = StreamOptions::default().search(search);
            let mut session = Solo::new(recognizer, &options);
            session.accept_waveform(&first).unwrap();
            session.finish().unwrap();
            session.reset();
            session.accept_waveform(&second).unwrap();
            session.finish().unwrap();
            let fresh = run(recognizer, search, &second, &[]);
            assert_eq!(session.result(4), fresh.result, "{name}, {search:?}");
        }
    }
}

#[test]
fn an_empty_stream_has_an_empty_result() {
    for (name, recognizer) in small_recognizers() {
        for samples in [vec![], vec![0.1]] {
            let result = run(recognizer, SearchKind::Beam, &samples, &[]).result;
            assert!(result.time < 0.001, "{name}: {result:?}");
            assert!(result.result.iter().all(|w| w.end <= result.time));
        }
    }
}

#[test]
fn words_that_were_taken_are_not_told_again() {
    let samples = babble(6.0, 8);
    for (name, recognizer) in small_recognizers() {
        let whole = run(recognizer, SearchKind::Beam, &samples, &[]);
        let mut session = Solo::new(recognizer, &StreamOptions::default());
        let mut words = Vec::new();
        for chunk in samples.chunks(4000) {
            session.accept_waveform(chunk).unwrap();
            session.take_confirmed(&mut words);
        }
        session.finish().unwrap();
        let rest = session.result(1);
        assert_eq!(rest.result.len(), whole.words.len() - words.len(), "{name}");
        assert_eq!(rest.alternatives[0].text, rest.text, "{name}");
        session.take_confirmed(&mut words);
        assert_eq!(bits(&words), bits(&whole.words), "{name}");
        assert!(session.result(0).text.is_empty());
    }
}
