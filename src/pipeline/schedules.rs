//! The orders in which the threads of a pipeline can run, with queues of two places (CONTRIBUTING.md).

use std::sync::atomic::AtomicBool as Flag;
use std::sync::{Arc, OnceLock};

use shuttle::thread;

use self::orders::{in_any_order, model, sounds};
use super::*;

#[path = "../../tests/orders.rs"]
mod orders;

fn recognizer() -> &'static Recognizer {
    static PLAIN: OnceLock<Recognizer> = OnceLock::new();
    PLAIN.get_or_init(|| Recognizer::load(model()).expect("a model"))
}

/// Three tenths of a second.
const CHUNK: usize = 4_800;

#[derive(Default)]
struct Spoken {
    chunks: usize,
    /// Chunks after which nothing more comes.
    end: Option<usize>,
    /// Chunks after which reading fails.
    failure: Option<usize>,
    /// A live source's.
    flag: Option<Arc<Flag>>,
}

impl AudioSource for Spoken {
    fn sample_rate_hz(&self) -> u32 {
        16_000
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        out.clear();
        thread::yield_now();
        if self.failure == Some(self.chunks) {
            return Err(Error::Usage { reason: "the source is gone".into() });
        }
        let over = self.flag.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed));
        if over || self.end == Some(self.chunks) {
            return Ok(false);
        }
        out.extend(sounds(self.chunks, CHUNK));
        self.chunks += 1;
        Ok(true)
    }

    fn stop_flag(&self) -> Option<Arc<Flag>> {
        self.flag.clone()
    }
}

fn start(source: Spoken) -> Pipeline {
    let options = PipelineOptions::default().status(true);
    Pipeline::start(recognizer(), Box::new(source), &options).expect("a pipeline")
}

/// The last event, and how many segments came.
fn to_the_end(pipeline: &Pipeline) -> (Option<Event>, usize) {
    let (mut last, mut segments) = (None, 0);
    for event in pipeline.events() {
        segments += usize::from(matches!(event, Event::Final(_)));
        if !matches!(event, Event::Status { .. }) {
            last = Some(event);
        }
    }
    (last, segments)
}

#[test]
fn all_that_is_read_is_transcribed_and_said_once() {
    in_any_order(|| {
        let three = || Spoken { end: Some(3), ..Spoken::default() };
        let alone = recognizer().transcribe(three(), &StreamOptions::default()).unwrap().text();
        let (last, segments) = to_the_end(&start(three()));
        let Some(Event::Final(segment)) = last else { panic!("{last:?}") };
        assert!(segment.text == alone && !alone.is_empty() && segments == 1, "{segment:?}");
    });
}

#[test]
fn a_source_without_an_end_is_stopped_at_any_moment_by_any_number() {
    in_any_order(|| {
        let pipeline = start(Spoken::default());
        let stops: Vec<_> = (0..2)
            .map(|_| {
                let stopper = pipeline.stopper();
                thread::spawn(move || stopper.stop())
            })
            .collect();
        let (last, segments) = to_the_end(&pipeline);
        assert!(matches!(last, Some(Event::Final(_))) && segments == 1, "{last:?}");
        for stop in stops {
            stop.join().unwrap();
        }
    });
}

#[test]
fn a_live_source_that_is_stopped_is_heard_to_its_end() {
    in_any_order(|| {
        let flag = Some(Arc::default());
        let pipeline = start(Spoken { flag, ..Spoken::default() });
        let stopper = pipeline.stopper();
        let stop = thread::spawn(move || stopper.stop());
        let (last, segments) = to_the_end(&pipeline);
        assert!(matches!(last, Some(Event::Final(_))) && segments == 1, "{last:?}");
        stop.join().unwrap();
    });
}

#[test]
fn a_failure_comes_last_and_after_what_was_understood() {
    in_any_order(|| {
        let (last, segments) = to_the_end(&start(Spoken { failure: Some(2), ..Spoken::default() }));
        assert!(matches!(last, Some(Event::Error(_))) && segments == 1, "{last:?}, {segments}");
    });
}

#[test]
fn dropping_ends_both_threads_whatever_they_are_doing() {
    in_any_order(|| {
        let pipeline = start(Spoken::default());
        for _ in pipeline.events().take(1) {}
        drop(pipeline);
        drop(start(Spoken::default()));
    });
}

#[test]
fn a_capture_that_nobody_transcribes_ends_as_well() {
    in_any_order(|| {
        drop(Capture::start(Box::new(Spoken::default()), Pace::Unpaced));
    });
}

#[test]
fn who_stops_does_not_wait_though_nobody_takes_what_is_said() {
    in_any_order(|| {
        let pipeline = start(Spoken::default());
        for _ in 0..8 {
            thread::yield_now();
        }
        pipeline.stopper().stop();
        let (last, segments) = to_the_end(&pipeline);
        assert!(matches!(last, Some(Event::Final(_))) && segments == 1, "{last:?}");
    });
}
