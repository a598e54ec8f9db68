//! Audio that must not be empty.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use vivavoce::Error;
use vivavoce::audio::{AudioSource, BoxedSource, Incident};

/// Passes a source on and fails at its end if there was nothing in it.
pub struct Heard {
    source: BoxedSource,
    path: PathBuf,
    anything: bool,
}

impl Heard {
    pub fn new(path: &Path, source: BoxedSource) -> Self {
        Self { source, path: path.to_path_buf(), anything: false }
    }
}

impl AudioSource for Heard {
    fn sample_rate_hz(&self) -> u32 {
        self.source.sample_rate_hz()
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> vivavoce::Result<bool> {
        let more = self.source.next_chunk(out)?;
        self.anything |= !out.is_empty();
        if !more && !self.anything {
            let mut reason = "there is no audio in it".to_owned();
            for warning in self.source.warnings() {
                reason += "; ";
                reason += warning;
            }
            return Err(Error::audio(&self.path, reason));
        }
        Ok(more)
    }

    fn warnings(&self) -> &[String] {
        self.source.warnings()
    }

    fn duration_s(&self) -> Option<f64> {
        self.source.duration_s()
    }

    fn take_incidents(&mut self) -> Vec<Incident> {
        self.source.take_incidents()
    }

    fn captured_at(&self) -> Option<Instant> {
        self.source.captured_at()
    }

    fn stop_flag(&self) -> Option<Arc<AtomicBool>> {
        self.source.stop_flag()
    }
}
