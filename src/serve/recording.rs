//! A file that was sent whole: decoded in a thread of its own, heard beside the live streams, no faster than it is heard.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};
use vivavoce::audio::{self, BoxedSource};

use super::Server;
use super::ask::Ask;
use super::failure::Failure;
use super::limits::SlotGuard;
use super::scheduler::{Input, Output};
use super::stream::{Feeder, Stream};

/// A file that is being heard.
pub struct Recording {
    stream: Stream,
    feeding: Option<JoinHandle<Result<f64, Failure>>>,
    seconds: f64,
    _slot: SlotGuard,
}

impl Recording {
    /// Begins to hear a file of any kind that the library reads.
    ///
    /// # Errors
    /// If there is no room, the file is not audio, or `ask` cannot be obeyed.
    pub async fn open(
        server: &Server,
        protocol: &'static str,
        bytes: Vec<u8>,
        ask: &Ask,
    ) -> Result<Self, Failure> {
        let slot = server.slots.take(protocol).ok_or_else(Failure::full)?;
        let ask = Ask { recording: true, ..ask.clone() };
        let options = server.options(&ask).await.map_err(Failure::bad)?;
        let opened = spawn_blocking(|| audio::from_bytes("the file", bytes)).await;
        let source = opened.map_err(|_| undecodable())?;
        let source = source.map_err(|error| unreadable(&error.to_string()))?;
        let most = server.settings.limits.seconds;
        if source.duration_s().is_some_and(|seconds| seconds > most) {
            return Err(too_long(most));
        }
        let opened = server.pool.open(source.sample_rate_hz(), &options);
        let stream = opened.map_err(|error| Failure::bad(error.to_string()))?;
        let (feeder, step) = (stream.feeder(), stream.step());
        let runtime = Handle::current();
        let feeding = Some(spawn_blocking(move || {
            // A decoder that fails badly ends its file, and nothing else.
            let heard =
                catch_unwind(AssertUnwindSafe(|| feed(source, &feeder, step, most, &runtime)));
            let heard = heard.unwrap_or_else(|_| Err(undecodable()));
            // Also after a failure: the end is what the other side waits for.
            let _ = runtime.block_on(feeder.send(Input::Finish));
            heard
        }));
        Ok(Self { stream, feeding, seconds: 0.0, _slot: slot })
    }

    /// What was heard next; none: all was heard.
    ///
    /// # Errors
    /// If the file turns out to be no audio, or too long.
    pub async fn next(&mut self) -> Result<Option<Output>, Failure> {
        if self.feeding.is_none() {
            return Ok(None);
        }
        let output =
            self.stream.next().await.map_err(|_| Failure::fault("the recogniser failed"))?;
        if let (true, Some(feeding)) = (output.over, self.feeding.take_if(|_| output.over)) {
            let heard = feeding.await.map_err(|_| undecodable())?;
            self.seconds = heard?;
        }
        Ok(Some(output))
    }

    /// Length of the file, once all was heard.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }
}

fn undecodable() -> Failure {
    Failure::bad("the file cannot be decoded").param("file")
}

fn too_long(most: f64) -> Failure {
    Failure::bad(format!("more than {most} seconds of audio")).param("file")
}

fn unreadable(reason: &str) -> Failure {
    let kinds = "['flac', 'mp3', 'mp4', 'mpeg', 'mpga', 'm4a', 'ogg', 'wav', 'webm']";
    let message = format!("Invalid file format. Supported formats: {kinds} ({reason})");
    Failure::bad(message).param("file")
}

/// Sends a source to its end; gives its length in seconds.
fn feed(
    mut source: BoxedSource,
    feeder: &Feeder,
    step: usize,
    most: f64,
    runtime: &Handle,
) -> Result<f64, Failure> {
    let (rate_hz, mut chunk, mut samples) = (f64::from(source.sample_rate_hz()), Vec::new(), 0_u64);
    while source.next_chunk(&mut chunk).map_err(|error| unreadable(&error.to_string()))? {
        samples += chunk.len() as u64;
        if samples as f64 / rate_hz > most {
            return Err(too_long(most));
        }
        for piece in chunk.chunks(step) {
            let sent = runtime.block_on(feeder.send(Input::Audio(piece.to_vec())));
            sent.map_err(|_| Failure::fault("the client has gone"))?;
        }
    }
    for warning in source.warnings() {
        tracing::debug!(warning, "a file was read with a warning");
    }
    Ok(samples as f64 / rate_hz)
}
