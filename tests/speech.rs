//! What the trained model hears in the clips of `audio-samples/`, and in one clip stored in every way.

use vivavoce::audio::{AudioSource, WavSource};
use vivavoce::metrics::{ErrorCounts, Operation, align, word_errors};
use vivavoce::pipeline::{Pipeline, PipelineOptions};
use vivavoce::transcript::{Event, Final};
use vivavoce::{Precision, Recognizer, StreamOptions};

use crate::common::{
    PLAIN_WAV, Solo, clip, clip_path, clip_text, real, real_folder, resampled, small_recognizers,
    write_wav,
};

fn finals_only() -> PipelineOptions {
    PipelineOptions::default().stream(StreamOptions::default().partials(false))
}

/// Text of a WAV file through the whole pipeline.
fn transcribe(recognizer: &Recognizer, path: &std::path::Path) -> String {
    let source = WavSource::open(path).unwrap();
    let pipeline = Pipeline::start(recognizer, Box::new(source), &finals_only()).unwrap();
    let mut text = None;
    for event in pipeline.events() {
        match event {
            Event::Final(result) => text = Some(result.text),
            other => panic!("{}: {other:?}", path.display()),
        }
    }
    text.expect("a final result")
}

fn session_text(recognizer: &Recognizer, samples: &[f32]) -> String {
    let mut session = Solo::new(recognizer, &StreamOptions::default());
    session.accept_waveform(samples).unwrap();
    session.finish().unwrap();
    session.result(0).text
}

/// Of the words of all clips; the weights of today get 8 % wrong.
const MOST_WRONG: f64 = 0.15;

const LAYOUTS: [(u32, u16, u16, hound::SampleFormat); 9] = [
    (8_000, 1, 16, hound::SampleFormat::Int),
    (16_000, 1, 8, hound::SampleFormat::Int),
    (16_000, 2, 16, hound::SampleFormat::Int),
    (22_050, 1, 16, hound::SampleFormat::Int),
    (32_000, 1, 24, hound::SampleFormat::Int),
    (44_100, 1, 16, hound::SampleFormat::Int),
    (44_100, 2, 32, hound::SampleFormat::Int),
    (48_000, 1, 24, hound::SampleFormat::Int),
    (48_000, 2, 32, hound::SampleFormat::Float),
];

fn spec(
    (sample_rate, channels, bits_per_sample, sample_format): (u32, u16, u16, hound::SampleFormat),
) -> hound::WavSpec {
    hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format }
}

#[test]
fn a_clip_means_the_same_at_any_rate_and_layout() {
    let Some(recognizer) = real() else { return };
    let dir = tempfile::tempdir().unwrap();
    let samples = clip("harbour-int16-16000-mono.wav");
    let expected = transcribe(recognizer, &clip_path("harbour-int16-16000-mono.wav"));
    assert!(expected.split(' ').count() > 5, "{expected}");
    for layout in LAYOUTS {
        let path = dir.path().join("clip.wav");
        write_wav(&path, spec(layout), &resampled(&samples, 16_000, layout.0));
        let text = transcribe(recognizer, &path);
        println!("{layout:?}: {text}");
        let errors = word_errors(&expected, &text);
        // Half of the band is gone at 8 kHz, and 8 bits add noise.
        let allowed = if layout.0 < 16_000 || layout.2 == 8 { 0.5 } else { 0.2 };
        assert!(errors.rate() <= allowed, "{layout:?}: {text:?}, plain: {expected:?}");
    }
}

#[test]
fn every_rate_and_layout_reaches_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (_, recognizer) = &small_recognizers()[0];
    let samples = crate::common::babble(1.5, 1);
    for layout in LAYOUTS {
        let path = dir.path().join("clip.wav");
        write_wav(&path, spec(layout), &resampled(&samples, 16_000, layout.0));
        assert!(!transcribe(recognizer, &path).is_empty(), "{layout:?}");
    }
}

#[test]
fn the_first_and_the_last_word_are_kept() {
    let Some(recognizer) = real() else { return };
    let samples = clip("edges-int16-16000-mono.wav");
    let reference = clip_text("edges-int16-16000-mono.wav");
    let text = session_text(recognizer, &samples);
    println!("{text}");
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    let operations = align(&words(&reference), &words(&text));
    // A word may be mistaken for another, but must not be lost.
    for end in [operations.first(), operations.last()] {
        assert!(!matches!(end, None | Some(Operation::Deletion(_))), "{text:?} for {reference:?}");
    }
}

#[test]
fn the_clips_are_understood() {
    let Some(recognizer) = real() else { return };
    let mut total = ErrorCounts::default();
    let mut num_clips = 0;
    for entry in std::fs::read_dir(clip_path("")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "wav") {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = transcribe(recognizer, &path);
        let errors = word_errors(&clip_text(&name), &text);
        println!("{:5.1} %  {name}: {text}", 100.0 * errors.rate());
        total += errors;
        num_clips += 1;
    }
    println!("{:5.1} %  {num_clips} clips", 100.0 * total.rate());
    assert!(num_clips >= 10);
    assert!(total.rate() < MOST_WRONG, "{:.1} % of the words are wrong", 100.0 * total.rate());
}

#[test]
fn silence_has_no_words() {
    let Some(recognizer) = real() else { return };
    let text = session_text(recognizer, &vec![0.0; 16_000 * 10]);
    assert_eq!(text, "");
}

#[test]
fn a_truncated_file_gives_its_words_and_a_warning() {
    let (_, recognizer) = &small_recognizers()[0];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.wav");
    write_wav(&path, PLAIN_WAV, &crate::common::babble(2.0, 2));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1001]).unwrap();
    let mut source = WavSource::open(&path).unwrap();
    source.read_all().unwrap();
    assert_eq!(source.warnings().len(), 1);
    let source = WavSource::open(&path).unwrap();
    let pipeline = Pipeline::start(recognizer, Box::new(source), &finals_only()).unwrap();
    let events: Vec<Event> = pipeline.events().collect();
    assert!(matches!(&events[0], Event::Warning { message } if message.contains("cut.wav")));
    assert!(matches!(&events[1], Event::Final(result) if !result.text.is_empty()));
    assert_eq!(events.len(), 2);
}

#[test]
fn eight_bits_make_no_more_errors_than_thirty_two() {
    let Some(folder) = real_folder() else { return };
    let errors = |precision| {
        let recognizer =
            Recognizer::builder().folder(&folder).precision(precision).build().unwrap();
        let mut total = ErrorCounts::default();
        for name in ["harbour-int16-16000-mono.wav", "story-int16-16000-mono.wav"] {
            let mut session = Solo::new(&recognizer, &StreamOptions::default());
            session.accept_waveform(&clip(name)).unwrap();
            session.finish().unwrap();
            total += word_errors(&clip_text(name), &session.result(0).text);
        }
        total.errors()
    };
    let (full, eight) = (errors(Precision::F32), errors(Precision::Int8));
    // One word of the two clips is half a per cent.
    assert!(eight <= full + 1, "{eight} errors in 8 bits, {full} in 32");
}

/// Where `text` is found in a clip.
fn aligned(recognizer: &Recognizer, name: &str, text: &str) -> Final {
    let mut session = Solo::of(recognizer, recognizer.aligner(text, None).unwrap());
    session.accept_waveform(&clip(name)).unwrap();
    session.finish().unwrap();
    session.result(0)
}

#[test]
fn the_words_of_a_clip_are_found_in_it() {
    let Some(recognizer) = real() else { return };
    let name = "harbour-int16-16000-mono.wav";
    let text = clip_text(name);
    let result = aligned(recognizer, name, &text);
    assert_eq!(result.text, text);
    assert!(result.result.windows(2).all(|w| w[0].start <= w[1].start && w[0].end <= w[1].end));
    // The text fills the clip, so its last word ends in the last second.
    assert!(result.result.last().unwrap().end > result.time - 1.5, "{:?}", result.result.last());
}

#[test]
fn a_word_that_the_lexicon_lacks_is_found_by_its_letters() {
    let Some(recognizer) = real() else { return };
    let name = "harbour-int16-16000-mono.wav";
    let text = clip_text(name);
    // Spelt as nobody spells it, spoken alike.
    let other = text.replace("harbour", "harburr");
    assert_ne!(other, text);
    let (known, guessed) = (aligned(recognizer, name, &text), aligned(recognizer, name, &other));
    assert_eq!(guessed.text, other);
    for (a, b) in known.result.iter().zip(&guessed.result) {
        assert!((a.start - b.start).abs() < 0.3 && (a.end - b.end).abs() < 0.3, "{a:?} {b:?}");
    }
}
