//! What a user asks of the search and the transcript: hotwords, grammars, alternatives, digits, sentence ends.

use vivavoce::{Recognizer, SearchKind, StreamOptions};

use crate::cli::Place;
use crate::common::{Solo, clip, clip_text, real, real_folder};

fn result(
    recognizer: &Recognizer,
    samples: &[f32],
    options: &StreamOptions,
    alternatives: usize,
) -> vivavoce::transcript::Final {
    let mut session = Solo::new(recognizer, options);
    for chunk in samples.chunks(1600) {
        session.accept_waveform(chunk).unwrap();
    }
    session.finish().unwrap();
    session.result(alternatives)
}

const HARBOUR: &str = "harbour-int16-16000-mono.wav";
const TRAIN: &str = "market-float32-48000-stereo.wav";

#[test]
fn a_grammar_gives_one_of_its_phrases_or_unknown() {
    let Some(recognizer) = real() else { return };
    let phrases = format!("{}\nopen the door\nclose the window\n", clip_text(HARBOUR));
    let grammar = recognizer.grammar("phrases", &phrases).unwrap();
    let options = StreamOptions::default().grammar(grammar);
    let found = result(recognizer, &clip(HARBOUR), &options, 0);
    assert_eq!(found.text, clip_text(HARBOUR));
    assert!(found.result.windows(2).all(|pair| pair[0].start <= pair[1].start));
    assert_eq!(
        result(recognizer, &clip("clock-float32-16000-mono.wav"), &options, 0).text,
        "[unk]"
    );
    assert_eq!(result(recognizer, &vec![0.0; 32_000], &options, 0).text, "");
    assert_eq!(result(recognizer, &[], &options, 0).text, "");
}

#[test]
fn tags_of_a_grammar_come_with_the_phrase_in_the_order_in_which_it_was_said() {
    let Some(recognizer) = real() else { return };
    let rules = "#JSGF V1.0;\ngrammar clocks;\n
        public <clock> = the <what> on the wall is <number> minutes (slow {slow} | fast {fast}) {late};\n
        <what> = clock {the clock} | picture {the picture};";
    let options = StreamOptions::default().grammar(recognizer.grammar("rules", rules).unwrap());
    let found = result(recognizer, &clip("clock-float32-16000-mono.wav"), &options, 0);
    assert_eq!(found.text, "the clock on the wall is ten minutes slow");
    assert_eq!(found.tags, ["the clock", "10", "slow", "late"]);
    assert!(result(recognizer, &clip(HARBOUR), &options, 0).tags.is_empty());
}

#[test]
fn a_grammar_is_a_choice_of_the_whole_stream() {
    let Some(recognizer) = real() else { return };
    let grammar = recognizer.grammar("phrases", "yes\nno").unwrap();
    let hotwords = recognizer.hotwords("list", "yes").unwrap();
    for bad in [
        StreamOptions::default().grammar(grammar.clone()).search(SearchKind::Greedy),
        StreamOptions::default().grammar(grammar.clone()).hotwords(hotwords.clone()),
    ] {
        let message = recognizer.session(&bad).err().unwrap().to_string();
        assert!(message.contains("grammar"), "{message}");
    }
}

#[test]
fn a_favoured_word_is_heard_and_an_unheard_one_changes_nothing() {
    let Some(recognizer) = real() else { return };
    let plain = result(recognizer, &clip(HARBOUR), &StreamOptions::default(), 0);
    let said = |list: &str, search: SearchKind| {
        let hotwords = recognizer.hotwords("list", list).unwrap();
        let options = StreamOptions::default().hotwords(hotwords).search(search);
        result(recognizer, &clip(HARBOUR), &options, 0).text
    };
    assert_eq!(said("zyzzyva quixotry", SearchKind::Beam), plain.text);
    // A made-up word with the sounds of "harbour".
    let heard = said("haarber = HH AA R B ER : 12", SearchKind::Beam);
    assert!(heard.split(' ').any(|word| word == "haarber"), "{heard}");
    let tokens =
        result(recognizer, &clip(HARBOUR), &StreamOptions::default().search(SearchKind::Greedy), 0);
    assert_eq!(said("zyzzyva", SearchKind::Greedy), tokens.text);
}

#[test]
fn hotwords_belong_to_their_recognizer() {
    let Some(recognizer) = real() else { return };
    let other = Recognizer::load(real_folder().unwrap()).unwrap();
    let options = StreamOptions::default().hotwords(other.hotwords("list", "word").unwrap());
    let message = recognizer.session(&options).err().unwrap().to_string();
    assert!(message.contains("another recognizer"), "{message}");
}

#[test]
fn alternatives_are_distinct_and_share_one_confidence() {
    let Some(recognizer) = real() else { return };
    let found = result(recognizer, &clip(TRAIN), &StreamOptions::default(), 5);
    assert!(found.alternatives.len() > 1);
    for (i, one) in found.alternatives.iter().enumerate() {
        assert!(found.alternatives[..i].iter().all(|other| other.text != one.text));
        assert!(found.alternatives[..i].iter().all(|other| other.score >= one.score));
        assert!((0.0..=1.0).contains(&one.confidence));
    }
    assert_eq!(found.alternatives[0].text, found.text);
    let total: f32 = found.alternatives.iter().map(|a| a.confidence).sum();
    assert!((total - 1.0).abs() < 1e-4, "{total}");
}

#[test]
fn words_have_times_in_order_and_confidences() {
    let Some(recognizer) = real() else { return };
    let samples = clip(HARBOUR);
    let found = result(recognizer, &samples, &StreamOptions::default(), 0);
    let length_s = samples.len() as f64 / 16_000.0;
    for word in &found.result {
        assert!(word.start < word.end && word.end <= length_s, "{word:?}");
        assert!((0.0..=1.0).contains(&word.conf), "{word:?}");
    }
    assert!(found.result.windows(2).all(|pair| pair[0].start <= pair[1].start));
}

#[test]
fn text_is_shaped_where_asked() {
    let Some(recognizer) = real() else { return };
    // It ends with "for two weeks".
    let samples = &clip("story-int16-16000-mono.wav")[..7 * 16_000];
    let plain = result(recognizer, samples, &StreamOptions::default(), 0);
    let shaped = StreamOptions::default().digits(true).punctuate(true);
    let shaped = result(recognizer, samples, &shaped, 0);
    assert_eq!(plain.result, shaped.result);
    assert!(shaped.text.ends_with(['.', '?']), "{}", shaped.text);
    assert!(shaped.text.starts_with(char::is_uppercase), "{}", shaped.text);
    assert!(plain.text.contains(" two ") && shaped.text.contains(" 2 "), "{}", shaped.text);
}

#[test]
fn bad_lists_and_grammars_are_wrong_usage_and_name_the_line() {
    let place = Place::new();
    let write = |name: &str, text: &str| std::fs::write(place.path().join(name), text).unwrap();
    write("names.txt", "fine words\ncaf\u{e9}\n");
    write("commands.txt", "<a> = one");
    for (arguments, what) in [
        (["transcribe", "--hotwords", "names.txt", "one.wav"], "names.txt: line 2"),
        (["transcribe", "--grammar", "commands.txt", "one.wav"], "commands.txt: line 1"),
    ] {
        let ran = place.run(&arguments);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains(what) && ran.out.is_empty(), "{ran:?}");
    }
    let ran = place.run(&["transcribe", "--hotwords", "absent.txt", "one.wav"]);
    assert!(ran.code == 1 && ran.err.contains("absent.txt"), "{ran:?}");
    let ran = place.run(&["transcribe", "--punctuate", "one.wav"]);
    assert!(ran.code == 2 && ran.err.contains("punctuation.bin"), "{ran:?}");
}

#[test]
fn pieces_are_words_before_numbers_become_digits() {
    let digits = StreamOptions::default().digits(true);
    let mut joined = 0;
    for (name, recognizer) in crate::common::small_recognizers() {
        for seed in 0..4 {
            let samples = crate::common::babble(2.0, seed);
            let plain = result(recognizer, &samples, &StreamOptions::default(), 0);
            let shaped = result(recognizer, &samples, &digits, 0);
            assert_eq!(plain.text, shaped.text, "{name}");
            joined += usize::from(plain.text.split(' ').count() < plain.result.len());
        }
    }
    assert!(joined > 0);
}
