//! The only threads and channels: a reader takes chunks from an [`AudioSource`], a worker turns them into words, and events come
//! out at the end of a bounded channel.
//!
//! ```text
//! AudioSource --chunk--> [channel] --> resample, listen (features, model, search) --Event--> [channel] --> caller
//! ```
//! Both channels block their sender when full, so a slow caller slows the reading and nothing is lost; only a source that cannot
//! wait, such as a microphone, drops audio then, and says so. Chunks travel back on a third channel and are used again.

mod reader;
#[cfg(all(test, shuttle))]
mod schedules;
mod sync;
mod worker;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use self::sync::thread::{self, JoinHandle};
use self::sync::{AtomicBool, Ordering, Receiver, RecvTimeoutError, Sender, bounded};
use crate::audio::AudioSource;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::recognizer::{Recognizer, StreamOptions};
use crate::transcript::Event;

/// Pieces in flight between reader and worker: with [`PIECES_A_SECOND`] nine seconds.
const PIECES: usize = if cfg!(shuttle) { 2 } else { 90 };
/// Chunks are cut into pieces of this part of a second.
const PIECES_A_SECOND: u32 = 10;
/// Events in flight between worker and caller.
const EVENTS: usize = if cfg!(shuttle) { 2 } else { 256 };

/// How fast a source that has no clock of its own is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it can be transcribed.
    #[default]
    Unpaced,
    /// One second of audio a second.
    Realtime,
}

/// Choices of a pipeline beside those of its stream. Each is set by the method of its name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PipelineOptions {
    stream: StreamOptions,
    pace: Pace,
    status: bool,
}

impl PipelineOptions {
    /// The stream.
    #[must_use]
    pub fn stream(mut self, options: StreamOptions) -> Self {
        self.stream = options;
        self
    }

    /// Reading speed.
    #[must_use]
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Whether to send [`Event::Status`].
    #[must_use]
    pub fn status(mut self, status: bool) -> Self {
        self.status = status;
        self
    }
}

#[derive(Debug)]
enum Message {
    Piece { samples: Vec<f32>, captured: Instant },
    Lost { seconds: f32 },
    Interrupted(String),
    Warning(String),
    Failed(Error),
    Stop,
}

/// A source being read ahead, before there is a recogniser: up to nine seconds wait in the queue.
#[derive(Debug)]
pub struct Capture {
    rate_hz: u32,
    messages: Receiver<Message>,
    spares: Sender<Vec<f32>>,
    stopper: Stopper,
    reading: Reading,
}

/// Dangles once the reader has ended.
type Reading = Weak<()>;

fn no_thread(cause: &std::io::Error) -> Error {
    let reason = format!("no thread can be started: {cause}; end some, or raise what limits them");
    Error::Usage { reason }
}

/// Ends a pipeline from another thread; what was captured until then is still transcribed.
#[derive(Debug, Clone)]
pub struct Stopper {
    /// The source's own.
    flag: Option<Arc<std::sync::atomic::AtomicBool>>,
    stopped: Arc<AtomicBool>,
    messages: Sender<Message>,
}

impl Stopper {
    /// Ends the stream: at once for a source that can be told, else after what it has delivered. Never waits.
    pub fn stop(&self) {
        if self.stopped.swap(true, Ordering::Relaxed) {
            return;
        }
        match &self.flag {
            Some(flag) => flag.store(true, Ordering::Relaxed),
            // If there is no room the reader is not waiting for its source, and sees that it is to stop.
            None => _ = self.messages.try_send(Message::Stop),
        }
    }
}

impl Capture {
    /// Starts to read `source`.
    pub fn start(source: Box<dyn AudioSource + Send>, pace: Pace) -> Self {
        let rate_hz = source.sample_rate_hz();
        let (sender, messages) = bounded(PIECES);
        let (spares, returned) = bounded(PIECES + 1);
        let stopper =
            Stopper { flag: source.stop_flag(), stopped: Arc::default(), messages: sender.clone() };
        let stopped = Arc::clone(&stopper.stopped);
        let live = stopper.flag.is_some();
        // A panic drops it too.
        let alive = Arc::new(());
        let reading = Arc::downgrade(&alive);
        let reader = thread::Builder::new().spawn(move || {
            // A source that has a flag delivers what it has captured and then ends.
            let is_stopped = || !live && stopped.load(Ordering::Relaxed);
            reader::read(source, pace, &sender, &returned, &is_stopped);
            drop(alive);
        });
        if let Err(cause) = reader {
            // Nothing else waits in the queue, and [`Self::transcribe`] finds it there.
            let _ = stopper.messages.try_send(Message::Failed(no_thread(&cause)));
        }
        Self { rate_hz, messages, spares, stopper, reading }
    }

    /// Ends it from another thread.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Starts to transcribe what is and will be read; `options.pace` was settled before.
    ///
    /// # Errors
    /// [`crate::Error::Config`] if the options do not fit the model, or the source's rate is out of range; [`crate::Error::Usage`] if
    /// the system starts no thread.
    pub fn transcribe(
        self,
        recognizer: &Recognizer,
        options: &PipelineOptions,
    ) -> Result<Pipeline> {
        let mut listener = recognizer.listener(&options.stream)?;
        listener.accept_waveform(self.rate_hz, &[])?; // refuses a rate out of range
        let (event_sender, events) = bounded(EVENTS);
        let engine = Engine::new(recognizer);
        let gone = Arc::<AtomicBool>::default();
        let worker = worker::Worker::new(
            engine,
            listener,
            self.rate_hz,
            event_sender,
            Arc::clone(&gone),
            options.status,
        );
        let (messages, spares) = (self.messages, self.spares);
        let worker = thread::Builder::new().spawn(move || worker.run(&messages, &spares));
        let worker = worker.map_err(|cause| no_thread(&cause))?;
        let stopper = self.stopper;
        let (events, worker) = (Some(events), Some(worker));
        Ok(Pipeline { events, gone, stopper, worker, reading: self.reading })
    }
}

/// Why there is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Waited {
    /// Not yet.
    #[error("no event yet")]
    TimedOut,
    /// The stream is over.
    #[error("the stream is over")]
    Ended,
}

/// A stream being transcribed. Dropping it stops the threads; a reader that is waiting for its source ends when that delivers.
#[derive(Debug)]
pub struct Pipeline {
    events: Option<Receiver<Event>>,
    /// Whether nobody listens any more.
    gone: Arc<AtomicBool>,
    stopper: Stopper,
    worker: Option<JoinHandle<()>>,
    reading: Reading,
}

impl Pipeline {
    /// Starts to transcribe `source`.
    ///
    /// # Errors
    /// As [`Capture::transcribe`].
    pub fn start(
        recognizer: &Recognizer,
        source: Box<dyn AudioSource + Send>,
        options: &PipelineOptions,
    ) -> Result<Self> {
        // Refuse before anything is read.
        let mut listener = recognizer.listener(&options.stream)?;
        listener.accept_waveform(source.sample_rate_hz(), &[])?;
        Capture::start(source, options.pace).transcribe(recognizer, options)
    }

    /// The events, in order; ends after [`Event::Final`] of the last segment or a fatal [`Event::Error`].
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.events.iter().flat_map(Receiver::iter)
    }

    /// The next event, if it comes within `timeout`.
    ///
    /// # Errors
    /// [`Waited::TimedOut`] if it does not, [`Waited::Ended`] if none will come.
    pub fn recv_timeout(&self, timeout: Duration) -> std::result::Result<Event, Waited> {
        let events = self.events.as_ref().ok_or(Waited::Ended)?;
        events.recv_timeout(timeout).map_err(|error| match error {
            RecvTimeoutError::Timeout => Waited::TimedOut,
            RecvTimeoutError::Disconnected => Waited::Ended,
        })
    }

    /// The next event, if there is one already.
    ///
    /// # Errors
    /// As [`Pipeline::recv_timeout`].
    pub fn try_recv(&self) -> std::result::Result<Event, Waited> {
        self.recv_timeout(Duration::ZERO)
    }

    /// Ends it from another thread.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Whether the source is no longer read.
    #[doc(hidden)]
    pub fn is_read(&self) -> bool {
        self.reading.strong_count() == 0
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Without a receiver the worker's next send fails; if it has nothing to send it sees the flag at its next message. Without the
        // worker the reader's next send fails.
        self.events = None;
        self.gone.store(true, Ordering::Relaxed);
        self.stopper.stop();
        // If the queue is full the worker is not waiting for it.
        let _ = self.stopper.messages.try_send(Message::Stop);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}
