//! Microphones (feature `mic`), by cpal.
//!
//! The device runs at its own rate, format and number of channels. Its callback copies bytes into a spare buffer and hands them
//! over without waiting; conversion, down-mixing and all decisions are the reader's. A device that fails is opened again.

mod capture;
mod convert;
mod devices;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use devices::{DeviceInfo, devices};

use self::capture::{Capture, Next};
use super::{AudioSource, Incident, Resampler};
use crate::error::Result;

/// How long to wait for audio before looking at the stop flag.
const WAIT: Duration = Duration::from_millis(100);
/// A device that delivers nothing for so long has failed.
const SILENT: Duration = Duration::from_secs(2);
/// The wait before a device is opened again doubles between these.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));

/// A microphone. It records from the moment it is opened.
pub struct MicrophoneSource {
    device: Option<String>,
    name: String,
    rate_hz: u32,
    capture: Option<Capture>,
    /// Where the device came back with another rate.
    resampler: Option<Resampler>,
    native: Vec<f32>,
    incidents: Vec<Incident>,
    captured_at: Option<Instant>,
    last_audio: Instant,
    back_off: Duration,
    retry_at: Instant,
    stop: Arc<AtomicBool>,
}

impl std::fmt::Debug for MicrophoneSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MicrophoneSource")
            .field("name", &self.name)
            .field("rate_hz", &self.rate_hz)
            .finish_non_exhaustive()
    }
}

impl MicrophoneSource {
    /// Opens the device called `device` or with that number in [`devices`]; none: the default one.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if there is none, it cannot be opened, or its format is unknown.
    pub fn open(device: Option<&str>) -> Result<Self> {
        let capture = Capture::open(device)?;
        let now = Instant::now();
        Ok(Self {
            device: device.map(str::to_owned),
            name: capture.name().to_owned(),
            rate_hz: capture.rate_hz(),
            capture: Some(capture),
            resampler: None,
            native: Vec::new(),
            incidents: Vec::new(),
            captured_at: None,
            last_audio: now,
            back_off: BACK_OFF.0,
            retry_at: now,
            stop: Arc::default(),
        })
    }

    /// The device in use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the device up, says so, and plans the next attempt.
    fn interrupted(&mut self, reason: &str) {
        self.capture = None;
        self.back_off = BACK_OFF.0;
        self.retry_at = Instant::now() + self.back_off;
        let reason = format!("{}: {reason}; trying to open it again", self.name);
        self.incidents.push(Incident::Interrupted { reason });
    }

    /// Tries to open the device once its time has come.
    fn reopen(&mut self) {
        if Instant::now() < self.retry_at {
            std::thread::sleep(WAIT.min(self.retry_at.saturating_duration_since(Instant::now())));
            return;
        }
        let opened = Capture::open(self.device.as_deref()).and_then(|capture| {
            let (from, to) = (capture.rate_hz(), self.rate_hz);
            let resampler = if from == to { None } else { Some(Resampler::new(from, to)?) };
            Ok((capture, resampler))
        });
        if let Ok((capture, resampler)) = opened {
            capture.name().clone_into(&mut self.name);
            self.capture = Some(capture);
            self.resampler = resampler;
            self.last_audio = Instant::now();
        } else {
            self.back_off = (self.back_off * 2).min(BACK_OFF.1);
            self.retry_at = Instant::now() + self.back_off;
        }
    }

    /// Takes what the device has next.
    fn hear(&mut self, wait: Duration, out: &mut Vec<f32>) -> Result<Heard> {
        let Some(capture) = &mut self.capture else { return Ok(Heard::Nothing) };
        let target = if self.resampler.is_some() { &mut self.native } else { &mut *out };
        target.clear();
        match capture.next_into(wait, target) {
            Next::Audio { captured, lost } => {
                if let Some(resampler) = &mut self.resampler {
                    resampler.process_into(&self.native, out)?;
                }
                self.captured_at = Some(captured);
                self.last_audio = Instant::now();
                if lost > 0 {
                    let seconds = lost as f32 / capture.rate_hz() as f32;
                    self.incidents.push(Incident::Lost { seconds });
                }
                Ok(Heard::Audio)
            }
            Next::Note(message) => {
                let message = format!("{}: {message}", self.name);
                self.incidents.push(Incident::Note { message });
                Ok(Heard::Audio)
            }
            Next::Failed(reason) => Ok(Heard::Failed(reason)),
            Next::Nothing if self.last_audio.elapsed() > SILENT => {
                Ok(Heard::Failed("no audio for 2 s".into()))
            }
            Next::Nothing => Ok(Heard::Nothing),
        }
    }
}

enum Heard {
    /// Something to pass on.
    Audio,
    Nothing,
    Failed(String),
}

impl AudioSource for MicrophoneSource {
    fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        out.clear();
        loop {
            let stopped = self.stop.load(Ordering::Relaxed);
            if stopped && let Some(capture) = &mut self.capture {
                // What was captured before is still in the queue.
                capture.pause();
            }
            if self.capture.is_none() {
                if stopped {
                    return Ok(false);
                }
                self.reopen();
                continue;
            }
            match self.hear(if stopped { Duration::ZERO } else { WAIT }, out)? {
                Heard::Audio => return Ok(true),
                Heard::Failed(_) | Heard::Nothing if stopped => {
                    out.clear();
                    return Ok(!self.incidents.is_empty());
                }
                Heard::Nothing => {}
                Heard::Failed(reason) => {
                    self.interrupted(&reason);
                    out.clear();
                    return Ok(true);
                }
            }
        }
    }

    fn take_incidents(&mut self) -> Vec<Incident> {
        std::mem::take(&mut self.incidents)
    }

    fn captured_at(&self) -> Option<Instant> {
        self.captured_at
    }

    fn stop_flag(&self) -> Option<Arc<AtomicBool>> {
        Some(Arc::clone(&self.stop))
    }
}
