//! The threads of a pipeline end when they should.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use vivavoce::audio::AudioSource;
use vivavoce::pipeline::{Pace, Pipeline, PipelineOptions, Waited};
use vivavoce::transcript::Event;
use vivavoce::{Recognizer, StreamOptions};

use crate::common::{babble, small_recognizers};

/// Longer than any pipeline needs to end, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Delivers the same sounds for ever, and counts.
struct Endless(Vec<f32>, Arc<AtomicUsize>);

impl AudioSource for Endless {
    fn sample_rate_hz(&self) -> u32 {
        16_000
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> vivavoce::Result<bool> {
        out.clear();
        out.extend_from_slice(&self.0);
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }
}

fn endless(recognizer: &Recognizer, partials: bool, pace: Pace) -> Pipeline {
    let stream = StreamOptions::default().partials(partials);
    let options = PipelineOptions::default().stream(stream).pace(pace);
    Pipeline::start(recognizer, Box::new(Endless(babble(2.0, 1), Arc::default())), &options)
        .unwrap()
}

/// Whether `work` is done in time.
fn ends(work: impl FnOnce() + Send + 'static) -> bool {
    let (done, wait) = channel();
    std::thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    wait.recv_timeout(PATIENCE).is_ok()
}

#[test]
fn a_pipeline_that_is_dropped_ends_though_its_source_does_not() {
    let (_, recognizer) = &small_recognizers()[0];
    // One that has nothing to say, so that no event can tell it that nobody listens.
    for (partials, pace) in [(false, Pace::Unpaced), (true, Pace::Unpaced), (false, Pace::Realtime)]
    {
        let pipeline = endless(recognizer, partials, pace);
        std::thread::sleep(Duration::from_millis(300));
        assert!(ends(move || drop(pipeline)), "partials {partials}, {pace:?}");
    }
}

#[test]
fn a_pipeline_is_stopped_though_all_queues_are_full() {
    let (_, recognizer) = &small_recognizers()[0];
    let chunks = Arc::new(AtomicUsize::new(0));
    let source = Endless(babble(2.0, 1), Arc::clone(&chunks));
    let pipeline =
        Pipeline::start(recognizer, Box::new(source), &PipelineOptions::default()).unwrap();
    // Nobody takes the events, so that the worker waits for room, and the reader for the worker: nothing is read any more.
    let mut before = 0;
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = chunks.load(Ordering::Relaxed);
        if now > 0 && now == before {
            break;
        }
        before = now;
    }
    let stopper = pipeline.stopper();
    assert!(ends(move || stopper.stop()), "stop waits");
    // What was captured is still transcribed, and then the stream is over.
    let (told, wait) = channel();
    std::thread::spawn(move || {
        let last = pipeline.events().last();
        told.send(last).unwrap();
    });
    let last = wait.recv_timeout(PATIENCE).expect("an end");
    assert!(matches!(last, Some(Event::Final(result)) if !result.text.is_empty()));
}

#[test]
fn events_can_be_waited_for_a_while_or_not_at_all() {
    let (_, recognizer) = &small_recognizers()[0];
    let pipeline = endless(recognizer, false, Pace::Realtime);
    assert_eq!(pipeline.try_recv(), Err(Waited::TimedOut));
    let short = Duration::from_millis(50);
    assert_eq!(pipeline.recv_timeout(short), Err(Waited::TimedOut));
    pipeline.stopper().stop();
    assert!(matches!(pipeline.recv_timeout(PATIENCE), Ok(Event::Final(_))));
    assert_eq!(pipeline.recv_timeout(PATIENCE), Err(Waited::Ended));
    assert_eq!(pipeline.try_recv(), Err(Waited::Ended));
}
