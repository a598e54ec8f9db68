//! Keeps what is heard.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context;
use vivavoce::audio::{AudioSource, BoxedSource, Incident};

type Writer = hound::WavWriter<BufWriter<File>>;

/// A source that writes what passes through it to a WAV file of 16 bits. The header is kept right while it grows.
pub struct Recorder {
    source: BoxedSource,
    path: PathBuf,
    /// None once writing has failed.
    writer: Option<Writer>,
    since_flush: usize,
    incidents: Vec<Incident>,
    failed: Arc<AtomicBool>,
}

impl Recorder {
    /// Records what comes from `source`; a file that is there is replaced.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: &Path, source: BoxedSource) -> anyhow::Result<Self> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: source.sample_rate_hz(),
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let writer = hound::WavWriter::create(path, spec)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let path = path.to_path_buf();
        Ok(Self {
            source,
            path,
            writer: Some(writer),
            since_flush: 0,
            incidents: Vec::new(),
            failed: Arc::default(),
        })
    }

    /// Will be set once something could not be written.
    pub fn failed(&self) -> Arc<AtomicBool> {
        self.failed.clone()
    }

    fn write(&mut self, samples: &[f32]) -> hound::Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        for sample in samples {
            let value = (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0);
            writer.write_sample(value as i16)?;
        }
        self.since_flush += samples.len();
        if self.since_flush >= self.source.sample_rate_hz() as usize {
            self.since_flush = 0;
            writer.flush()?;
        }
        Ok(())
    }
}

impl AudioSource for Recorder {
    fn sample_rate_hz(&self) -> u32 {
        self.source.sample_rate_hz()
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> vivavoce::Result<bool> {
        let more = self.source.next_chunk(out)?;
        let mut result = self.write(out);
        if !more && let Some(writer) = self.writer.take() {
            result = result.and(writer.finalize());
        }
        if let Err(error) = result {
            self.writer = None;
            self.failed.store(true, Ordering::Relaxed);
            let message =
                format!("cannot write {}: {error}; listening goes on", self.path.display());
            self.incidents.push(Incident::Note { message });
        }
        Ok(more)
    }

    fn warnings(&self) -> &[String] {
        self.source.warnings()
    }

    fn take_incidents(&mut self) -> Vec<Incident> {
        let mut all = self.source.take_incidents();
        all.append(&mut self.incidents);
        all
    }

    fn captured_at(&self) -> Option<Instant> {
        self.source.captured_at()
    }

    fn stop_flag(&self) -> Option<Arc<AtomicBool>> {
        self.source.stop_flag()
    }
}
