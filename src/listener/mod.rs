//! An endless stream as segments: a [`Listener`] wraps a [`Session`], finds endpoints and lets the network sleep in silence.
//! No threads, no clock; what comes out does not depend on how the samples are split into calls.

mod gate;
mod steps;

use std::collections::VecDeque;

use crate::audio::Intake;
use crate::error::{Error, Result};
use crate::features::{FeatureState, append};
use crate::recognizer::{Recognizer, StreamOptions};
use crate::session::Session;
use crate::transcript::{Event, Partial};
use gate::Gate;

/// What is to be done at a place of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// [`Listener::cut`].
    Cut,
    /// [`Listener::settle`].
    Settle,
    /// [`Listener::finish`].
    Finish,
}

/// What follows when the network has heard what the session has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The next samples.
    Hear,
    /// A step was heard: is the segment over?
    Judge,
    /// All before a mark was heard.
    Obey(Mark),
    /// The padding at the end of a segment was heard.
    EndSegment,
    /// The padding at the end of the stream was heard.
    EndStream,
    /// Nothing: the stream is over.
    Over,
}

/// One stream without end, as a state: it accepts samples, an [`Engine`](crate::Engine) computes what it has, and then it has
/// events.
pub struct Listener {
    session: Session,
    intake: Intake,
    gate: Option<Gate>,
    alternatives: usize,
    partials: bool,
    /// Samples accepted and not yet heard, from `taken` on.
    pending: Vec<f32>,
    taken: usize,
    /// (samples of the stream before it, what is to be done there).
    marks: VecDeque<(u64, Mark)>,
    next: Next,
    /// Whether [`Listener::finish`] was called.
    finished: bool,
    /// Samples of the stream that were accepted, and those of them that were heard.
    accepted: u64,
    heard: u64,
    /// Samples of the stream before the segment.
    segment_start: u64,
    segment: u64,
    events: VecDeque<Event>,
}

impl Recognizer {
    /// A new stream without end, as segments.
    ///
    /// # Errors
    /// As [`Recognizer::session`].
    pub fn listener(&self, options: &StreamOptions) -> Result<Listener> {
        Listener::new(self, options)
    }
}

impl Listener {
    fn new(recognizer: &Recognizer, options: &StreamOptions) -> Result<Self> {
        let session = recognizer.session(options)?;
        let endpoints = options.endpoints.as_ref();
        let gate = endpoints.map(|options| Gate::new(recognizer, &session, options)).transpose()?;
        Ok(Self {
            intake: Intake::new(session.sample_rate_hz()),
            session,
            gate,
            alternatives: options.alternatives,
            partials: options.partials,
            pending: Vec::new(),
            taken: 0,
            marks: VecDeque::new(),
            next: Next::Hear,
            finished: false,
            accepted: 0,
            heard: 0,
            segment_start: 0,
            segment: 0,
            events: VecDeque::new(),
        })
    }

    /// Audio accepted since the start of the stream; what a resampler holds, some 20 ms, comes later.
    pub fn time_s(&self) -> f64 {
        self.seconds(self.accepted)
    }

    /// Whether a voice is heard; always without endpoints.
    pub fn hears_voice(&self) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.voice.is_open())
    }

    /// Whether the network sleeps.
    #[doc(hidden)]
    pub fn is_asleep(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.asleep)
    }

    /// Whether the stream is over and all of it heard.
    pub fn is_over(&self) -> bool {
        self.next == Next::Over
    }

    /// The stream so far as the session sees it.
    #[doc(hidden)]
    pub fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Accepts samples in [-1, 1] and their rate, 8 to 192 kHz, which the next [`Engine::advance`](crate::Engine::advance) hears.
    ///
    /// # Errors
    /// As [`Session::accept_waveform`]; [`Error::Usage`] after [`Listener::finish`].
    pub fn accept_waveform(&mut self, rate_hz: u32, samples: &[f32]) -> Result<()> {
        if self.finished {
            let reason = "audio after finish; call reset first";
            return Err(Error::Usage { reason: reason.into() });
        }
        let heard = self.intake.accept(rate_hz, samples)?;
        FeatureState::check(heard, self.accepted)?;
        self.pending.drain(..self.taken);
        self.taken = 0;
        append(&mut self.pending, heard);
        self.accepted += heard.len() as u64;
        Ok(())
    }

    /// What a resampler holds belongs to what ends here.
    fn flush(&mut self) {
        let rest = self.intake.flush();
        append(&mut self.pending, rest);
        self.accepted += rest.len() as u64;
    }

    /// Ends the segment here, with endpoints or without: the padding of the model is heard, so that the last word comes out, and
    /// listening goes on as if a stream began, times apart. As when a device is lost or a caller has said all.
    pub fn cut(&mut self) {
        if !self.finished {
            self.flush();
        }
        self.mark(Mark::Cut);
    }

    /// Ends the segment here, in the middle of speech: what was heard is settled, without padding, and the network goes on with
    /// all that it remembers. What has not yet filled a block belongs to the next segment.
    pub fn settle(&mut self) {
        self.mark(Mark::Settle);
    }

    /// The stream is over: the next [`Engine::advance`](crate::Engine::advance) settles the last segment. [`Event::Final`] comes
    /// if it has words, or if there are no endpoints.
    pub fn finish(&mut self) {
        if !self.finished {
            self.flush();
        }
        self.mark(Mark::Finish);
        self.finished = true;
    }

    fn mark(&mut self, mark: Mark) {
        if !self.finished {
            self.marks.push_back((self.accepted, mark));
        }
    }

    /// The oldest event that was not yet taken.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes all events, oldest first.
    pub fn take_events(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.events.drain(..)
    }

    /// Back to the start of a new stream with the same options; memory is kept.
    pub fn reset(&mut self) {
        self.intake.reset();
        self.session.reset();
        self.session.skip(0);
        if let Some(gate) = &mut self.gate {
            gate.reset();
        }
        self.pending.clear();
        self.marks.clear();
        self.events.clear();
        (self.taken, self.accepted, self.heard) = (0, 0, 0);
        (self.segment, self.segment_start) = (0, 0);
        (self.next, self.finished) = (Next::Hear, false);
    }

    /// What is known of the segment.
    #[doc(hidden)]
    pub fn partial(&self) -> Partial {
        self.session.partial()
    }

    /// Bytes that this stream holds besides the shared model and the engine.
    pub fn num_bytes(&self) -> usize {
        self.session.num_bytes()
            + self.intake.num_bytes()
            + self.pending.capacity() * size_of::<f32>()
            + self.gate.as_ref().map_or(0, Gate::num_bytes)
            + self.events.capacity() * size_of::<Event>()
            + size_of::<Self>()
    }

    fn seconds(&self, samples: u64) -> f64 {
        samples as f64 / f64::from(self.session.sample_rate_hz())
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener")
            .field("next", &self.next)
            .field("accepted", &self.accepted)
            .field("heard", &self.heard)
            .field("segment", &self.segment)
            .finish_non_exhaustive()
    }
}
