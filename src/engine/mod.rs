//! The [`Engine`]: everything that computing needs and a stream does not, and the loop over the blocks of many streams.
//!
//! A round asks every stream what it has, encodes the frames of all that have some as one batch, and then runs their blocks in step:
//! every search names the rows it wants stepped, the network computes them together, and each search takes its own back. A row's bits
//! do not depend on the rows beside it, so a stream says the same alone and among others.

mod hear;
mod stream;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::attention::Projected;
use crate::error::{Error, Result};
use crate::features::FeatureExtractor;
use crate::model::{EncoderBatch, StepScratch};
use crate::recognizer::Recognizer;
use crate::search::{SearchScratch, StepBatch};

pub use stream::{Poll, Stream};

/// Rows of the transducer computed at once: enough to make use of the weights, few enough to stay in the cache with them.
const ROWS_TOGETHER: usize = 64;
/// Streams encoded at once, for the same reason, and so that the buffers do not grow with the number of streams.
const STREAMS_TOGETHER: usize = 32;

/// Work of the stages since [`Engine::measure`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
#[doc(hidden)]
pub struct StageTimes {
    /// Samples to log-mel frames, voices and endpoints.
    pub features: Duration,
    /// Frames to keys and values.
    pub encoder: Duration,
    /// Steps of the network.
    pub transducer: Duration,
    /// All else.
    pub search: Duration,
    /// Steps of the network, many rows at a time.
    pub steps: u64,
    /// Rows of those steps.
    pub rows: u64,
}

/// Computes for any number of streams of one recognizer: the transform and the filters of the features, the buffers of the network,
/// the activations in 8 bits, the tables of look-ahead. One thread uses it at a time; whoever owns it drops it, and nothing is left
/// behind.
///
/// ```no_run
/// # fn main() -> vivavoce::Result<()> {
/// use vivavoce::{Engine, Recognizer, StreamOptions};
///
/// let recognizer = Recognizer::load("models/en-small")?;
/// let mut engine = Engine::new(&recognizer);
/// let mut calls = vec![];
/// for _ in 0..40 {
///     calls.push(recognizer.listener(&StreamOptions::default())?);
/// }
/// for call in &mut calls {
///     call.accept_waveform(16_000, &[0.0; 1600])?;
/// }
/// engine.advance(&mut calls)?;
/// for call in &mut calls {
///     while let Some(event) = call.next_event() {
///         println!("{event:?}");
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Engine {
    recognizer: Recognizer,
    features: FeatureExtractor,
    frames: EncoderBatch,
    projected: Projected,
    steps: StepBatch,
    step_scratch: StepScratch,
    search: SearchScratch,
    /// Streams that may still want the network, by their index in the slice.
    open: Vec<usize>,
    /// Streams at work.
    busy: Vec<usize>,
    clock: Option<fn() -> Duration>,
    times: StageTimes,
}

impl Engine {
    /// An engine for streams of `recognizer` and its clones. Its buffers grow with use: a few megabytes.
    pub fn new(recognizer: &Recognizer) -> Self {
        Self {
            features: FeatureExtractor::clone(&recognizer.features),
            recognizer: recognizer.clone(),
            frames: EncoderBatch::default(),
            projected: Projected::default(),
            steps: StepBatch::default(),
            step_scratch: StepScratch::default(),
            search: SearchScratch::default(),
            open: Vec::new(),
            busy: Vec::new(),
            clock: None,
            times: StageTimes::default(),
        }
    }

    /// Measures the stages from now on by `clock`, which tells the time since some moment.
    #[doc(hidden)]
    pub fn measure(&mut self, clock: fn() -> Duration) {
        self.clock = Some(clock);
    }

    /// Work of the stages so far.
    #[doc(hidden)]
    pub fn stage_times(&self) -> StageTimes {
        self.times
    }

    /// Hears all that the streams have accepted: runs every block that is ready in any of them, and settles those that have ended.
    /// What each has to say stands in it afterwards. In steady state nothing is allocated but what is said.
    ///
    /// # Errors
    /// [`Error::Usage`] if one is a stream of another recognizer; nothing is computed then.
    pub fn advance<S: Stream>(&mut self, streams: &mut [S]) -> Result<()> {
        self.admit(streams)?;
        self.open.extend(0..streams.len());
        while self.round(streams) {}
        Ok(())
    }

    /// As [`Engine::advance`], but no more than a few blocks of each stream, so that one with much to hear does not keep the others
    /// waiting; whether there is more to do.
    ///
    /// # Errors
    /// As [`Engine::advance`].
    pub fn advance_some<S: Stream>(&mut self, streams: &mut [S]) -> Result<bool> {
        self.admit(streams)?;
        self.open.extend(0..streams.len());
        Ok(self.round(streams))
    }

    fn admit<S: Stream>(&mut self, streams: &[S]) -> Result<()> {
        self.open.clear();
        let own = &self.recognizer.model;
        if streams.iter().all(|stream| Arc::ptr_eq(&stream.session().recognizer().model, own)) {
            return Ok(());
        }
        let reason = "a stream of another recognizer; every recognizer wants an engine of its own";
        Err(Error::Usage { reason: reason.into() })
    }

    /// Asks the open streams what they have and computes a batch of it; whether there was anything.
    fn round<S: Stream>(&mut self, streams: &mut [S]) -> bool {
        let start = self.now();
        let Self { open, features, .. } = self;
        open.retain(|i| streams[*i].poll(features));
        self.times.features += self.now().saturating_sub(start);
        if self.open.is_empty() {
            return false;
        }
        self.encode(streams);
        self.busy.clear();
        self.busy.extend_from_slice(&self.open);
        self.run_blocks(streams);
        true
    }

    fn now(&self) -> Duration {
        self.clock.map_or(Duration::ZERO, |clock| clock())
    }

    /// Encodes the next frames of open streams.
    fn encode<S: Stream>(&mut self, streams: &mut [S]) {
        let start = self.now();
        self.frames.clear();
        self.busy.clear();
        for i in &self.open {
            if streams[*i].session_mut().push_frames(&mut self.frames) {
                self.busy.push(*i);
            }
            if self.busy.len() == STREAMS_TOGETHER {
                break;
            }
        }
        if self.busy.is_empty() {
            return;
        }
        let model = &self.recognizer.model;
        model.run(&mut self.frames);
        model.attention().project_rows_into(self.frames.rows(), &mut self.projected);
        for (i, stream) in self.busy.iter().enumerate() {
            let session = streams[*stream].session_mut();
            session.pull_frames(&mut self.frames, &self.projected, i);
        }
        self.times.encoder += self.now().saturating_sub(start);
    }

    /// Runs blocks of the busy streams, all in step, until none has its frames.
    fn run_blocks<S: Stream>(&mut self, streams: &mut [S]) {
        loop {
            let start = self.now();
            let in_network = self.times.transducer;
            self.busy.retain(|i| streams[*i].session_mut().begin_block());
            if self.busy.is_empty() {
                return;
            }
            while self.step(streams) {}
            for i in &self.busy {
                streams[*i].session_mut().end_block();
            }
            let network = self.times.transducer.saturating_sub(in_network);
            self.times.search += self.now().saturating_sub(start).saturating_sub(network);
        }
    }

    /// One step of the network for all that searches wait for; whether there was anything.
    fn step<S: Stream>(&mut self, streams: &mut [S]) -> bool {
        let (mut begin, mut any) = (0, false);
        while begin < self.busy.len() {
            self.steps.clear();
            let mut end = begin;
            while end < self.busy.len() && self.steps.len() < ROWS_TOGETHER {
                streams[self.busy[end]].session().search().pending_into(&mut self.steps);
                end += 1;
            }
            if !self.steps.is_empty() {
                self.step_together(streams, begin..end);
                any = true;
            }
            begin = end;
        }
        any
    }

    /// Computes the rows in `steps`, which belong to a part of the busy streams, and hands out the results.
    fn step_together<S: Stream>(&mut self, streams: &mut [S], part: Range<usize>) {
        let busy = &self.busy[part];
        self.times.steps += 1;
        self.times.rows += self.steps.len() as u64;
        let before = self.clock.map(|clock| clock());
        let views = busy.iter().map(|i| streams[*i].session().view());
        let mut scorer = self.recognizer.model.scorer(views, &mut self.step_scratch);
        self.steps.run(&mut scorer);
        if let (Some(clock), Some(before)) = (self.clock, before) {
            self.times.transducer += clock().saturating_sub(before);
        }
        let mut results = self.steps.results();
        for i in busy {
            let search = streams[*i].session_mut().search_mut();
            let rows = results.take(search.num_pending());
            if !rows.next.is_empty() {
                search.absorb(rows, &mut self.search);
            }
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("times", &self.times).finish_non_exhaustive()
    }
}
