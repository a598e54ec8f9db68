//! A stream as segments: law 1 for the listener, its endpoints, and its sleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use vivavoce::audio::{AudioSource, Incident};
use vivavoce::endpoint::{AfterEndpoint, EndpointOptions};
use vivavoce::pipeline::{Capture, Pace, Pipeline, PipelineOptions};
use vivavoce::transcript::{Event, Final};
use vivavoce::voice::VoiceDetector;
use vivavoce::{Recognizer, StreamOptions};

use crate::common::{Heard, Solo, clip, real, resampled, small_recognizers};

const RATE: usize = 16_000;

fn silence(seconds: f32) -> Vec<f32> {
    vec![0.0; (seconds * RATE as f32) as usize]
}

fn listener(recognizer: &Recognizer, options: &EndpointOptions) -> Heard {
    Heard::new(recognizer, &StreamOptions::default().endpoints(options.clone()))
}

/// All events of `samples` in pieces that end at `cuts`, but for the partial ones.
fn run(
    recognizer: &Recognizer,
    options: &EndpointOptions,
    samples: &[f32],
    cuts: &[usize],
) -> Vec<Event> {
    let mut listener = listener(recognizer, options);
    let mut events = Vec::new();
    let mut start = 0;
    for &end in cuts.iter().chain(&[samples.len()]) {
        listener.accept_waveform(&samples[start..end], &mut events).unwrap();
        start = end;
    }
    listener.finish(&mut events).unwrap();
    events.retain(|event| !matches!(event, Event::Partial(_)));
    events
}

fn finals(events: &[Event]) -> Vec<&Final> {
    let results = events.iter().filter_map(|event| match event {
        Event::Final(result) => Some(result),
        _ => None,
    });
    results.collect()
}

/// Two sentences with silence around them.
fn conversation() -> Vec<f32> {
    let (one, two) = (clip("harbour-int16-16000-mono.wav"), clip("edges-int16-16000-mono.wav"));
    [silence(1.0), one, silence(4.0), two, silence(4.0)].concat()
}

/// Where the loud part of `samples` ends.
fn speech_end_s(samples: &[f32]) -> f32 {
    let power = |frame: &[f32]| frame.iter().map(|s| s * s).sum::<f32>();
    let powers: Vec<f32> = samples.chunks(RATE / 100).map(power).collect();
    let loudest = powers.iter().copied().fold(0.0, f32::max);
    let last = powers.iter().rposition(|p| *p > loudest * 1e-4).unwrap();
    (last + 1) as f32 / 100.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn segments_do_not_depend_on_chunking(
        cuts in prop::collection::vec(0_usize..1 << 20, 0..40),
        keep in any::<bool>(),
        sleep in any::<bool>(),
    ) {
        let samples = conversation();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % samples.len()).collect();
        cuts.sort_unstable();
        let after = if keep { AfterEndpoint::Keep } else { AfterEndpoint::Reset };
        let options = EndpointOptions::default().after(after).sleep(sleep);
        for (name, recognizer) in small_recognizers() {
            let whole = run(recognizer, &options, &samples, &[]);
            prop_assert!(whole.iter().any(|e| matches!(e, Event::Endpoint { .. })), "{}", name);
            prop_assert_eq!(whole, run(recognizer, &options, &samples, &cuts), "{}", name);
        }
    }
}

#[test]
fn without_endpoints_a_listener_is_a_session() {
    let samples = conversation();
    for (name, recognizer) in small_recognizers() {
        let mut listener = Heard::new(recognizer, &StreamOptions::default().alternatives(2));
        let mut events = Vec::new();
        listener.accept_waveform(&samples, &mut events).unwrap();
        listener.finish(&mut events).unwrap();
        let mut session = Solo::new(recognizer, &StreamOptions::default());
        session.accept_waveform(&samples).unwrap();
        session.finish().unwrap();
        assert_eq!(finals(&events), [&session.result(2)], "{name}");
    }
}

#[test]
fn the_network_sleeps_in_silence() {
    let (name, recognizer) = &small_recognizers()[0];
    let mut listener = listener(recognizer, &EndpointOptions::default());
    let mut events = Vec::new();
    listener.accept_waveform(&silence(30.0), &mut events).unwrap();
    assert!(listener.is_asleep() && events.is_empty(), "{name}");
    assert_eq!(listener.session().num_samples(), 0);
    listener.accept_waveform(&clip("harbour-int16-16000-mono.wav"), &mut events).unwrap();
    assert!(!listener.is_asleep());
    let heard = listener.session().time_s();
    assert!((3.0..4.5).contains(&heard), "{heard} s with the pre-roll");
    listener.accept_waveform(&silence(10.0), &mut events).unwrap();
    assert!(listener.is_asleep());
    assert!((listener.time_s() - 43.5).abs() < 0.1);
}

#[test]
fn a_sentence_alone_is_heard_as_by_a_session() {
    let Some(recognizer) = real() else { return };
    // The last begins and ends without any silence.
    for name in [
        "harbour-int16-16000-mono.wav",
        "market-float32-48000-stereo.wav",
        "edges-int16-16000-mono.wav",
    ] {
        let samples = clip(name);
        let mut session = Solo::new(recognizer, &StreamOptions::default());
        session.accept_waveform(&samples).unwrap();
        session.finish().unwrap();
        let events = run(recognizer, &EndpointOptions::default(), &samples, &[]);
        assert_eq!(finals(&events), [&session.result(0)], "{name}");
    }
}

#[test]
fn the_same_sentence_again_is_the_same_segment_again() {
    let Some(recognizer) = real() else { return };
    let sentence = clip("harbour-int16-16000-mono.wav");
    let gap = silence(3.008);
    let mut samples = Vec::new();
    for _ in 0..3 {
        samples.extend_from_slice(&gap);
        samples.extend_from_slice(&sentence);
        samples.resize(samples.len().next_multiple_of(256), 0.0);
    }
    for after in [AfterEndpoint::Reset, AfterEndpoint::Keep] {
        let options = EndpointOptions::default().after(after);
        let events = run(recognizer, &options, &samples, &[]);
        let texts: Vec<&str> = finals(&events).iter().map(|f| f.text.as_str()).collect();
        assert_eq!(texts.len(), 3, "{after:?}: {texts:?}");
        assert!(texts.iter().all(|text| !text.is_empty()));
        if after == AfterEndpoint::Reset {
            assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
        }
    }
}

#[test]
fn endpoints_come_when_they_should() {
    let Some(recognizer) = real() else { return };
    for name in [
        "harbour-int16-16000-mono.wav",
        "edges-int16-16000-mono.wav",
        "market-float32-48000-stereo.wav",
    ] {
        let speech = [silence(1.0), clip(name)].concat();
        let end = speech_end_s(&speech);
        let samples = [speech, silence(5.0)].concat();
        for after_speech_s in [0.8, 1.2, 2.0] {
            let options = EndpointOptions::default().after_speech_s(after_speech_s);
            let events = run(recognizer, &options, &samples, &[]);
            let times: Vec<f64> = events
                .iter()
                .filter_map(|e| match e {
                    Event::Endpoint { time } => Some(*time),
                    _ => None,
                })
                .collect();
            assert_eq!(times.len(), 1, "{name}: {events:?}");
            let expected = f64::from(end + after_speech_s);
            assert!((times[0] - expected).abs() <= 0.2, "{name}: {} for {expected}", times[0]);
        }
    }
}

#[test]
fn a_long_utterance_is_cut_between_words_and_nothing_is_lost() {
    let Some(recognizer) = real() else { return };
    let mut samples = clip("story-int16-16000-mono.wav");
    samples.truncate(25 * RATE);
    let options = EndpointOptions::default()
        .silence_s(f32::INFINITY)
        .after_speech_s(f32::INFINITY)
        .utterance_s(5.0)
        .sleep(false);
    let events = run(recognizer, &options, &samples, &[]);
    let finals = finals(&events);
    assert!(finals.len() >= 4, "{} segments", finals.len());
    let mut session = Solo::new(recognizer, &StreamOptions::default());
    session.accept_waveform(&samples).unwrap();
    session.finish().unwrap();
    let words: Vec<_> = finals.iter().flat_map(|f| f.result.clone()).collect();
    assert_eq!(words, session.result(0).result);
}

#[test]
fn a_cut_settles_what_was_said_and_listening_goes_on() {
    let Some(recognizer) = real() else { return };
    let speech = clip("harbour-int16-16000-mono.wav");
    for after in [AfterEndpoint::Reset, AfterEndpoint::Keep] {
        let options = EndpointOptions::default().after(after);
        let mut listener = listener(recognizer, &options);
        let mut events = Vec::new();
        listener.accept_waveform(&speech[..30_001], &mut events).unwrap();
        listener.cut(&mut events).unwrap();
        assert_eq!(finals(&events).len(), 1);
        assert!(listener.is_asleep());
        listener.cut(&mut events).unwrap();
        listener.accept_waveform(&speech, &mut events).unwrap();
        listener.finish(&mut events).unwrap();
        let finals = finals(&events);
        assert_eq!(finals.len(), 2, "{after:?}");
        let (first, second) = (finals[0], finals[1]);
        assert!(!first.text.is_empty() && second.result.len() > first.result.len());
        assert!(second.result[0].start >= 1.8, "times go on: {second:?}");
    }
}

#[test]
fn samples_that_are_no_numbers_are_refused() {
    let (_, recognizer) = &small_recognizers()[0];
    let mut listener = listener(recognizer, &EndpointOptions::default());
    let error = listener.accept_waveform(&[0.0, f32::NAN], &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("NaN"));
    assert!(listener.time_s() < 1e-6);
}

#[test]
fn a_voice_opens_the_detector_at_any_rate_and_silence_closes_it() {
    for rate in [8_000, 16_000, 48_000] {
        let second = vec![0.0; rate as usize];
        let speech = resampled(&clip("harbour-int16-16000-mono.wav"), 16_000, rate);
        let mut detector = VoiceDetector::new(rate, 0.5).unwrap();
        detector.accept(&second).unwrap();
        assert!(!detector.is_open() && detector.quiet_s() > 0.9, "{rate} Hz");
        detector.accept(&speech[..speech.len() / 2]).unwrap();
        assert!(detector.is_open() && detector.latest_score() > 0.5, "{rate} Hz");
        detector.accept(&speech[speech.len() / 2..]).unwrap();
        detector.accept(&second).unwrap();
        assert!(!detector.is_open(), "{rate} Hz");
        assert!((1.0..1.7).contains(&detector.quiet_s()), "{rate} Hz: {}", detector.quiet_s());
    }
    assert!(VoiceDetector::new(16_000, 1.5).is_err());
}

/// A device that loses audio and then fails for a while, all within one sentence.
struct Faulty(Vec<Vec<f32>>, Vec<Incident>);

impl AudioSource for Faulty {
    fn sample_rate_hz(&self) -> u32 {
        16_000
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> vivavoce::Result<bool> {
        out.clear();
        let Some(chunk) = self.0.pop() else { return Ok(false) };
        out.extend_from_slice(&chunk);
        if self.0.is_empty() {
            self.1.push(Incident::Lost { seconds: 0.25 });
            self.1.push(Incident::Interrupted { reason: "gone".into() });
        }
        Ok(true)
    }

    fn take_incidents(&mut self) -> Vec<Incident> {
        std::mem::take(&mut self.1)
    }
}

#[test]
fn what_a_device_loses_is_told_and_what_was_said_before_is_settled() {
    let (_, recognizer) = &small_recognizers()[0];
    let options = PipelineOptions::default()
        .stream(StreamOptions::default().endpoints(EndpointOptions::default()));
    let speech = clip("harbour-int16-16000-mono.wav");
    let source = Faulty(vec![Vec::new(), speech], Vec::new());
    let pipeline = Pipeline::start(recognizer, Box::new(source), &options).unwrap();
    let events: Vec<Event> = pipeline.events().collect();
    let place = |wanted: &dyn Fn(&Event) -> bool| events.iter().position(wanted);
    let lost = place(&|e| matches!(e, Event::Overrun { lost_s } if (*lost_s - 0.25).abs() < 1e-6))
        .unwrap();
    let said = place(&|e| matches!(e, Event::Final(f) if !f.text.is_empty())).unwrap();
    let gone = place(&|e| matches!(e, Event::Warning { message } if message == "gone"));
    assert!(lost < said && said < gone.unwrap(), "{events:?}");
}

/// Delivers for ever, as fast as it is read, and counts.
struct Endless(Arc<AtomicU64>);

impl AudioSource for Endless {
    fn sample_rate_hz(&self) -> u32 {
        16_000
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> vivavoce::Result<bool> {
        out.clear();
        out.resize(800, 0.0);
        self.0.fetch_add(800, Ordering::Relaxed);
        Ok(true)
    }
}

#[test]
fn no_more_than_ten_seconds_are_queued() {
    let count = Arc::new(AtomicU64::new(0));
    let capture = Capture::start(Box::new(Endless(Arc::clone(&count))), Pace::Unpaced);
    let mut before = 0;
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = count.load(Ordering::Relaxed);
        if now > 0 && now == before {
            break;
        }
        before = now;
    }
    assert!((64_000..=160_000).contains(&before), "{before} samples");
    drop(capture);
}
