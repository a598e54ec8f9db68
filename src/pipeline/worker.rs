//! The thread that transcribes.

use std::sync::Arc;
use std::time::Instant;

use super::Message;
use super::sync::{AtomicBool, Ordering, Receiver, Sender, TrySendError};
use crate::engine::Engine;
use crate::error::Error;
use crate::listener::Listener;
use crate::transcript::Event;

pub(super) struct Worker {
    engine: Engine,
    listener: Listener,
    rate_hz: u32,
    events: Sender<Event>,
    /// Whether the caller no longer listens.
    gone: Arc<AtomicBool>,
    status: bool,
}

/// Why the worker ends early.
enum End {
    /// The caller no longer listens.
    Gone,
    /// The stream cannot go on.
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

type Result<T> = std::result::Result<T, End>;

impl Worker {
    pub fn new(
        engine: Engine,
        listener: Listener,
        rate_hz: u32,
        events: Sender<Event>,
        gone: Arc<AtomicBool>,
        status: bool,
    ) -> Self {
        Self { engine, listener, rate_hz, events, gone, status }
    }

    pub fn run(mut self, messages: &Receiver<Message>, spares: &Sender<Vec<f32>>) {
        if let Err(End::Failed(error)) = self.transcribe(messages, spares) {
            let _ = self.fail(error);
        }
    }

    fn transcribe(
        &mut self,
        messages: &Receiver<Message>,
        spares: &Sender<Vec<f32>>,
    ) -> Result<()> {
        for message in messages {
            if self.gone.load(Ordering::Relaxed) {
                return Err(End::Gone);
            }
            match message {
                Message::Piece { samples, captured } => {
                    self.listener.accept_waveform(self.rate_hz, &samples)?;
                    self.advance()?;
                    if self.status {
                        self.tell_status(&samples, captured)?;
                    }
                    let _ = spares.try_send(samples);
                }
                Message::Lost { seconds } => self.send(Event::Overrun { lost_s: seconds })?,
                Message::Interrupted(message) => {
                    self.listener.cut();
                    self.advance()?;
                    self.send(Event::Warning { message })?;
                }
                Message::Warning(message) => self.send(Event::Warning { message })?,
                Message::Failed(error) => return Err(End::Failed(error)),
                Message::Stop => break,
            }
        }
        self.listener.finish();
        self.advance()
    }

    /// Computes what was accepted and passes on what has happened.
    fn advance(&mut self) -> Result<()> {
        self.engine.advance(&mut [&mut self.listener])?;
        while let Some(event) = self.listener.next_event() {
            self.send(event)?;
        }
        Ok(())
    }

    fn tell_status(&self, samples: &[f32], captured: Instant) -> Result<()> {
        let status = Event::Status {
            time: self.listener.time_s(),
            lag_ms: captured.elapsed().as_secs_f32() * 1000.0,
            peak: samples.iter().fold(0.0, |peak, sample| sample.abs().max(peak)),
            voice: self.listener.hears_voice(),
        };
        // A status is not worth waiting for.
        match self.events.try_send(status) {
            Err(TrySendError::Disconnected(_)) => Err(End::Gone),
            _ => Ok(()),
        }
    }

    /// Ends the stream; what was understood before is still told.
    fn fail(&mut self, error: Error) -> Result<()> {
        self.listener.finish();
        // The failure that is told is the first.
        let _ = self.engine.advance(&mut [&mut self.listener]);
        while let Some(event) = self.listener.next_event() {
            match event {
                Event::Final(result) if result.text.is_empty() => {}
                Event::Error(_) => {}
                event => self.send(event)?,
            }
        }
        self.send(Event::Error(Arc::new(error)))
    }

    fn send(&self, event: Event) -> Result<()> {
        self.events.send(event).map_err(|_| End::Gone)
    }
}
