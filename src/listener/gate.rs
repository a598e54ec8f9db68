//! What finds endpoints, and lets the network sleep.

use std::collections::VecDeque;

use crate::endpoint::{AfterEndpoint, EndpointOptions, Evidence, Rule};
use crate::error::Result;
use crate::recognizer::Recognizer;
use crate::session::Session;
use crate::voice::VoiceDetector;

/// Length of the steps in which samples are heard; all decisions are made between steps.
const STEP_MS: u32 = 16;
/// The detector notices the end of a voice this much later than it is.
const VOICE_LAG_S: f32 = 0.1;

#[derive(Debug)]
pub(super) struct Gate {
    pub options: EndpointOptions,
    pub voice: VoiceDetector,
    /// Samples of a step.
    pub step: usize,
    /// What was heard since the network went to sleep, the last of it; once it has woken, what it is still to hear of that.
    pub pre_roll: VecDeque<f32>,
    /// Samples of it.
    kept: usize,
    pub asleep: bool,
    /// Silence that search must have seen to be sure of the last word without padding.
    flush_s: f32,
}

impl Gate {
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) if an option is out of range.
    pub fn new(
        recognizer: &Recognizer,
        session: &Session,
        options: &EndpointOptions,
    ) -> Result<Self> {
        options.validate()?;
        let (mode, config) = (session.latency_mode(), recognizer.config());
        let rate = session.sample_rate_hz();
        let frames = mode.block_frames + mode.look_ahead_frames + config.encoder.lag_frames();
        let step = (rate * STEP_MS / 1000) as usize;
        let kept = (options.pre_roll_s * rate as f32) as usize + step;
        let flush_ms = frames as f32 * config.encoder_frame_ms() + config.streaming.tail_padding_ms;
        Ok(Self {
            voice: VoiceDetector::new(rate, options.voice_threshold)?,
            step,
            pre_roll: VecDeque::with_capacity(if options.sleep { kept } else { 0 }),
            kept,
            asleep: options.sleep,
            flush_s: flush_ms / 1000.0,
            options: options.clone(),
        })
    }

    /// Keeps a step for the network to hear when it wakes.
    pub fn keep(&mut self, samples: &[f32]) {
        let excess = (self.pre_roll.len() + samples.len()).saturating_sub(self.kept);
        self.pre_roll.drain(..excess.min(self.pre_roll.len()));
        self.pre_roll.extend(samples);
    }

    /// The next piece of the pre-roll for a network that has woken; whether there was any.
    pub fn replay(&mut self, session: &mut Session) -> bool {
        let count = self.step.min(self.pre_roll.len());
        if self.asleep || count == 0 {
            return false;
        }
        let (first, second) = self.pre_roll.as_slices();
        let (from_first, from_second) = (count.min(first.len()), count - count.min(first.len()));
        session.hear(&first[..from_first]);
        session.hear(&second[..from_second]);
        self.pre_roll.drain(..count);
        true
    }

    /// The rule that ends the segment, which has lasted for `segment_s`.
    pub fn rule(&self, session: &Session, segment_s: f32) -> Option<Rule> {
        let voice_quiet_s = (self.voice.quiet_s() + VOICE_LAG_S).min(segment_s);
        let evidence = Evidence {
            voice_quiet_s: if self.voice.is_open() { 0.0 } else { voice_quiet_s },
            network_quiet_s: session.quiet_s() as f32,
            segment_s,
            words: session.has_words(),
            phrase: session.phrase_is_over(),
        };
        let rule = self.options.check(&evidence)?;
        let keep = self.options.after == AfterEndpoint::Keep;
        // Without padding search needs real silence; and a segment is cut only behind a word.
        let ready = match rule {
            Rule::Utterance => !session.confirmed().is_empty(),
            Rule::AfterPhrase => true,
            _ => !keep || evidence.silence_s() >= self.flush_s,
        };
        ready.then_some(rule)
    }

    /// Back to the start of a stream.
    pub fn reset(&mut self) {
        self.voice.reset();
        self.pre_roll.clear();
        self.asleep = self.options.sleep;
    }

    /// Bytes held.
    pub fn num_bytes(&self) -> usize {
        self.pre_roll.capacity() * size_of::<f32>() + self.voice.num_bytes()
    }
}
