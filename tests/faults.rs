//! Sources that fail at any call, and callers who take their time. What the system refuses the program is tried by
//! `benches/faults.py`, what breaks off at the server by `serve::attacks`.

use std::io::{Error, ErrorKind, Read};
use std::time::Duration;

use vivavoce::audio::{self, AudioSource, RawFormat, RawSource};
use vivavoce::pipeline::{Pipeline, PipelineOptions};
use vivavoce::transcript::Event;
use vivavoce::{Recognizer, StreamOptions};

use crate::common::{babble, clip_path, small_recognizers};

/// A reader that gives `step` bytes a call, and fails once at call `at`.
struct Faulty {
    bytes: Vec<u8>,
    read: usize,
    step: usize,
    calls: usize,
    at: usize,
    kind: ErrorKind,
}

impl Faulty {
    fn new(bytes: &[u8], step: usize, at: usize, kind: ErrorKind) -> Self {
        Self { bytes: bytes.to_vec(), read: 0, step, calls: 0, at, kind }
    }
}

impl Read for Faulty {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.calls += 1;
        if self.calls - 1 == self.at {
            return Err(Error::new(self.kind, "the cable is out"));
        }
        let n = self.step.min(out.len()).min(self.bytes.len() - self.read);
        out[..n].copy_from_slice(&self.bytes[self.read..self.read + n]);
        self.read += n;
        Ok(n)
    }
}

/// All samples of the stream, or what went wrong.
fn samples(reader: Faulty, raw: bool) -> Result<Vec<f32>, String> {
    let read = if raw {
        RawSource::new("talk", reader, RawFormat::S16Le, 16_000, 1).and_then(|mut s| s.read_all())
    } else {
        audio::from_stream("talk", reader).and_then(|mut source| source.read_all())
    };
    read.map_err(|error| error.to_string())
}

#[test]
fn a_read_that_fails_at_any_call_is_told_and_one_that_is_interrupted_is_read_again() {
    let mut cases = 0;
    let mut kinds =
        vec![("kitchen-int16-8000-mono.wav", false), ("kitchen-int16-8000-mono.wav", true)];
    if cfg!(feature = "media") {
        kinds.push(("../tests/media/clock.flac", false));
        kinds.push(("../tests/media/clock.opus", false));
    }
    for (name, raw) in kinds {
        let bytes = std::fs::read(clip_path(name)).unwrap();
        let step = bytes.len() / 40 + 1;
        let never = usize::MAX;
        let whole = samples(Faulty::new(&bytes, step, never, ErrorKind::Other), raw).unwrap();
        assert!(whole.len() > 8_000, "{name}");
        assert_eq!(
            samples(Faulty::new(&bytes, 1, never, ErrorKind::Other), raw),
            Ok(whole.clone())
        );
        for at in 0.. {
            let interrupted = Faulty::new(&bytes, step, at, ErrorKind::Interrupted);
            assert_eq!(samples(interrupted, raw).as_ref(), Ok(&whole), "{name}, call {at}");
            let Err(message) = samples(Faulty::new(&bytes, step, at, ErrorKind::Other), raw) else {
                // The end was known before this call.
                assert!(at >= 40, "{name}: call {at} failed in silence");
                break;
            };
            assert!(message.contains("the cable is out"), "{message}");
            assert!(message.contains("talk"), "{message}");
            cases += 1;
        }
    }
    println!("{cases} calls failed");
    assert!(cases >= 80);
}

/// Chunks of a third of a second, of which the one numbered `end` fails or is the end.
struct Spoken {
    chunks: usize,
    end: usize,
    fails: bool,
}

impl AudioSource for Spoken {
    fn sample_rate_hz(&self) -> u32 {
        16_000
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> vivavoce::Result<bool> {
        out.clear();
        if self.chunks == self.end {
            let reason = "the cable is out".to_owned();
            return if self.fails { Err(vivavoce::Error::Usage { reason }) } else { Ok(false) };
        }
        out.extend(babble(0.33, self.chunks as u32 + 1));
        self.chunks += 1;
        Ok(true)
    }
}

/// The segments' texts, and the error at their end.
fn heard(recognizer: &Recognizer, source: Spoken, wait: Duration) -> (Vec<String>, Option<String>) {
    let options = PipelineOptions::default().status(true);
    let pipeline = Pipeline::start(recognizer, Box::new(source), &options).unwrap();
    let (mut texts, mut failed) = (Vec::new(), None);
    for event in pipeline.events() {
        assert!(failed.is_none(), "{event:?} after an error");
        match event {
            Event::Final(segment) if !segment.text.is_empty() => texts.push(segment.text),
            Event::Error(error) => failed = Some(error.to_string()),
            _ => std::thread::sleep(wait),
        }
    }
    (texts, failed)
}

#[test]
fn what_came_before_a_failure_is_heard_as_if_the_stream_had_ended_there() {
    let mut words = 0;
    for (name, recognizer) in small_recognizers() {
        for end in 0..8 {
            let source = |fails| Spoken { chunks: 0, end, fails };
            let (whole, none) = heard(recognizer, source(false), Duration::ZERO);
            let (before, failed) = heard(recognizer, source(true), Duration::ZERO);
            words += whole.len();
            assert_eq!((before, none), (whole, None), "{name}, chunk {end}");
            assert!(failed.is_some_and(|message| message.contains("the cable is out")));
            let error = recognizer.transcribe(source(true), &StreamOptions::default()).unwrap_err();
            assert!(error.to_string().contains("the cable is out"), "{error}");
        }
    }
    assert!(words > 20, "{words} texts");
}

#[test]
fn who_takes_events_slowly_gets_the_same_words() {
    let (_, recognizer) = &small_recognizers()[0];
    let source = || Spoken { chunks: 0, end: 20, fails: false };
    let fast = heard(recognizer, source(), Duration::ZERO);
    assert!(!fast.0.is_empty());
    assert_eq!(heard(recognizer, source(), Duration::from_millis(5)), fast);
}
