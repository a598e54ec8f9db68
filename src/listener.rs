//! An endless stream as segments: a [`Listener`] wraps a [`Session`], finds endpoints and lets the network sleep in silence.
//! No threads, no clock; what comes out does not depend on how the samples are split into calls.

use std::collections::VecDeque;

use crate::endpoint::{AfterEndpoint, EndpointOptions, Evidence, Rule};
use crate::error::{Error, Result};
use crate::recognizer::{Recognizer, Session, SessionOptions};
use crate::transcript::{Event, Final, Partial};
use crate::voice::VoiceDetector;

/// Length of the steps in which samples are heard; all decisions are made between steps.
const STEP_MS: u32 = 16;
/// The detector notices the end of a voice this much later than it is.
const VOICE_LAG_S: f32 = 0.1;

/// What finds endpoints.
#[derive(Debug)]
struct Gate {
    options: EndpointOptions,
    voice: VoiceDetector,
    step: usize,
    /// Samples of a step that is not yet whole.
    pending: Vec<f32>,
    /// What was heard since the network went to sleep, the last of it.
    pre_roll: VecDeque<f32>,
    asleep: bool,
    /// Samples of the stream before the segment.
    segment_start: u64,
    /// Silence that search must have seen to be sure of the last word without padding.
    flush_s: f32,
}

/// One stream without end.
pub struct Listener {
    session: Session,
    gate: Option<Gate>,
    alternatives: usize,
    /// Samples of the stream in whole steps.
    heard: u64,
    /// Samples of the stream less those of the session.
    skipped: u64,
}

impl Listener {
    /// A listener; without `endpoints` the whole stream is one segment.
    ///
    /// # Errors
    /// [`crate::Error::Config`] if the options do not fit the model or are out of range.
    pub fn new(
        recognizer: &Recognizer,
        options: &SessionOptions,
        endpoints: Option<&EndpointOptions>,
        alternatives: usize,
    ) -> Result<Self> {
        let session = recognizer.session(options)?;
        let rate = session.sample_rate_hz();
        let gate = match endpoints {
            None => None,
            Some(options) => {
                options.validate()?;
                let mode = session.latency_mode();
                let config = recognizer.config();
                let lag = config.encoder.lag_frames();
                let frames = mode.block_frames + mode.look_ahead_frames + lag;
                Some(Gate {
                    voice: VoiceDetector::new(rate, options.voice_threshold)?,
                    step: (rate * STEP_MS / 1000) as usize,
                    pending: Vec::new(),
                    pre_roll: VecDeque::new(),
                    asleep: options.sleep,
                    segment_start: 0,
                    flush_s: (frames as f32 * config.encoder_frame_ms()
                        + config.streaming.tail_padding_ms)
                        / 1000.0,
                    options: options.clone(),
                })
            }
        };
        Ok(Self { session, gate, alternatives, heard: 0, skipped: 0 })
    }

    /// Rate of the samples it wants.
    pub fn sample_rate_hz(&self) -> u32 {
        self.session.sample_rate_hz()
    }

    /// Audio heard since the start of the stream.
    pub fn time_s(&self) -> f32 {
        let pending = self.gate.as_ref().map_or(0, |gate| gate.pending.len());
        self.seconds(self.heard + pending as u64)
    }

    /// Whether a voice is heard; always without endpoints.
    pub fn hears_voice(&self) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.voice.is_open())
    }

    /// Whether the network sleeps.
    pub fn is_asleep(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.asleep)
    }

    /// The stream so far as the session sees it.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Hears samples in [-1, 1] at [`Listener::sample_rate_hz`] and appends what happens: [`Event::Partial`] whenever the words
    /// change, [`Event::Endpoint`] and, if there were words, [`Event::Final`] at the end of a segment.
    ///
    /// # Errors
    /// [`crate::Error::Samples`] if a sample is not finite; nothing of the call is heard then.
    pub fn accept_waveform(&mut self, samples: &[f32], events: &mut Vec<Event>) -> Result<()> {
        let Some(gate) = &mut self.gate else {
            self.heard += samples.len() as u64;
            if self.session.accept_waveform(samples)? {
                events.push(Event::Partial(self.partial()));
            }
            return Ok(());
        };
        if let Some(bad) = samples.iter().find(|sample| !sample.is_finite()) {
            return Err(Error::Samples { reason: format!("a sample is {bad}") });
        }
        gate.pending.extend_from_slice(samples);
        let step = gate.step;
        let pending = std::mem::take(&mut gate.pending);
        let mut steps = pending.chunks_exact(step);
        let mut result = Ok(());
        for samples in steps.by_ref() {
            result = self.step(samples, events);
            if result.is_err() {
                break;
            }
        }
        let rest = steps.remainder().len();
        self.keep(pending, rest);
        result
    }

    /// Puts the last `rest` samples of `pending` back.
    fn keep(&mut self, mut pending: Vec<f32>, rest: usize) {
        if let Some(gate) = &mut self.gate {
            pending.drain(..pending.len() - rest);
            gate.pending = pending;
        }
    }

    fn step(&mut self, samples: &[f32], events: &mut Vec<Event>) -> Result<()> {
        let Some(gate) = &mut self.gate else { return Ok(()) };
        gate.voice.accept(samples)?;
        self.heard += samples.len() as u64;
        if gate.asleep {
            gate.pre_roll.extend(samples);
            let rate = self.session.sample_rate_hz() as f32;
            let kept = (gate.options.pre_roll_s * rate) as usize + gate.step;
            let excess = gate.pre_roll.len().saturating_sub(kept);
            gate.pre_roll.drain(..excess);
            return if gate.voice.is_open() { self.wake(events) } else { Ok(()) };
        }
        if self.session.accept_waveform(samples)? {
            events.push(Event::Partial(self.partial()));
        }
        if let Some(rule) = self.rule() {
            self.end_segment(rule, events)?;
        }
        Ok(())
    }

    /// The network hears what was kept for it.
    fn wake(&mut self, events: &mut Vec<Event>) -> Result<()> {
        let Some(gate) = &mut self.gate else { return Ok(()) };
        gate.asleep = false;
        gate.segment_start = self.heard - gate.pre_roll.len() as u64;
        self.skipped = gate.segment_start - self.session.num_samples();
        let mut changed = false;
        let (first, second) = gate.pre_roll.as_slices();
        for samples in [first, second] {
            changed |= self.session.accept_waveform(samples)?;
        }
        gate.pre_roll.clear();
        if changed {
            events.push(Event::Partial(self.partial()));
        }
        Ok(())
    }

    fn rule(&self) -> Option<Rule> {
        let gate = self.gate.as_ref()?;
        let segment_s = self.seconds(self.heard - gate.segment_start);
        let voice_quiet_s = (gate.voice.quiet_s() + VOICE_LAG_S).min(segment_s);
        let evidence = Evidence {
            voice_quiet_s: if gate.voice.is_open() { 0.0 } else { voice_quiet_s },
            network_quiet_s: self.session.quiet_s(),
            segment_s,
            words: self.session.has_words(),
        };
        let rule = gate.options.check(&evidence)?;
        let keep = gate.options.after == AfterEndpoint::Keep;
        // Without padding search needs real silence; and a segment is cut only behind a word.
        let ready = match rule {
            Rule::Utterance => !self.session.confirmed().is_empty(),
            _ => !keep || evidence.silence_s() >= gate.flush_s,
        };
        ready.then_some(rule)
    }

    fn end_segment(&mut self, rule: Rule, events: &mut Vec<Event>) -> Result<()> {
        let Some(gate) = &mut self.gate else { return Ok(()) };
        gate.segment_start = self.heard;
        let (after, sleep) = (gate.options.after, gate.options.sleep && !gate.voice.is_open());
        if rule == Rule::Utterance {
            let result = self.session.take_result();
            events.push(Event::Endpoint { time: self.time_s() });
            events.push(Event::Final(self.shifted(result)));
            return Ok(());
        }
        gate.asleep = sleep;
        gate.pre_roll.clear();
        match after {
            AfterEndpoint::Keep => _ = self.session.settle(),
            AfterEndpoint::Reset => _ = self.session.finish()?,
        }
        let result = self.session.result(self.alternatives);
        events.push(Event::Endpoint { time: self.time_s() });
        if !result.text.is_empty() {
            events.push(Event::Final(self.shifted(result)));
        }
        match after {
            AfterEndpoint::Keep => self.session.next_segment(),
            AfterEndpoint::Reset => self.session.reset(),
        }
        self.skipped = self.heard - self.session.num_samples();
        Ok(())
    }

    /// Ends the segment now, as when a device is lost: what was said is settled, and listening can go on.
    ///
    /// # Errors
    /// As [`Listener::accept_waveform`].
    pub fn cut(&mut self, events: &mut Vec<Event>) -> Result<()> {
        if self.gate.is_none() {
            return Ok(());
        }
        self.hear_rest(events)?;
        if let Some(gate) = &mut self.gate {
            gate.voice.reset();
        }
        if !self.is_asleep() {
            self.session.finish()?;
            self.end_segment(Rule::AfterSpeech, events)?;
        }
        Ok(())
    }

    /// What is not a whole step, and what sleeps in the pre-roll though it might be speech.
    fn hear_rest(&mut self, events: &mut Vec<Event>) -> Result<()> {
        let Some(gate) = &mut self.gate else { return Ok(()) };
        let mut rest = std::mem::take(&mut gate.pending);
        let said = rest.len();
        if said > 0 {
            // The detector wants a whole step.
            let step = gate.step;
            rest.resize(step, 0.0);
            gate.voice.accept(&rest)?;
            self.heard += said as u64;
            if gate.asleep {
                gate.pre_roll.extend(&rest[..said]);
            } else if self.session.accept_waveform(&rest[..said])? {
                events.push(Event::Partial(self.partial()));
            }
        }
        match &self.gate {
            Some(gate) if gate.asleep && gate.voice.suspects() => self.wake(events),
            _ => Ok(()),
        }
    }

    /// The stream is over: the last segment is settled. [`Event::Final`] comes if it has words, or if there are no endpoints.
    ///
    /// # Errors
    /// As [`Listener::accept_waveform`].
    pub fn finish(&mut self, events: &mut Vec<Event>) -> Result<()> {
        self.hear_rest(events)?;
        if self.is_asleep() {
            return Ok(());
        }
        if self.session.finish()? {
            events.push(Event::Partial(self.partial()));
        }
        let result = self.session.result(self.alternatives);
        if self.gate.is_none() || !result.text.is_empty() {
            events.push(Event::Final(self.shifted(result)));
        }
        Ok(())
    }

    fn seconds(&self, samples: u64) -> f32 {
        (samples as f64 / f64::from(self.session.sample_rate_hz())) as f32
    }

    /// What is known of the segment.
    pub fn partial(&self) -> Partial {
        let partial = self.session.partial();
        Partial { time: partial.time + self.seconds(self.skipped), ..partial }
    }

    /// The session's times as those of the stream.
    fn shifted(&self, mut result: Final) -> Final {
        let by = self.seconds(self.skipped);
        if by > 0.0 {
            let shift = |time: &mut f32| *time = ((*time + by) * 1000.0).round() / 1000.0;
            shift(&mut result.time);
            for word in &mut result.result {
                shift(&mut word.start);
                shift(&mut word.end);
            }
        }
        result
    }
}
