//! Law 1 for many streams: sessions and listeners computed together give the bits that each gives alone, allocate nothing in steady
//! state, and are small.

use allocation_counter::measure;
use proptest::prelude::*;
use vivavoce::audio::{self, AudioSource};
use vivavoce::search::Word;
use vivavoce::transcript::Event;
use vivavoce::{
    AfterEndpoint, EndpointOptions, Engine, Error, Listener, Recognizer, SearchKind, Session,
    Stream, StreamOptions,
};

use crate::common::{Heard, RATE_HZ, Solo, babble, clip, real, root, small_recognizers};

const KINDS: [SearchKind; 3] = [SearchKind::Beam, SearchKind::Greedy, SearchKind::Tokens];
/// The most that a stream may hold at the default beam, voice gate, pre-roll and the states of the neural language model included.
const MAX_BYTES: usize = 280 * 1024;

fn bits(words: &[Word]) -> Vec<(u32, u32, u32, u32)> {
    words.iter().map(|w| (w.id, w.first_block, w.last_block, w.log_prob.to_bits())).collect()
}

/// A stream and what is to happen to it: pieces of audio, each of which may be followed by a cut or by settling.
#[derive(Debug, Clone)]
struct Script {
    options: StreamOptions,
    pieces: Vec<(Vec<f32>, Then)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    Cut,
    Settle,
}

impl Script {
    /// The `i`th of many that differ in audio, chunks and options.
    fn new(i: usize, samples: &[f32], chunk: usize, search: SearchKind) -> Self {
        let endpoints = EndpointOptions::default()
            .silence_s(0.8 + 0.1 * (i % 7) as f32)
            .after_speech_s(0.3 + 0.1 * (i % 5) as f32)
            .utterance_s(if i.is_multiple_of(4) { 2.0 } else { 20.0 })
            .after(if i.is_multiple_of(2) { AfterEndpoint::Keep } else { AfterEndpoint::Reset })
            .sleep(!i.is_multiple_of(3));
        let options = StreamOptions::default()
            .search(search)
            .beam_size((i % 5 == 1).then_some(4 + i % 9))
            .alternatives(i % 3)
            .partials(i % 4 != 3)
            .endpoints((i % 6 != 5).then_some(endpoints));
        let then = |piece: usize| match (piece + i) % 17 {
            5 => Then::Cut,
            11 => Then::Settle,
            _ => Then::GoOn,
        };
        let pieces = samples.chunks(chunk).enumerate();
        Self { options, pieces: pieces.map(|(p, part)| (part.to_vec(), then(p))).collect() }
    }

    fn feed(&self, piece: usize, listener: &mut Listener) {
        match self.pieces.get(piece) {
            Some((samples, then)) => {
                listener.accept_waveform(RATE_HZ, samples).unwrap();
                match then {
                    Then::GoOn => {}
                    Then::Cut => listener.cut(),
                    Then::Settle => listener.settle(),
                }
            }
            None => listener.finish(),
        }
    }

    fn alone(&self, recognizer: &Recognizer) -> Vec<Event> {
        let mut engine = Engine::new(recognizer);
        let mut listener = recognizer.listener(&self.options).unwrap();
        let mut events = Vec::new();
        for piece in 0..=self.pieces.len() {
            self.feed(piece, &mut listener);
            engine.advance(&mut [&mut listener]).unwrap();
            events.extend(listener.take_events());
        }
        assert!(listener.is_over());
        events
    }
}

/// Runs all scripts as one batch, and a session among them; compares every stream with itself alone.
fn assert_equal_alone(name: &str, recognizer: &Recognizer, scripts: &[Script], rounds: bool) {
    let mut engine = Engine::new(recognizer);
    let mut listeners: Vec<Listener> =
        scripts.iter().map(|script| recognizer.listener(&script.options).unwrap()).collect();
    let mut session = recognizer.session(&StreamOptions::default()).unwrap();
    let mut events = vec![Vec::new(); scripts.len()];
    let most = scripts.iter().map(|script| script.pieces.len()).max().unwrap();
    for piece in 0..=most {
        for (script, listener) in scripts.iter().zip(&mut listeners) {
            script.feed(piece, listener);
        }
        if let Some((samples, _)) = scripts[0].pieces.get(piece) {
            session.accept_waveform(RATE_HZ, samples).unwrap();
        }
        let mut streams: Vec<&mut dyn Stream> =
            listeners.iter_mut().map(|listener| listener as &mut dyn Stream).collect();
        streams.insert(scripts.len() / 2, &mut session);
        if rounds {
            while engine.advance_some(&mut streams).unwrap() {}
        } else {
            engine.advance(&mut streams).unwrap();
        }
        for (listener, events) in listeners.iter_mut().zip(&mut events) {
            events.extend(listener.take_events());
        }
    }
    session.finish();
    engine.advance(&mut [&mut session]).unwrap();
    let mut solo = Solo::new(recognizer, &StreamOptions::default());
    for (samples, _) in &scripts[0].pieces {
        solo.accept_waveform(samples).unwrap();
    }
    solo.finish().unwrap();
    assert_eq!(bits(session.confirmed()), bits(solo.confirmed()), "{name}: the session");
    let mut said = 0;
    for (i, (script, found)) in scripts.iter().zip(&events).enumerate() {
        let expected = script.alone(recognizer);
        said +=
            expected.iter().filter(|e| matches!(e, Event::Final(f) if !f.text.is_empty())).count();
        assert_eq!(*found, expected, "{name}: stream {i}");
        assert!(listeners[i].is_over(), "{name}: stream {i}");
    }
    assert!(said > scripts.len() / 4, "{name}: {said} segments, so little was proved");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    #[test]
    fn forty_listeners_in_a_batch_equal_each_alone(
        seed in 0_u32..1000,
        chunks in prop::collection::vec(37_usize..9000, 40),
        rounds in any::<bool>(),
    ) {
        let speech = clip("harbour-int16-16000-mono.wav");
        for (name, recognizer) in small_recognizers() {
            let scripts: Vec<_> = chunks.iter().enumerate().map(|(i, chunk)| {
                // Sounds that open the gate, and pauses that close it.
                let start = (seed as usize * 131 + i * 977) % (speech.len() - 16_000);
                let mut samples = babble(0.3 + 0.02 * i as f32, seed + i as u32);
                samples.extend_from_slice(&speech[start..start + 16_000]);
                samples.resize(samples.len() + 16_000, 0.0);
                samples.extend_from_slice(&speech[..8000 + 100 * i]);
                Script::new(i, &samples, *chunk, KINDS[i % 3])
            }).collect();
            assert_equal_alone(name, recognizer, &scripts, rounds);
        }
    }
}

#[test]
fn forty_listeners_in_a_batch_equal_each_alone_on_speech() {
    let Some(recognizer) = real() else { return };
    let speech = ["harbour-int16-16000-mono.wav", "story-int16-16000-mono.wav"].map(clip);
    let scripts: Vec<_> = (0..40)
        .map(|i| {
            let speech = &speech[i % 2];
            let start = (i * 3001) % (speech.len() - 32_000);
            let mut samples = vec![0.0; 160 * i];
            samples.extend_from_slice(&speech[start..start + 32_000]);
            samples.resize(samples.len() + 24_000, 0.0);
            Script::new(i, &samples, 800 + 611 * (i % 13), SearchKind::Beam)
        })
        .collect();
    assert_equal_alone("en-small", recognizer, &scripts, false);
}

/// Allocations of the calls that tell nothing, while forty listeners hear `samples` again after a first time.
fn allocations(recognizer: &Recognizer, samples: &[f32]) -> u64 {
    let options = StreamOptions::default().partials(false).endpoints(EndpointOptions::default());
    let mut engine = Engine::new(recognizer);
    let mut listeners: Vec<_> = (0..40).map(|_| recognizer.listener(&options).unwrap()).collect();
    let mut counted = (0, 0);
    // Buffers trade places, so each of them has to grow.
    for time in 0..5 {
        counted = (0, 0);
        for chunk in samples.chunks(1600) {
            let info = measure(|| {
                for (i, listener) in listeners.iter_mut().enumerate() {
                    // Each a little quieter than the one before.
                    let mut piece = [0.0; 1600];
                    let piece = &mut piece[..chunk.len()];
                    let volume = 1.0 - i as f32 / 400.0;
                    piece.iter_mut().zip(chunk).for_each(|(p, s)| *p = s * volume);
                    listener.accept_waveform(RATE_HZ, piece).unwrap();
                }
                engine.advance(&mut listeners).unwrap();
            });
            let told = listeners.iter_mut().map(|l| l.take_events().count()).sum::<usize>();
            if told == 0 {
                counted = (counted.0 + info.count_total, counted.1 + 1);
            }
        }
        for listener in &mut listeners {
            assert!(time == 0 || listener.session().num_blocks() > 0);
            listener.reset();
        }
    }
    assert!(counted.1 > samples.len() / 1600 / 2, "{} silent calls", counted.1);
    counted.0
}

#[test]
fn warm_listeners_in_a_batch_allocate_nothing() {
    let samples = clip("harbour-int16-16000-mono.wav");
    for (name, recognizer) in small_recognizers() {
        assert_eq!(allocations(recognizer, &samples), 0, "{name}");
    }
}

#[test]
fn warm_listeners_in_a_batch_allocate_nothing_on_speech() {
    let Some(recognizer) = real() else { return };
    assert_eq!(allocations(recognizer, &clip("harbour-int16-16000-mono.wav")), 0);
}

#[test]
fn a_stream_is_small() {
    let Some(recognizer) = real() else { return };
    let options = StreamOptions::default().endpoints(EndpointOptions::default());
    let mut listener = Heard::new(recognizer, &options);
    let mut most = 0;
    for chunk in clip("story-int16-16000-mono.wav").chunks(1600) {
        listener.accept_waveform(chunk, &mut Vec::new()).unwrap();
        most = most.max(listener.num_bytes());
    }
    println!("{most} bytes a stream");
    assert!(most <= MAX_BYTES, "{most} bytes");
}

#[test]
fn samples_of_another_rate_are_heard_as_if_they_had_been_resampled() {
    let Some(recognizer) = real() else { return };
    for name in ["garden-int16-48000-mono.wav", "letter-int24-44100-stereo.wav"] {
        let mut source = audio::open(root().join("audio-samples").join(name)).unwrap();
        let (samples, rate_hz) = (source.read_all().unwrap(), source.sample_rate_hz());
        let options = StreamOptions::default();
        let mut resampled = Solo::new(recognizer, &options);
        resampled.accept_waveform(&clip(name)).unwrap();
        resampled.finish().unwrap();
        let wanted = resampled.result(0);
        assert!(wanted.result.len() > 5, "{name}: {}", wanted.text);
        let mut engine = Engine::new(recognizer);
        let mut session = recognizer.session(&options).unwrap();
        let mut listener = recognizer.listener(&options).unwrap();
        for chunk in samples.chunks(1_777) {
            session.accept_waveform(rate_hz, chunk).unwrap();
            listener.accept_waveform(rate_hz, chunk).unwrap();
            engine.advance::<&mut dyn Stream>(&mut [&mut session, &mut listener]).unwrap();
        }
        session.finish();
        listener.finish();
        engine.advance::<&mut dyn Stream>(&mut [&mut session, &mut listener]).unwrap();
        assert_eq!(session.result(0), wanted, "{name}");
        let finals: Vec<_> =
            listener.take_events().filter(|e| matches!(e, Event::Final(_))).collect();
        let [Event::Final(heard)] = finals.as_slice() else { panic!("{finals:?}") };
        assert_eq!((&heard.text, &heard.result), (&wanted.text, &wanted.result), "{name}");
    }
}

#[test]
fn a_rate_out_of_range_is_refused_and_the_stream_goes_on() {
    for (name, recognizer) in small_recognizers() {
        let mut session = recognizer.session(&StreamOptions::default()).unwrap();
        let mut listener = recognizer.listener(&StreamOptions::default()).unwrap();
        for rate_hz in [0, 7_999, 192_001, u32::MAX] {
            let error = session.accept_waveform(rate_hz, &[0.0; 100]).unwrap_err();
            assert!(matches!(error, Error::Samples { .. }), "{name}: {error}");
            assert!(listener.accept_waveform(rate_hz, &[0.0; 100]).is_err());
        }
        session.accept_waveform(RATE_HZ, &[0.0; 100]).unwrap();
        listener.accept_waveform(RATE_HZ, &[0.0; 100]).unwrap();
        assert_eq!(session.num_samples(), 100);
    }
}

/// Words of the segments of a stream that is settled after every second of `samples`.
fn segments(recognizer: &Recognizer, search: SearchKind, samples: &[f32]) -> Vec<Vec<Word>> {
    let mut session = Solo::new(recognizer, &StreamOptions::default().search(search));
    let seconds = samples.chunks(16_000).map(|second| {
        session.accept_waveform(second).unwrap();
        session.settle();
        let words = session.confirmed().to_vec();
        session.next_segment();
        words
    });
    seconds.collect()
}

#[test]
fn segments_of_sessions_in_a_batch_equal_those_of_sessions_alone() {
    for (name, recognizer) in small_recognizers() {
        let inputs: Vec<_> = (0..3).map(|i| babble(3.3 + 0.4 * i as f32, i)).collect();
        let mut engine = Engine::new(recognizer);
        let mut sessions = KINDS
            .map(|search| recognizer.session(&StreamOptions::default().search(search)).unwrap());
        let mut found = vec![Vec::new(); KINDS.len()];
        for second in 0..5 {
            let part = |samples: &Vec<f32>| samples.chunks(16_000).nth(second).map(<[f32]>::to_vec);
            for (session, samples) in sessions.iter_mut().zip(&inputs) {
                session.accept_waveform(RATE_HZ, &part(samples).unwrap_or_default()).unwrap();
            }
            engine.advance(&mut sessions).unwrap();
            for ((session, samples), found) in sessions.iter_mut().zip(&inputs).zip(&mut found) {
                if part(samples).is_some() {
                    session.settle();
                    found.push(session.confirmed().to_vec());
                    session.next_segment();
                }
            }
        }
        for ((search, samples), found) in KINDS.iter().zip(&inputs).zip(&found) {
            let expected = segments(recognizer, *search, samples);
            assert!(expected.iter().flatten().count() > 0, "{name}, {search:?}: nothing was said");
            let bits = |all: &[Vec<Word>]| all.iter().map(|words| bits(words)).collect::<Vec<_>>();
            assert_eq!(bits(found), bits(&expected), "{name}, {search:?}");
        }
    }
}

#[test]
fn blocks_that_wait_while_a_segment_is_settled_belong_to_the_next() {
    for (name, recognizer) in small_recognizers() {
        let samples = babble(3.0, 5);
        let mut engine = Engine::new(recognizer);
        let mut session = recognizer.session(&StreamOptions::default()).unwrap();
        session.accept_waveform(RATE_HZ, &samples).unwrap();
        session.settle();
        engine.advance(&mut [&mut session]).unwrap();
        assert_eq!(session.num_blocks(), 0, "{name}");
        session.next_segment();
        session.finish();
        engine.advance(&mut [&mut session]).unwrap();
        let mut solo = Solo::new(recognizer, &StreamOptions::default());
        solo.accept_waveform(&samples).unwrap();
        solo.finish().unwrap();
        assert_eq!(bits(session.confirmed()), bits(solo.confirmed()), "{name}");
    }
}

#[test]
fn settling_without_an_endpoint_loses_no_word() {
    let Some(recognizer) = real() else { return };
    let samples = clip("story-int16-16000-mono.wav");
    let whole = {
        let mut solo = Solo::new(recognizer, &StreamOptions::default());
        solo.accept_waveform(&samples[..16_000 * 20]).unwrap();
        solo.finish().unwrap();
        solo.result(0).result.len()
    };
    let mut listener = recognizer.listener(&StreamOptions::default()).unwrap();
    let mut engine = Engine::new(recognizer);
    let mut finals = Vec::new();
    for part in samples[..16_000 * 20].chunks(16_000 * 5) {
        listener.accept_waveform(RATE_HZ, part).unwrap();
        listener.settle();
        engine.advance(&mut [&mut listener]).unwrap();
        finals.extend(listener.take_events().filter_map(|event| match event {
            Event::Final(segment) => Some(segment),
            _ => None,
        }));
    }
    assert_eq!(finals.len(), 4);
    let words: Vec<_> = finals.iter().flat_map(|f| &f.result).collect();
    assert!(words.windows(2).all(|w| w[0].start <= w[1].start), "times go on: {words:?}");
    assert!(finals.iter().enumerate().all(|(i, f)| f.segment == i as u64));
    // A word may be split in two at each of the three places.
    assert!(words.len().abs_diff(whole) <= 3, "{} words for {whole}", words.len());
}

#[test]
fn a_stream_of_another_recognizer_is_refused() {
    let all = small_recognizers();
    let mut engine = Engine::new(&all[0].1);
    let mut own = all[0].1.session(&StreamOptions::default()).unwrap();
    let mut other: Session = all[1].1.session(&StreamOptions::default()).unwrap();
    let error = engine.advance(&mut [&mut own, &mut other]).unwrap_err();
    assert!(error.to_string().contains("another recognizer"), "{error}");
    engine.advance(&mut [&mut own]).unwrap();
}

#[test]
fn an_engine_may_move_to_another_thread_with_its_streams() {
    let (_, recognizer) = &small_recognizers()[0];
    let samples = babble(2.0, 3);
    let (mut engine, mut session) =
        (Engine::new(recognizer), recognizer.session(&StreamOptions::default()).unwrap());
    session.accept_waveform(RATE_HZ, &samples[..16_000]).unwrap();
    engine.advance(&mut [&mut session]).unwrap();
    let rest = samples[16_000..].to_vec();
    let words = std::thread::spawn(move || {
        session.accept_waveform(RATE_HZ, &rest).unwrap();
        session.finish();
        engine.advance(&mut [&mut session]).unwrap();
        session.confirmed().to_vec()
    });
    let mut solo = Solo::new(recognizer, &StreamOptions::default());
    solo.accept_waveform(&samples).unwrap();
    solo.finish().unwrap();
    assert_eq!(bits(&words.join().unwrap()), bits(solo.confirmed()));
}
