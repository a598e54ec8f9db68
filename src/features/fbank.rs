//! Streaming log-mel extraction.

use std::sync::Arc;

use realfft::{RealToComplex, RealToComplexEven, RealToComplexOdd};
use rustfft::FftPlanner;
use rustfft::num_complex::Complex32;

use super::{MelBank, Normalizer};
use crate::config::FeatureConfig;
use crate::error::{Error, Result};

/// Larger samples (full scale is 1) could overflow the power spectrum.
const MAX_SAMPLE: f32 = 1e9;

/// Up to so many values a buffer has no room to spare.
const TIGHT_VALUES: usize = 1 << 14;

/// Makes room for `count` values in a stream's buffer, which takes no more memory than it needs while it is small.
fn make_room(buffer: &mut Vec<f32>, count: usize) {
    if buffer.len() + count <= TIGHT_VALUES {
        buffer.reserve_exact(count);
    }
}

/// Appends samples to a stream's buffer.
pub(crate) fn append(buffer: &mut Vec<f32>, samples: &[f32]) {
    make_room(buffer, samples.len());
    buffer.extend_from_slice(samples);
}

/// What one stream keeps between calls: samples from the start of its next frame on.
#[derive(Debug, Clone, Default)]
pub struct FeatureState {
    pending: Vec<f32>,
    /// Samples accepted since the start of the stream, for error messages.
    accepted: u64,
}

impl FeatureState {
    /// Accepts samples in [-1, 1], of which [`FeatureExtractor::frames_into`] makes frames.
    ///
    /// # Errors
    /// [`Error::Samples`] at the first sample that is not finite or absurdly large; nothing is accepted then.
    pub fn accept(&mut self, samples: &[f32]) -> Result<()> {
        Self::check(samples, self.accepted)?;
        self.accept_checked(samples);
        Ok(())
    }

    /// Refuses what [`accept`](Self::accept) refuses; so many samples came before.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn check(samples: &[f32], before: u64) -> Result<()> {
        let bad = samples.iter().position(|s| !(-MAX_SAMPLE..=MAX_SAMPLE).contains(s));
        bad.map_or(Ok(()), |bad| {
            let reason =
                format!("sample {} of the stream is {}", before + bad as u64, samples[bad]);
            Err(Error::Samples { reason })
        })
    }

    /// Accepts samples that were checked.
    pub fn accept_checked(&mut self, samples: &[f32]) {
        self.accepted += samples.len() as u64;
        append(&mut self.pending, samples);
    }

    /// Accepts so many samples of silence.
    pub fn accept_silence(&mut self, samples: usize) {
        self.accepted += samples as u64;
        self.pending.resize(self.pending.len() + samples, 0.0);
    }

    /// Back to the start of a stream.
    pub fn reset(&mut self) {
        self.pending.clear();
        self.accepted = 0;
    }

    /// Bytes held.
    pub fn num_bytes(&self) -> usize {
        self.pending.capacity() * size_of::<f32>()
    }
}

/// Turns samples of any number of streams into normalised log-mel frames: the window, the transform with its buffers, the filters.
///
/// Frame `i` needs samples up to `shift * i + length`, so the delay is one window. The frames do
/// not depend on how the samples are split into calls. A call allocates only what `out` needs.
#[derive(Clone)]
pub struct FeatureExtractor {
    length: usize,
    shift: usize,
    num_bins: usize,
    log_floor: f32,
    window: Vec<f32>,
    mel: MelBank,
    normalizer: Normalizer,
    fft: Arc<dyn RealToComplex<f32>>,
    time: Vec<f32>,
    spectrum: Vec<Complex32>,
    power: Vec<f32>,
    scratch: Vec<Complex32>,
}

impl std::fmt::Debug for FeatureExtractor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeatureExtractor")
            .field("length", &self.length)
            .field("shift", &self.shift)
            .field("num_bins", &self.num_bins)
            .finish_non_exhaustive()
    }
}

impl FeatureExtractor {
    /// An extractor. `config` must have passed
    /// [`validate`](crate::config::ModelConfig::validate).
    ///
    /// # Errors
    /// [`Error::Config`] if the window does not fit the transform or the normaliser the filters.
    pub fn new(config: &FeatureConfig, normalizer: Normalizer) -> Result<Self> {
        let length = config.frame_length_samples();
        let shift = config.frame_shift_samples();
        if shift == 0 || length < shift || config.fft_size < length {
            let reason = format!("window {length}, shift {shift}, transform {}", config.fft_size);
            return Err(Error::config("features", reason));
        }
        if normalizer.num_bins() != config.num_mel_bins {
            let reason =
                format!("{} values for {} filters", normalizer.num_bins(), config.num_mel_bins);
            return Err(Error::config("normalize", reason));
        }
        let window = (0..length)
            .map(|n| {
                let phase = std::f64::consts::TAU * n as f64 / length as f64;
                (0.5 - 0.5 * phase.cos()) as f32
            })
            .collect();
        // What rustfft plans for this machine, of half the length where that is even, and what makes a real transform of it.
        let (size, mut planner) = (config.fft_size, FftPlanner::new());
        let fft: Arc<dyn RealToComplex<f32>> = if size.is_multiple_of(2) {
            Arc::new(RealToComplexEven::new(size, &mut planner))
        } else {
            Arc::new(RealToComplexOdd::new(size, &mut planner))
        };
        Ok(Self {
            length,
            shift,
            num_bins: config.num_mel_bins,
            log_floor: config.log_floor,
            window,
            mel: MelBank::new(config),
            normalizer,
            time: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            power: vec![0.0; config.fft_size / 2 + 1],
            scratch: fft.make_scratch_vec(),
            fft,
        })
    }

    /// Values a frame.
    pub fn num_bins(&self) -> usize {
        self.num_bins
    }

    /// Samples that must have arrived before the first frame exists.
    pub fn delay_samples(&self) -> usize {
        self.length
    }

    /// Appends the frames that the stream's samples complete, `[frames, num_bins]`. Returns the number of frames.
    pub fn frames_into(&mut self, state: &mut FeatureState, out: &mut Vec<f32>) -> usize {
        let (mut start, mut frames) = (0, 0);
        let complete = (state.pending.len() + self.shift).saturating_sub(self.length) / self.shift;
        make_room(out, complete * self.num_bins);
        while start + self.length <= state.pending.len() {
            let row = out.len();
            out.resize(row + self.num_bins, 0.0);
            self.frame_into(&state.pending[start..start + self.length], &mut out[row..]);
            start += self.shift;
            frames += 1;
        }
        // The shift never exceeds the length, so `start` cannot pass the end.
        state.pending.drain(..start);
        frames
    }

    /// Frames of `samples` alone, `[frames, num_bins]`.
    ///
    /// # Errors
    /// As [`FeatureState::accept`].
    pub fn extract(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        let (mut state, mut out) = (FeatureState::default(), Vec::new());
        state.accept(samples)?;
        self.frames_into(&mut state, &mut out);
        Ok(out)
    }

    /// The frame of the `length` samples.
    fn frame_into(&mut self, samples: &[f32], frame: &mut [f32]) {
        let mean = samples.iter().map(|&s| f64::from(s)).sum::<f64>() / self.length as f64;
        let mean = mean as f32;
        for ((t, s), w) in self.time.iter_mut().zip(samples).zip(&self.window) {
            *t = (s - mean) * w;
        }
        self.time[self.length..].fill(0.0);
        let result =
            self.fft.process_with_scratch(&mut self.time, &mut self.spectrum, &mut self.scratch);
        debug_assert!(result.is_ok(), "buffers come from the plan itself");
        for (p, x) in self.power.iter_mut().zip(&self.spectrum) {
            *p = x.re * x.re + x.im * x.im;
        }
        self.mel.energies_into(&self.power, frame);
        for energy in frame.iter_mut() {
            *energy = (*energy + self.log_floor).ln();
        }
        self.normalizer.apply(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> FeatureConfig {
        FeatureConfig {
            sample_rate_hz: 16_000,
            frame_length_ms: 25.0,
            frame_shift_ms: 10.0,
            num_mel_bins: 80,
            fft_size: 512,
            low_hz: 20.0,
            high_hz: 7600.0,
            log_floor: 1e-7,
        }
    }

    fn speech_like(n: usize) -> Vec<f32> {
        let mut seed = 7_u32;
        (0..n)
            .map(|i| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (seed >> 8) as f32 / (1 << 24) as f32 - 0.5;
                0.3 * (i as f32 * 0.05).sin() + 0.1 * (i as f32 * 0.7).sin() + 0.02 * noise + 0.1
            })
            .collect()
    }

    /// The definition of the format, in double precision with a plain transform.
    fn naive(samples: &[f32], c: &FeatureConfig) -> Vec<f64> {
        let (length, shift, n) = (400, 160, c.fft_size);
        let mel = |f: f64| 1127.0 * (1.0 + f / 700.0).ln();
        let (low, high) = (mel(f64::from(c.low_hz)), mel(f64::from(c.high_hz)));
        let mut out = Vec::new();
        let mut start = 0;
        while start + length <= samples.len() {
            let x: Vec<f64> = samples[start..start + length].iter().map(|&s| s.into()).collect();
            let mean = x.iter().sum::<f64>() / length as f64;
            let power: Vec<f64> = (0..=n / 2)
                .map(|k| {
                    let (mut re, mut im) = (0.0, 0.0);
                    for (t, v) in x.iter().enumerate() {
                        let tau = std::f64::consts::TAU;
                        let v = (v - mean) * (0.5 - 0.5 * (tau * t as f64 / length as f64).cos());
                        re += v * (tau * (k * t) as f64 / n as f64).cos();
                        im -= v * (tau * (k * t) as f64 / n as f64).sin();
                    }
                    re * re + im * im
                })
                .collect();
            for m in 0..c.num_mel_bins {
                let point = |i: usize| low + (high - low) * i as f64 / (c.num_mel_bins + 1) as f64;
                let (l, p, r) = (point(m), point(m + 1), point(m + 2));
                let mut energy = 0.0;
                for (k, e) in power.iter().enumerate() {
                    let f = mel(k as f64 * 16_000.0 / n as f64);
                    energy += e * ((f - l) / (p - l)).min((r - f) / (r - p)).max(0.0);
                }
                out.push((energy + f64::from(c.log_floor)).ln());
            }
            start += shift;
        }
        out
    }

    #[test]
    fn log_mel_equals_the_naive_transform() {
        let samples = speech_like(1500);
        let mut fbank = FeatureExtractor::new(&config(), Normalizer::identity(80)).unwrap();
        let got = fbank.extract(&samples).unwrap();
        let expected = naive(&samples, &config());
        assert_eq!(got.len(), expected.len());
        for (i, (g, e)) in got.iter().zip(&expected).enumerate() {
            assert!((f64::from(*g) - e).abs() < 1e-4, "value {i}: got {g}, expected {e}");
        }
    }

    #[test]
    fn number_of_frames_follows_the_formula() {
        let mut fbank = FeatureExtractor::new(&config(), Normalizer::identity(80)).unwrap();
        for n in [0, 1, 399, 400, 559, 560, 561, 5000] {
            let expected = if n < 400 { 0 } else { 1 + (n - 400) / 160 };
            assert_eq!(fbank.extract(&vec![0.0; n]).unwrap().len() / 80, expected, "{n} samples");
        }
    }

    #[test]
    fn samples_that_are_not_finite_are_refused_with_their_position() {
        let mut state = FeatureState::default();
        state.accept(&[0.0; 1000]).unwrap();
        let error = state.accept(&[0.0, f32::NAN]).unwrap_err();
        assert!(error.to_string().contains("sample 1001"), "{error}");
        assert_eq!(state.pending.len(), 1000);
    }

    proptest::proptest! {
        #[test]
        fn streaming_equals_batch_for_any_chunking(
            cuts in proptest::collection::vec(0_usize..6000, 0..12)
        ) {
            let samples = speech_like(6000);
            let mut fbank = FeatureExtractor::new(&config(), Normalizer::identity(80)).unwrap();
            let whole = fbank.extract(&samples).unwrap();
            let mut cuts = cuts;
            cuts.push(6000);
            cuts.sort_unstable();
            let (mut state, mut out) = (FeatureState::default(), Vec::new());
            let mut start = 0;
            for cut in cuts {
                state.accept(&samples[start..cut]).unwrap();
                fbank.frames_into(&mut state, &mut out);
                start = cut;
            }
            proptest::prop_assert_eq!(whole, out);
        }
    }
}
