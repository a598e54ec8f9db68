//! The only threads and channels: a reader takes chunks from an [`AudioSource`], a worker turns them into words, and events come
//! out at the end of a bounded channel.
//!
//! ```text
//! AudioSource --chunk--> [channel] --> resample, features, model, search --Event--> [channel] --> caller
//! ```
//! Both channels block their sender when full, so a slow caller slows the reading and nothing is lost. Chunks travel back on a
//! third channel and are used again.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::audio::{AudioSource, Resampler};
use crate::error::Result;
use crate::recognizer::{Recognizer, Session, SessionOptions};
use crate::transcript::Event;

/// Chunks in flight between reader and worker.
const CHUNKS: usize = 32;
/// Events in flight between worker and caller.
const EVENTS: usize = 256;

/// How fast a source that has no clock of its own is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it can be transcribed.
    #[default]
    Unpaced,
    /// One second of audio a second.
    Realtime,
}

/// Choices of a pipeline.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PipelineOptions {
    /// The stream.
    pub session: SessionOptions,
    /// Reading speed.
    pub pace: Pace,
    /// Whether to send [`Event::Partial`] whenever the words change.
    pub partials: bool,
    /// Readings in [`crate::transcript::Final::alternatives`]; 0 for none.
    pub alternatives: usize,
}

enum Message {
    Chunk(Vec<f32>),
    Failed(String),
    Warning(String),
}

/// A stream being transcribed. Dropping it stops the threads.
#[derive(Debug)]
pub struct Pipeline {
    events: Option<Receiver<Event>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pipeline {
    /// Starts to transcribe `source`.
    ///
    /// # Errors
    /// [`crate::Error::Config`] if the options do not fit the model, or the source's rate is out of range.
    pub fn start(
        recognizer: &Recognizer,
        source: Box<dyn AudioSource + Send>,
        options: &PipelineOptions,
    ) -> Result<Self> {
        let session = recognizer.session(&options.session)?;
        let resampler = Resampler::new(source.sample_rate_hz(), session.sample_rate_hz())?;
        let (chunk_sender, chunks) = bounded(CHUNKS);
        let (spare_sender, spares) = bounded(CHUNKS + 1);
        let (event_sender, events) = bounded(EVENTS);
        let pace = options.pace;
        let worker = Worker {
            session,
            resampler,
            resampled: Vec::new(),
            events: event_sender,
            partials: options.partials,
            alternatives: options.alternatives,
        };
        let threads = vec![
            std::thread::spawn(move || read(source, pace, &chunk_sender, &spares)),
            std::thread::spawn(move || worker.run(&chunks, &spare_sender)),
        ];
        Ok(Self { events: Some(events), threads })
    }

    /// The events, in order; ends after [`Event::Final`] of the last segment or a fatal [`Event::Error`].
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.events.iter().flat_map(Receiver::iter)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Without a receiver the worker's next send fails, then the reader's.
        self.events = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn read(
    mut source: Box<dyn AudioSource + Send>,
    pace: Pace,
    chunks: &Sender<Message>,
    spares: &Receiver<Vec<f32>>,
) {
    let rate = f64::from(source.sample_rate_hz());
    let start = Instant::now();
    let mut samples = 0_u64;
    loop {
        let mut chunk = spares.try_recv().unwrap_or_default();
        match source.next_chunk(&mut chunk) {
            Ok(true) => {
                samples += chunk.len() as u64;
                if pace == Pace::Realtime {
                    let due = start + Duration::from_secs_f64(samples as f64 / rate);
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
                if chunks.send(Message::Chunk(chunk)).is_err() {
                    return;
                }
            }
            Ok(false) => break,
            Err(error) => {
                let _ = chunks.send(Message::Failed(error.to_string()));
                return;
            }
        }
    }
    for warning in source.warnings() {
        let _ = chunks.send(Message::Warning(warning.clone()));
    }
}

struct Worker {
    session: Session,
    resampler: Resampler,
    resampled: Vec<f32>,
    events: Sender<Event>,
    partials: bool,
    alternatives: usize,
}

/// The caller no longer listens.
struct Gone;

impl Worker {
    fn run(mut self, chunks: &Receiver<Message>, spares: &Sender<Vec<f32>>) {
        let _ = self.transcribe(chunks, spares);
    }

    fn transcribe(
        &mut self,
        chunks: &Receiver<Message>,
        spares: &Sender<Vec<f32>>,
    ) -> std::result::Result<(), Gone> {
        for message in chunks {
            match message {
                Message::Chunk(chunk) => {
                    self.resampled.clear();
                    if let Err(error) = self.resampler.process_into(&chunk, &mut self.resampled) {
                        return self.fail(error.to_string());
                    }
                    self.hear()?;
                    let _ = spares.try_send(chunk);
                }
                Message::Warning(message) => self.send(Event::Error { message, fatal: false })?,
                Message::Failed(message) => return self.fail(message),
            }
        }
        self.resampled.clear();
        if let Err(error) = self.resampler.finish_into(&mut self.resampled) {
            return self.fail(error.to_string());
        }
        self.hear()?;
        match self.session.finish() {
            Ok(changed) => self.tell(changed)?,
            Err(error) => return self.fail(error.to_string()),
        }
        self.send(Event::Final(self.session.result(self.alternatives)))
    }

    fn hear(&mut self) -> std::result::Result<(), Gone> {
        match self.session.accept_waveform(&self.resampled) {
            Ok(changed) => self.tell(changed),
            Err(error) => self.fail(error.to_string()).and(Err(Gone)),
        }
    }

    fn tell(&mut self, changed: bool) -> std::result::Result<(), Gone> {
        if changed && self.partials {
            return self.send(Event::Partial(self.session.partial()));
        }
        Ok(())
    }

    /// Ends the stream; what was understood before is still told.
    fn fail(&mut self, message: String) -> std::result::Result<(), Gone> {
        let _ = self.session.finish();
        let result = self.session.result(self.alternatives);
        if !result.text.is_empty() {
            self.send(Event::Final(result))?;
        }
        self.send(Event::Error { message, fatal: true })
    }

    fn send(&self, event: Event) -> std::result::Result<(), Gone> {
        self.events.send(event).map_err(|_| Gone)
    }
}
