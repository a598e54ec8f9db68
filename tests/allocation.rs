//! A session in steady state allocates nothing.

use allocation_counter::measure;
use vivavoce::{Recognizer, SearchKind, StreamOptions};

use crate::common::{Solo, babble, clip, real, small_recognizers};

/// Allocations while `samples` are heard again after a first time, in chunks of 100 ms.
fn allocations(recognizer: &Recognizer, search: SearchKind, samples: &[f32]) -> u64 {
    let options = StreamOptions::default().search(search);
    let mut session = Solo::new(recognizer, &options);
    let mut words = Vec::with_capacity(10_000);
    let mut hear = || {
        for chunk in samples.chunks(1600) {
            session.accept_waveform(chunk).unwrap();
            session.take_confirmed(&mut words);
        }
        session.finish().unwrap();
        session.take_confirmed(&mut words);
        session.reset();
    };
    // Buffers trade places, so each of them has to grow.
    for _ in 0..4 {
        hear();
    }
    measure(hear).count_total
}

#[test]
fn a_warm_session_allocates_nothing() {
    let samples = babble(6.0, 9);
    for (name, recognizer) in small_recognizers() {
        for search in [SearchKind::Beam, SearchKind::Tokens, SearchKind::Greedy] {
            assert_eq!(allocations(recognizer, search, &samples), 0, "{name}, {search:?}");
        }
    }
}

#[test]
fn a_warm_session_allocates_nothing_on_speech() {
    let Some(recognizer) = real() else { return };
    let samples = clip("harbour-int16-16000-mono.wav");
    assert_eq!(allocations(recognizer, SearchKind::Beam, &samples), 0);
}
