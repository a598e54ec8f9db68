//! Whether somebody speaks: earshot's score every 16 ms, with hysteresis.

use std::collections::VecDeque;

use earshot::Detector;

use crate::audio::Resampler;
use crate::error::{Error, Result};

/// The detector's rate.
const RATE_HZ: u32 = 16_000;
/// Samples of one score.
const FRAME_SAMPLES: usize = 256;
/// Scores whose mean opens and closes.
const SMOOTHED: usize = 5;
/// The mean score that closes, as a share of the one that opens.
const CLOSING_SHARE: f32 = 0.8;
/// Length of a frame.
pub const FRAME_S: f64 = FRAME_SAMPLES as f64 / RATE_HZ as f64;

/// A voice-activity detector for one stream. It opens when the mean score of 80 ms reaches the threshold and closes when it falls
/// below 80 % of it; the
/// scores of silence stay below 65 % of the usual threshold.
pub struct VoiceDetector {
    detector: Box<Detector>,
    /// None at the detector's own rate.
    resampler: Option<Resampler>,
    pending: VecDeque<f32>,
    resampled: Vec<f32>,
    frame: Vec<f32>,
    scores: [f32; SMOOTHED],
    threshold: f32,
    open: bool,
    frames: u64,
    /// Frames since the last that was speech.
    quiet: u64,
}

impl std::fmt::Debug for VoiceDetector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VoiceDetector")
            .field("open", &self.open)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl VoiceDetector {
    /// A closed detector of samples at `rate_hz`; `threshold` in 0..=1 is the score of speech.
    ///
    /// # Errors
    /// [`Error::Config`] if the threshold is out of range, [`Error::Samples`] if the rate is.
    pub fn new(rate_hz: u32, threshold: f32) -> Result<Self> {
        if !(0.0..=1.0).contains(&threshold) {
            let reason = format!("{threshold} is not in 0..=1");
            return Err(Error::config("voice_threshold", reason));
        }
        let resampler =
            if rate_hz == RATE_HZ { None } else { Some(Resampler::new(rate_hz, RATE_HZ)?) };
        Ok(Self {
            detector: Detector::default_boxed(),
            resampler,
            pending: VecDeque::new(),
            resampled: Vec::new(),
            frame: Vec::with_capacity(FRAME_SAMPLES),
            scores: [0.0; SMOOTHED],
            threshold,
            open: false,
            frames: 0,
            quiet: 0,
        })
    }

    /// Hears finite samples; afterwards [`VoiceDetector::is_open`] tells about the last whole frame.
    ///
    /// # Errors
    /// [`Error::Samples`] if a sample is not finite.
    pub fn accept(&mut self, samples: &[f32]) -> Result<()> {
        if let Some(resampler) = &mut self.resampler {
            self.resampled.clear();
            resampler.process_into(samples, &mut self.resampled)?;
            self.pending.extend(&self.resampled);
        } else {
            self.pending.extend(samples);
        }
        while self.pending.len() >= FRAME_SAMPLES {
            self.frame.clear();
            self.frame.extend(self.pending.drain(..FRAME_SAMPLES).map(|s| s.clamp(-1.0, 1.0)));
            let score = self.detector.predict_f32(&self.frame);
            self.score(score);
        }
        Ok(())
    }

    fn score(&mut self, score: f32) {
        self.scores.rotate_left(1);
        self.scores[SMOOTHED - 1] = score;
        self.frames += 1;
        let mean = self.scores.iter().sum::<f32>() / SMOOTHED as f32;
        let share = if self.open { CLOSING_SHARE } else { 1.0 };
        self.open = mean >= self.threshold * share;
        self.quiet = if self.open && score >= self.threshold { 0 } else { self.quiet + 1 };
    }

    /// Whether somebody speaks.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// The latest score.
    pub fn latest_score(&self) -> f32 {
        self.scores[SMOOTHED - 1]
    }

    /// Time since the last frame that was speech, or since the start.
    pub fn quiet_s(&self) -> f32 {
        (self.quiet as f64 * FRAME_S) as f32
    }

    /// Bytes held.
    pub fn num_bytes(&self) -> usize {
        let samples = self.pending.capacity() + self.resampled.capacity() + self.frame.capacity();
        samples * size_of::<f32>() + size_of::<Detector>()
    }

    /// Whether a frame of late, though too few to open, was like speech.
    pub fn suspects(&self) -> bool {
        self.scores.iter().any(|score| *score >= self.threshold)
    }

    /// Back to the start of a stream.
    pub fn reset(&mut self) {
        self.detector.reset();
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
        self.pending.clear();
        self.scores = [0.0; SMOOTHED];
        self.open = false;
        self.frames = 0;
        self.quiet = 0;
    }
}
