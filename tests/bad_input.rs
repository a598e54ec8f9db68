//! Law 6 for everything that loads or hears: bad input gives an error that says what and where, never a panic.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vivavoce::audio::WavSource;
use vivavoce::{Error, Recognizer, SearchKind, StreamOptions};

use crate::common::{Solo, babble, folder, phone_model, small_recognizers};

fn recognizer() -> &'static Recognizer {
    &small_recognizers()[0].1
}

type Files = BTreeMap<&'static str, Vec<u8>>;

/// The message with which a folder is refused.
fn refusal(files: &Files) -> String {
    Recognizer::load(folder(files)).map(|_| ()).expect_err("a bad model").to_string()
}

#[test]
fn every_missing_file_is_named() {
    for name in ["config.json", "tokens.txt", "model.safetensors", "lexicon.bin"] {
        let mut files = phone_model();
        files.remove(name);
        assert!(refusal(&files).contains(name), "{name}: {}", refusal(&files));
    }
    let mut files = phone_model();
    files.remove("lm.bin");
    let without = Recognizer::load(folder(&files)).unwrap();
    assert!(without.constraint().lm().is_none(), "a language model is not required");
}

#[test]
fn every_empty_file_is_named() {
    for name in phone_model().keys().copied() {
        let mut files = phone_model();
        files.insert(name, Vec::new());
        let message = refusal(&files);
        assert!(message.contains(name), "{name}: {message}");
    }
}

#[test]
fn every_truncated_file_is_refused() {
    for (name, bytes) in phone_model() {
        for keep in [1, bytes.len() / 2, bytes.len() - 8] {
            let mut files = phone_model();
            files.insert(name, bytes[..keep].to_vec());
            let message = refusal(&files);
            assert!(message.starts_with("cannot load model"), "{name}, {keep}: {message}");
        }
    }
}

#[test]
fn files_of_other_models_are_refused() {
    let mut short = phone_model();
    short.insert("tokens.txt", b"<e>\nAA\nAA_E\n".to_vec());
    assert!(refusal(&short).contains("3 tokens"), "{}", refusal(&short));

    let mut binary = phone_model();
    binary.insert("tokens.txt", vec![0xff, 0xfe, b'\n']);
    assert!(refusal(&binary).contains("UTF-8"));

    // Another word list: the language model's word numbers would mean other words.
    let mut renamed = phone_model();
    let lexicon = renamed.get_mut("lexicon.bin").unwrap();
    let at = lexicon.iter().position(|b| *b == b'f').unwrap();
    lexicon[at] = b'g';
    let message = refusal(&renamed);
    assert!(message.contains("lm.bin"), "{message}");
}

#[test]
fn a_path_that_is_no_folder_is_named() {
    for path in ["no/such/folder", file!()] {
        let error = Recognizer::load(path).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Model { .. }) && error.to_string().contains(path));
    }
}

#[test]
fn samples_that_are_not_numbers_are_refused_and_the_stream_goes_on() {
    let good = babble(2.0, 1);
    let clean = {
        let mut session = Solo::new(recognizer(), &StreamOptions::default());
        session.accept_waveform(&good).unwrap();
        session.finish().unwrap();
        session.result(0)
    };
    let mut session = Solo::new(recognizer(), &StreamOptions::default());
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut samples = good.clone();
        *samples.last_mut().unwrap() = bad;
        let error = session.accept_waveform(&samples).unwrap_err();
        assert!(matches!(error, Error::Samples { .. }), "{error}");
    }
    session.accept_waveform(&good).unwrap();
    session.finish().unwrap();
    assert_eq!(session.result(0), clean, "what was refused was not heard");
}

#[test]
fn samples_far_out_of_range_do_no_harm() {
    for value in [f32::MAX, f32::MIN, 1e30, f32::MIN_POSITIVE / 2.0] {
        for search in [SearchKind::Beam, SearchKind::Greedy] {
            let options = StreamOptions::default().search(search);
            let mut session = Solo::new(recognizer(), &options);
            let samples: Vec<f32> =
                (0..32_000).map(|i| if i % 2 == 0 { value } else { -value }).collect();
            if session.accept_waveform(&samples).is_ok() {
                session.finish().unwrap();
                assert!(session.result(3).result.iter().all(|w| w.conf.is_finite()));
            }
        }
    }
}

#[test]
fn audio_after_the_end_is_an_error_until_reset() {
    let mut session = Solo::new(recognizer(), &StreamOptions::default());
    assert!(session.finish().is_ok() && !session.finish().unwrap());
    let error = session.accept_waveform(&[0.0]).unwrap_err();
    assert!(error.to_string().contains("reset"), "{error}");
    session.reset();
    session.accept_waveform(&[0.0]).unwrap();
}

#[test]
fn settings_out_of_range_are_named() {
    let good = StreamOptions::default;
    for (options, expected) in [
        (good().latency("fast".to_owned()), "\"fast\"; known: balanced"),
        (good().latency(String::new()), "latency"),
        (good().beam_size(0), "beam_size"),
        (good().beam_size(usize::MAX), "beam_size"),
        (good().lm_weight(f32::NAN), "lm_weight"),
        (good().lm_weight(-1.0), "lm_weight"),
        (good().word_bonus(f32::INFINITY), "word_bonus"),
        (good().end_of_block_bias(1e9), "end_of_block_bias"),
    ] {
        let error = recognizer().session(&options).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Config { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}

#[test]
fn files_that_are_no_audio_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("empty.wav", &b""[..]),
        ("text.wav", b"these are words, but not spoken ones"),
        ("header.wav", b"RIFF\x24\0\0\0WAVE"),
        ("other.wav", b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ("big-endian.wav", b"RIFX\0\0\0\x24WAVEfmt "),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = WavSource::open(&path).map(|_| ()).unwrap_err();
        assert!(
            matches!(error, Error::Audio { .. }) && error.to_string().contains(name),
            "{error}"
        );
    }
    let error = WavSource::open(dir.path()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_models_never_panic(
        which in 0_usize..5,
        keep in 0.5_f64..1.5,
        damage in prop::collection::vec((0.0_f64..1.0, any::<u8>()), 1..6),
    ) {
        let mut files = phone_model();
        let bytes = files.values_mut().nth(which).unwrap();
        for (place, value) in damage {
            let at = (place * bytes.len().min(4000) as f64) as usize;
            bytes[at] = value;
        }
        bytes.truncate((keep * bytes.len() as f64) as usize);
        // A model that is still accepted must also work.
        if let Ok(recognizer) = Recognizer::load(folder(&files)) {
            let mut session = Solo::new(&recognizer, &StreamOptions::default());
            session.accept_waveform(&babble(1.0, 1)).unwrap();
            session.finish().unwrap();
            let _ = session.result(3);
        }
    }
}
