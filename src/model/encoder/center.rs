//! Frames without the mean of those so far, which goes with the microphone and the room as far as they have been heard.

use crate::config::RunningMeanConfig;

/// Takes `sum / (count + prior)` from every frame, where the sum of the frames so far and their count fade by `1 - 1 / horizon` a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunningMean {
    prior: f32,
    fade: f32,
}

/// What one stream keeps: the faded sum by bin and the faded count.
#[derive(Debug, Clone, Default)]
pub(super) struct RunningMeanState {
    sum: Vec<f32>,
    count: f32,
}

impl RunningMean {
    pub fn new(config: RunningMeanConfig) -> Self {
        Self { prior: config.prior_frames, fade: 1.0 - 1.0 / config.horizon_frames }
    }

    pub fn initial_state(bins: usize) -> RunningMeanState {
        RunningMeanState { sum: vec![0.0; bins], count: 0.0 }
    }

    /// Appends `frames` without their means to `out`.
    pub fn center_into(self, state: &mut RunningMeanState, frames: &[f32], out: &mut Vec<f32>) {
        for frame in frames.chunks_exact(state.sum.len()) {
            state.count = state.count * self.fade + 1.0;
            let share = 1.0 / (state.count + self.prior);
            out.extend(state.sum.iter_mut().zip(frame).map(|(sum, x)| {
                *sum = *sum * self.fade + x;
                x - *sum * share
            }));
        }
    }
}

impl RunningMeanState {
    pub fn reset(&mut self) {
        self.sum.fill(0.0);
        self.count = 0.0;
    }

    pub fn num_bytes(&self) -> usize {
        self.sum.capacity() * size_of::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_frames_share_fades_and_the_split_does_not_matter() {
        let mean =
            RunningMean::new(RunningMeanConfig { prior_frames: 10.0, horizon_frames: 100.0 });
        let frames: Vec<f32> = (0..2000).map(|i| 3.0 + (i as f32 * 0.7).sin()).collect();
        let (mut whole, mut parts) = (Vec::new(), Vec::new());
        mean.center_into(&mut RunningMean::initial_state(2), &frames, &mut whole);
        let mut state = RunningMean::initial_state(2);
        for part in frames.chunks(14) {
            mean.center_into(&mut state, part, &mut parts);
        }
        assert_eq!(whole, parts);
        // sum / (count + prior), written out for the third frame of the first bin.
        let fade = 0.99_f32;
        let sum = (frames[0] * fade + frames[2]) * fade + frames[4];
        let count = (fade + 1.0) * fade + 1.0;
        assert!((whole[4] - (frames[4] - sum / (count + 10.0))).abs() < 1e-5);
        // At last the count is 100, so that a tenth and a bit of the common 3 is left.
        let last = &whole[whole.len() - 200..];
        let left = last.iter().sum::<f32>() / last.len() as f32;
        assert!((left - 3.0 * 10.0 / 110.0).abs() < 0.05, "{left}");
        state.reset();
        assert_eq!((state.sum.as_slice(), state.count), ([0.0; 2].as_slice(), 0.0));
    }
}
