//! Engine threads. Each owns an [`Engine`] and the streams that were given to it; sockets only queue what they have heard.
//!
//! A stream has room for a few inputs. A place is taken when an input is queued and given back when its output was taken, so that
//! whoever sends fast or reads slowly waits for nobody but himself, and nothing grows. A round takes one input of every stream; those
//! that are ahead of their time (files, clients that send faster than anybody speaks) come in rounds of their own while others are live,
//! short ones, when no live one waits or a tenth of a second has passed: who waits for each answer before he sends again would else
//! wait for theirs too.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use vivavoce::transcript::{Event, Partial};
use vivavoce::{Engine, Listener, Recognizer, StreamOptions};

use super::fair::{Waiting, choose};
use super::metrics::Metrics;
use super::stream::Stream;
use super::sync::{AtomicU64, AtomicUsize, Ordering, Receiver, Sender, channel, thread};

/// A stream that has heard so much more than it has lasted is no live one.
const AHEAD_S: f64 = 1.0;
/// Time of a round for those, while others are live, and the most between two of them.
const AHEAD_SHARE_S: f64 = 0.02;
const AHEAD_EVERY: Duration = Duration::from_millis(100);
/// Compute time that a second of audio takes, before it is known.
const COST: f64 = 0.02;
/// How much a round changes what is believed of it.
const LEARN: f64 = 0.1;

/// What a stream is to do; each is answered by one [`Output`].
#[derive(Debug)]
pub enum Input {
    /// Samples at the stream's rate; at most [`Stream::step`] of them at a time keep others from waiting.
    Audio(Vec<f32>),
    /// End the segment and go on as if a stream began.
    Cut,
    /// Nothing more will come.
    Finish,
}

/// What came of an [`Input`].
#[derive(Debug)]
pub struct Output {
    /// What was said.
    pub events: Vec<Event>,
    /// What is known of the segment.
    pub partial: Partial,
    /// Whether a voice is heard.
    pub voice: bool,
    /// Seconds of audio accepted so far.
    pub time_s: f64,
    /// Whether the stream is over and all of it heard.
    pub over: bool,
}

/// An output, and the place that is given back once it was taken.
pub(super) type Parcel = (Output, OwnedSemaphorePermit);

/// An input in the queue.
pub(super) struct Job {
    pub input: Input,
    pub at: Instant,
    pub room: OwnedSemaphorePermit,
}

/// What an engine thread is told.
pub(super) enum Order {
    Open(Box<Slot>),
    Job(u64, Job),
    Close(u64),
}

/// A stream in an engine thread.
pub(super) struct Slot {
    id: u64,
    listener: Listener,
    rate_hz: u32,
    queue: VecDeque<Job>,
    opened: Instant,
    /// Audio that was heard.
    heard_s: f64,
    /// The input that is being heard.
    current: Option<(Instant, OwnedSemaphorePermit)>,
    failed: Option<vivavoce::Error>,
    outputs: UnboundedSender<Parcel>,
}

impl Slot {
    /// Has the stream accept the next input; whether there was one.
    fn feed(&mut self, metrics: &Metrics) -> bool {
        let Some(Job { input, at, room }) = self.queue.pop_front() else { return false };
        let seconds = self.seconds(&input);
        self.heard_s += seconds;
        metrics.audio_seconds.inc_by(seconds);
        self.current = Some((at, room));
        if let Err(error) = self.accept(&input) {
            self.failed = Some(error);
        }
        true
    }

    fn seconds(&self, input: &Input) -> f64 {
        match input {
            Input::Audio(samples) => samples.len() as f64 / f64::from(self.rate_hz),
            Input::Cut | Input::Finish => 0.0,
        }
    }

    /// Whether it is live, and what it waits for.
    fn waiting(&self) -> Waiting {
        let ahead_s = self.heard_s - self.opened.elapsed().as_secs_f64();
        let next_s = self.queue.front().map(|job| self.seconds(&job.input));
        Waiting { live: ahead_s < AHEAD_S, next_s }
    }

    fn accept(&mut self, input: &Input) -> vivavoce::Result<()> {
        match input {
            Input::Audio(samples) => self.listener.accept_waveform(self.rate_hz, samples)?,
            Input::Cut => self.listener.cut(),
            Input::Finish => self.listener.finish(),
        }
        Ok(())
    }

    /// Hands out what came of the input.
    fn reply(&mut self, metrics: &Metrics) {
        let Some((at, room)) = self.current.take() else { return };
        let mut events: Vec<Event> = self.listener.take_events().collect();
        events.extend(self.failed.take().map(|error| Event::Error(Arc::new(error))));
        metrics.lag.observe(at.elapsed().as_secs_f64());
        let output = Output {
            events,
            partial: self.listener.partial(),
            voice: self.listener.hears_voice(),
            time_s: self.listener.time_s(),
            over: self.listener.is_over(),
        };
        // Whoever has gone does not want it.
        let _ = self.outputs.send((output, room));
    }
}

struct Worker {
    orders: Sender<Order>,
    streams: Arc<AtomicUsize>,
    /// Dangles once the thread has ended.
    alive: Weak<()>,
}

/// The engine threads.
pub struct Pool {
    recognizer: Recognizer,
    workers: Vec<Worker>,
    next_id: AtomicU64,
}

impl Pool {
    /// Starts `threads` engines.
    ///
    /// # Errors
    /// What the system says if it has no more threads.
    pub fn start(
        recognizer: &Recognizer,
        threads: usize,
        metrics: &Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let workers = (0..threads.max(1)).map(|i| {
            let (orders, inbox) = channel();
            let engine = Engine::new(recognizer);
            let metrics = Arc::clone(metrics);
            let name = format!("engine-{i}");
            let running = Arc::new(());
            let alive = Arc::downgrade(&running);
            thread::Builder::new().name(name).spawn(move || {
                work(&inbox, engine, &metrics);
                drop(running);
            })?;
            let streams = Arc::new(AtomicUsize::new(0));
            Ok(Worker { orders, streams, alive })
        });
        Ok(Self {
            recognizer: recognizer.clone(),
            workers: workers.collect::<std::io::Result<_>>()?,
            next_id: AtomicU64::new(1),
        })
    }

    /// Whether all threads are alive.
    pub fn is_alive(&self) -> bool {
        self.workers.iter().all(|worker| worker.alive.strong_count() > 0)
    }

    /// A new stream of samples at `rate_hz`, on the thread that has the fewest.
    ///
    /// # Errors
    /// What the options or the rate have wrong.
    pub fn open(&self, rate_hz: u32, options: &StreamOptions) -> vivavoce::Result<Stream> {
        let mut listener = self.recognizer.listener(options)?;
        listener.accept_waveform(rate_hz, &[])?; // refuses a rate out of range
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (outputs, taken) = mpsc::unbounded_channel();
        let slot = Slot {
            id,
            listener,
            rate_hz,
            queue: VecDeque::new(),
            opened: Instant::now(),
            heard_s: 0.0,
            current: None,
            failed: None,
            outputs,
        };
        let worker = self.workers.iter().min_by_key(|w| w.streams.load(Ordering::Relaxed));
        let Some(worker) = worker else {
            return Err(vivavoce::Error::Usage { reason: "no engine".into() });
        };
        // A thread that has died drops the stream's end of the outputs, which the stream notices.
        let _ = worker.orders.send(Order::Open(Box::new(slot)));
        Ok(Stream::new(id, rate_hz, worker.orders.clone(), Arc::clone(&worker.streams), taken))
    }
}

/// Hears what is queued, one input of every stream that has one at a time, all as one batch.
fn work(inbox: &Receiver<Order>, mut engine: Engine, metrics: &Metrics) {
    let mut slots: Vec<Slot> = Vec::new();
    let (mut cost, mut round, mut ahead) = (COST, 0, Instant::now());
    loop {
        if slots.iter().all(|slot| slot.queue.is_empty()) {
            let Ok(order) = inbox.recv() else { return };
            obey(order, &mut slots);
        }
        while let Ok(order) = inbox.try_recv() {
            obey(order, &mut slots);
        }
        let start = Instant::now();
        let waiting: Vec<Waiting> = slots.iter().map(Slot::waiting).collect();
        let overdue = ahead.elapsed() >= AHEAD_EVERY;
        let chosen = choose(&waiting, round, AHEAD_SHARE_S / cost, overdue);
        if waiting.iter().zip(&chosen).any(|(one, chosen)| *chosen && !one.live) {
            ahead = Instant::now();
        }
        round += 1;
        let (mut busy, mut audio_s) = (Vec::new(), 0.0);
        for (slot, _) in slots.iter_mut().zip(&chosen).filter(|(_, chosen)| **chosen) {
            let before_s = slot.heard_s;
            if slot.feed(metrics) {
                audio_s += slot.heard_s - before_s;
                busy.push(&mut slot.listener);
            }
        }
        if busy.is_empty() {
            continue;
        }
        metrics.batch_streams.observe(busy.len() as f64);
        if let Err(error) = engine.advance(&mut busy) {
            tracing::error!(%error, "the engine refused its streams");
            return;
        }
        let took_s = start.elapsed().as_secs_f64();
        metrics.compute_seconds.inc_by(took_s);
        if audio_s > 0.0 {
            cost += LEARN * (took_s / audio_s - cost);
        }
        for slot in &mut slots {
            slot.reply(metrics);
        }
    }
}

fn obey(order: Order, slots: &mut Vec<Slot>) {
    match order {
        Order::Open(slot) => slots.push(*slot),
        Order::Job(id, job) => {
            if let Some(slot) = slots.iter_mut().find(|slot| slot.id == id) {
                slot.queue.push_back(job);
            }
        }
        Order::Close(id) => slots.retain(|slot| slot.id != id),
    }
}
