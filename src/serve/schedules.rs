//! The orders in which engine threads and those who speak to them can run, with room for two inputs a stream (CONTRIBUTING.md).

use std::sync::atomic::AtomicUsize as Count;
use std::sync::{Arc, OnceLock};

use shuttle::future::block_on;
use shuttle::thread;
use vivavoce::transcript::Event;
use vivavoce::{Recognizer, StreamOptions};

use self::orders::{in_any_order, model, sounds};
use super::limits::Slots;
use super::metrics::Metrics;
use super::scheduler::{Input, Output, Pool};
use super::stream::{Gone, Stream};
use super::sync::Ordering;

#[path = "../../tests/orders.rs"]
mod orders;

const RATE_HZ: u32 = 16_000;

fn recognizer() -> &'static Recognizer {
    static PLAIN: OnceLock<Recognizer> = OnceLock::new();
    PLAIN.get_or_init(|| Recognizer::load(model()).expect("a model"))
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new("plain"))
}

fn pool(threads: usize) -> Pool {
    Pool::start(recognizer(), threads, &metrics()).expect("threads")
}

fn open(pool: &Pool) -> Stream {
    pool.open(RATE_HZ, &StreamOptions::default()).expect("a stream")
}

/// Seven tenths of a second: four inputs.
const TALK: usize = 11_200;

fn words(outputs: &[Output]) -> String {
    let events = outputs.iter().flat_map(|output| &output.events);
    let finals = events.filter_map(|event| match event {
        Event::Final(segment) => Some(segment.text.as_str()),
        _ => None,
    });
    finals.collect::<Vec<_>>().join(" ")
}

/// What is said to somebody who has nobody beside him.
fn alone(speaker: usize) -> &'static str {
    static SAID: [OnceLock<String>; 3] = [const { OnceLock::new() }; 3];
    SAID[speaker].get_or_init(|| {
        let mut engine = vivavoce::Engine::new(recognizer());
        let mut listener = recognizer().listener(&StreamOptions::default()).expect("a listener");
        listener.accept_waveform(RATE_HZ, &sounds(speaker, TALK)).expect("its rate");
        listener.finish();
        engine.advance(&mut [&mut listener]).expect("its engine");
        let finals = listener.take_events().filter_map(|event| match event {
            Event::Final(segment) => Some(segment.text),
            _ => None,
        });
        let text: String = finals.collect();
        assert!(!text.is_empty());
        text
    })
}

/// Says all of it and takes all that comes.
async fn speak(stream: &mut Stream, speaker: usize) -> Result<Vec<Output>, Gone> {
    let mut outputs = Vec::new();
    stream.send_audio(&sounds(speaker, TALK), &mut outputs).await?;
    stream.send(Input::Finish, &mut outputs).await?;
    stream.drain(&mut outputs).await?;
    Ok(outputs)
}

#[test]
fn everybody_gets_his_own_words_on_any_number_of_engines() {
    in_any_order(|| {
        let pool = Arc::new(pool(2));
        let speakers: Vec<_> = (0..3)
            .map(|speaker| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || {
                    let outputs = block_on(speak(&mut open(&pool), speaker)).unwrap();
                    assert_eq!((words(&outputs).as_str(), outputs.len()), (alone(speaker), 5));
                    assert!(outputs.last().is_some_and(|output| output.over));
                })
            })
            .collect();
        for speaker in speakers {
            speaker.join().unwrap();
        }
        assert!(pool.is_alive());
    });
}

#[test]
fn who_goes_away_at_any_moment_disturbs_nobody() {
    in_any_order(|| {
        let pool = pool(1);
        let (mut stays, mut goes) = (open(&pool), open(&pool));
        let gone = thread::spawn(move || {
            block_on(async {
                let mut outputs = Vec::new();
                goes.send_audio(&sounds(1, TALK), &mut outputs).await.unwrap();
            });
        });
        let outputs = block_on(speak(&mut stays, 0)).unwrap();
        assert_eq!(words(&outputs), alone(0));
        gone.join().unwrap();
    });
}

#[test]
fn a_feeder_waits_for_room_and_ends_with_its_stream() {
    in_any_order(|| {
        let pool = pool(1);
        let mut stream = open(&pool);
        let feeder = stream.feeder();
        let sent = Arc::new(Count::new(0));
        let (step, counted) = (stream.step(), Arc::clone(&sent));
        let feeding = thread::spawn(move || {
            block_on(async {
                for piece in sounds(0, TALK).chunks(step).cycle() {
                    if feeder.send(Input::Audio(piece.to_vec())).await.is_err() {
                        break;
                    }
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            });
        });
        for taken in 1..=4 {
            block_on(stream.next()).unwrap();
            let sent = sent.load(Ordering::Relaxed);
            assert!(sent <= taken + 2, "{sent} inputs sent, {taken} answers taken");
        }
        drop(stream);
        feeding.join().unwrap();
    });
}

#[test]
fn engines_end_when_the_pool_and_the_last_stream_have_gone() {
    in_any_order(|| {
        let pool = pool(2);
        let mut stream = open(&pool);
        let speaking = thread::spawn(move || block_on(speak(&mut stream, 2)).map(|o| words(&o)));
        drop(pool);
        assert_eq!(speaking.join().unwrap().as_deref(), Ok(alone(2)));
    });
}

#[test]
fn there_are_never_more_guests_than_places() {
    in_any_order(|| {
        let slots = Arc::new(Slots::new(2, &metrics()));
        let inside = Arc::new(Count::new(0));
        let guests: Vec<_> = (0..4)
            .map(|_| {
                let (slots, inside) = (Arc::clone(&slots), Arc::clone(&inside));
                thread::spawn(move || {
                    let Some(place) = slots.take("test") else { return };
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(place);
                })
            })
            .collect();
        for guest in guests {
            guest.join().unwrap();
        }
        assert_eq!(slots.open(), 0);
    });
}
