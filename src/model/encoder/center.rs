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
    pub fn center_into(&self, state: &mut RunningMeanState, frames: &[f32], out: &mut Vec<f32>) {
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
