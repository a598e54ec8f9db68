//! All that yields samples.

mod file;
mod intake;
#[cfg(feature = "media")]
mod media;
#[cfg(feature = "mic")]
pub mod microphone;
#[cfg(feature = "media")]
mod opus;
mod pcm;
mod raw;
mod resample;
mod riff;
mod wav;
mod whole;

pub use file::{BoxedSource, from_bytes, from_stream, open};
#[doc(hidden)]
pub use file::{EXTENSIONS, MARK_BYTES, is_container};
pub(crate) use intake::Intake;
#[cfg(feature = "media")]
#[doc(hidden)]
pub use media::MediaSource;
#[cfg(feature = "media")]
#[doc(hidden)]
pub use opus::OpusSource;
pub use raw::{RawFormat, RawSource};
pub use resample::Resampler;
#[doc(hidden)]
pub use wav::WavSource;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::error::Result;

/// Rates that sources and the resampler accept.
#[doc(hidden)]
pub const SAMPLE_RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// What may happen to a live source.
#[derive(Debug, Clone, PartialEq)]
pub enum Incident {
    /// Audio was dropped because nobody took it in time.
    Lost {
        /// Its length.
        seconds: f32,
    },
    /// The device does not deliver; the source tries to open it again.
    Interrupted {
        /// What is wrong, for the user.
        reason: String,
    },
    /// Nothing is lost, but the user should know.
    Note {
        /// What is the matter.
        message: String,
    },
}

/// A stream of mono samples in [-1, 1].
pub trait AudioSource {
    /// Samples a second.
    fn sample_rate_hz(&self) -> u32;

    /// Replaces the contents of `out` by the next chunk, which may be empty. `false`, with an empty
    /// `out`, means that the source has ended; it stays so.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if reading fails and [`Error::Audio`](crate::Error::Audio)
    /// if what was read is not audio; the source cannot be used any more then.
    fn next_chunk(&mut self, out: &mut Vec<f32>) -> Result<bool>;

    /// What is wrong with the source without being an error, to be shown to the user. Complete
    /// once the source has ended.
    fn warnings(&self) -> &[String] {
        &[]
    }

    /// Its length in seconds, as far as its header tells.
    fn duration_s(&self) -> Option<f64> {
        None
    }

    /// What has happened to the source since the last call, oldest first.
    fn take_incidents(&mut self) -> Vec<Incident> {
        Vec::new()
    }

    /// When the last sample of the last chunk was captured; none: at the moment it was read.
    fn captured_at(&self) -> Option<Instant> {
        None
    }

    /// For a source without an end: a flag that, once set, lets it end after what it has captured.
    fn stop_flag(&self) -> Option<Arc<AtomicBool>> {
        None
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// As [`next_chunk`](Self::next_chunk).
    fn read_all(&mut self) -> Result<Vec<f32>> {
        let (mut all, mut chunk) = (Vec::new(), Vec::new());
        while self.next_chunk(&mut chunk)? {
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }
}

impl<T: AudioSource + ?Sized> AudioSource for Box<T> {
    fn sample_rate_hz(&self) -> u32 {
        (**self).sample_rate_hz()
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        (**self).next_chunk(out)
    }

    fn warnings(&self) -> &[String] {
        (**self).warnings()
    }

    fn duration_s(&self) -> Option<f64> {
        (**self).duration_s()
    }

    fn take_incidents(&mut self) -> Vec<Incident> {
        (**self).take_incidents()
    }

    fn captured_at(&self) -> Option<Instant> {
        (**self).captured_at()
    }

    fn stop_flag(&self) -> Option<Arc<AtomicBool>> {
        (**self).stop_flag()
    }
}

/// Appends the mean of every group of `channels` interleaved values. An incomplete group is
/// ignored.
pub(crate) fn down_mix_into(interleaved: &[f32], channels: usize, out: &mut Vec<f32>) {
    if channels == 1 {
        out.extend_from_slice(interleaved);
        return;
    }
    let scale = 1.0 / channels as f32;
    out.extend(interleaved.chunks_exact(channels).map(|f| f.iter().sum::<f32>() * scale));
}
