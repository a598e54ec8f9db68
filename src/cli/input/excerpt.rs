//! A part of a file.

use vivavoce::audio::{AudioSource, BoxedSource};

/// Samples of `source` from an offset on, for a duration.
pub struct Excerpt {
    source: BoxedSource,
    /// Samples still to be left out.
    skip: u64,
    /// Samples still to be passed on.
    left: u64,
    duration_s: f64,
}

impl Excerpt {
    pub fn new(source: BoxedSource, offset_s: f64, duration_s: f64) -> Self {
        let samples = |seconds: f64| (seconds * f64::from(source.sample_rate_hz())).round() as u64;
        Self { skip: samples(offset_s), left: samples(duration_s), duration_s, source }
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
                self.left = 0;
            }
            let skipped = self.skip.min(out.len() as u64);
            out.drain(..skipped as usize);
            self.skip -= skipped;
            out.truncate(self.left.min(out.len() as u64) as usize);
            self.left -= out.len() as u64;
        }
        Ok(!out.is_empty())
    }

    fn warnings(&self) -> &[String] {
        self.source.warnings()
    }

    fn duration_s(&self) -> Option<f64> {
        Some(self.duration_s)
    }
}
