//! A part of a file.

use std::path::{Path, PathBuf};

use vivavoce::Error;
use vivavoce::audio::{AudioSource, BoxedSource};

/// By how much a list may round a duration.
const TOLERANCE_S: f64 = 0.1;

/// Samples of `source` from an offset on, for a duration.
pub struct Excerpt {
    source: BoxedSource,
    path: PathBuf,
    offset_s: f64,
    /// Samples still to be left out.
    skip: u64,
    /// Samples still to be passed on.
    left: u64,
    duration_s: f64,
    passed: u64,
    warnings: Vec<String>,
}

impl Excerpt {
    pub fn new(path: &Path, source: BoxedSource, offset_s: f64, duration_s: f64) -> Self {
        let samples = |seconds: f64| (seconds * f64::from(source.sample_rate_hz())).round() as u64;
        Self {
            path: path.to_path_buf(),
            offset_s,
            skip: samples(offset_s),
            left: samples(duration_s),
            duration_s,
            source,
            passed: 0,
            warnings: Vec::new(),
        }
    }

    /// The file is over before the excerpt is.
    fn end(&mut self) -> vivavoce::Result<()> {
        let rate_hz = f64::from(self.sample_rate_hz());
        let missing_s = self.left as f64 / rate_hz;
        self.left = 0;
        let (from, to) = (self.offset_s, self.offset_s + self.duration_s);
        self.warnings = self.source.warnings().to_vec();
        if self.passed == 0 {
            let end = self.offset_s - self.skip as f64 / rate_hz;
            let reason =
                format!("the excerpt from {from} s on begins behind the end at {end:.2} s");
            return Err(Error::audio(&self.path, reason));
        }
        // A list that names no duration means all that is there.
        if missing_s > TOLERANCE_S && self.duration_s < f64::MAX {
            let end = to - missing_s;
            let name = self.path.display();
            self.warnings.push(format!(
                "{name}: the excerpt from {from} s to {to} s goes on behind the end at {end:.2} s"
            ));
        }
        Ok(())
    }
}

impl AudioSource for Excerpt {
    fn sample_rate_hz(&self) -> u32 {
        self.source.sample_rate_hz()
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> vivavoce::Result<bool> {
        out.clear();
        while self.left > 0 && out.is_empty() {
            if !self.source.next_chunk(out)? {
                self.end()?;
            }
            let skipped = self.skip.min(out.len() as u64);
            out.drain(..skipped as usize);
            self.skip -= skipped;
            out.truncate(self.left.min(out.len() as u64) as usize);
            self.left -= out.len() as u64;
        }
        self.passed += out.len() as u64;
        Ok(!out.is_empty())
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn duration_s(&self) -> Option<f64> {
        Some(self.duration_s)
    }
}
