//! The thread that transcribes.

use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use super::Message;
use crate::audio::Resampler;
use crate::error::Error;
use crate::listener::Listener;
use crate::transcript::Event;

pub(super) struct Worker {
    listener: Listener,
    resampler: Resampler,
    resampled: Vec<f32>,
    happened: Vec<Event>,
    events: Sender<Event>,
    partials: bool,
    status: bool,
}

/// Why the worker ends early.
enum End {
    /// The caller no longer listens.
    Gone,
    /// The stream cannot go on.
    Failed(String),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

type Result<T> = std::result::Result<T, End>;

impl Worker {
    pub fn new(
        listener: Listener,
        resampler: Resampler,
        events: Sender<Event>,
        partials: bool,
        status: bool,
    ) -> Self {
        let (resampled, happened) = (Vec::new(), Vec::new());
        Self { listener, resampler, resampled, happened, events, partials, status }
    }

    pub fn run(mut self, messages: &Receiver<Message>, spares: &Sender<Vec<f32>>) {
        if let Err(End::Failed(message)) = self.transcribe(messages, spares) {
            let _ = self.fail(message);
        }
    }

    fn transcribe(
        &mut self,
        messages: &Receiver<Message>,
        spares: &Sender<Vec<f32>>,
    ) -> Result<()> {
        for message in messages {
            match message {
                Message::Piece { samples, captured } => {
                    self.resampled.clear();
                    self.resampler.process_into(&samples, &mut self.resampled)?;
                    self.hear()?;
                    if self.status {
                        self.tell_status(&samples, captured)?;
                    }
                    let _ = spares.try_send(samples);
                }
                Message::Lost { seconds } => self.send(Event::Overrun { lost_s: seconds })?,
                Message::Interrupted(message) => {
                    self.hear_rest()?;
                    let result = self.listener.cut(&mut self.happened);
                    self.tell()?;
                    result?;
                    self.send(Event::Error { message, fatal: false })?;
                }
                Message::Warning(message) => self.send(Event::Error { message, fatal: false })?,
                Message::Failed(message) => return Err(End::Failed(message)),
                Message::Stop => break,
            }
        }
        self.hear_rest()?;
        let result = self.listener.finish(&mut self.happened);
        self.tell()?;
        Ok(result?)
    }

    /// What is still inside the resampler.
    fn hear_rest(&mut self) -> Result<()> {
        self.resampled.clear();
        self.resampler.finish_into(&mut self.resampled)?;
        self.hear()
    }

    fn hear(&mut self) -> Result<()> {
        let result = self.listener.accept_waveform(&self.resampled, &mut self.happened);
        self.tell()?;
        Ok(result?)
    }

    /// Passes on what has happened.
    fn tell(&mut self) -> Result<()> {
        for event in self.happened.drain(..) {
            if self.partials || !matches!(event, Event::Partial(_)) {
                self.events.send(event).map_err(|_| End::Gone)?;
            }
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
            Err(crossbeam_channel::TrySendError::Disconnected(_)) => Err(End::Gone),
            _ => Ok(()),
        }
    }

    /// Ends the stream; what was understood before is still told.
    fn fail(&mut self, message: String) -> Result<()> {
        // The failure that is told is the first.
        let _ = self.listener.finish(&mut self.happened);
        self.happened.retain(|e| !matches!(e, Event::Final(result) if result.text.is_empty()));
        self.tell()?;
        self.send(Event::Error { message, fatal: true })
    }

    fn send(&self, event: Event) -> Result<()> {
        self.events.send(event).map_err(|_| End::Gone)
    }
}
