//! What attention looks at, for people to see.

use ndarray::{Array2, Axis};
use serde::Serialize;

use super::Recognizer;
use crate::attention::{KeyValues, Watched};
use crate::error::{Error, Result};
use crate::features::FeatureExtractor;
use crate::model::{Model, StepScratch};
use crate::search::{StepOutput, StepScorer};

/// The looks of greedy search over one recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[doc(hidden)]
pub struct AttentionTrace {
    /// Duration of an encoder frame.
    pub frame_ms: f32,
    /// Encoder frames.
    pub num_frames: usize,
    /// Encoder frames a block owns.
    pub block_frames: usize,
    /// Steps of the transducer in their order, the ends of blocks among them.
    pub steps: Vec<TracedStep>,
    /// Values of a row of `features`.
    pub num_mel_bins: usize,
    /// Duration of a row of `features`.
    pub frame_shift_ms: f32,
    /// Normalised log-mel features, `[t, num_mel_bins]`.
    #[serde(skip)]
    pub features: Array2<f32>,
    /// Probabilities of the tokens at every step, `[step, token]`.
    #[serde(skip)]
    pub posteriors: Array2<f32>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[doc(hidden)]
pub struct TracedStep {
    /// The token that it emits.
    pub token: String,
    /// Whether that ends the block.
    pub ends_block: bool,
    /// Its block.
    pub block: usize,
    /// First encoder frame in sight.
    pub first_frame: usize,
    /// Weights of the encoder frames in sight, `[head, frame]`.
    #[serde(serialize_with = "rows")]
    pub weights: Array2<f32>,
}

impl TracedStep {
    /// Mean of the heads.
    pub fn mean(&self) -> Vec<f32> {
        self.weights.mean_axis(Axis(0)).map(|mean| mean.to_vec()).unwrap_or_default()
    }
}

/// A list of rows.
fn rows<S: serde::Serializer>(
    array: &Array2<f32>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(array.rows().into_iter().map(|row| row.to_vec()))
}

/// Rows of `width` values.
fn array(width: usize, values: Vec<f32>) -> Result<Array2<f32>> {
    let shape = (values.len().checked_div(width).unwrap_or(0), width);
    Array2::from_shape_vec(shape, values).map_err(|e| Error::Usage { reason: e.to_string() })
}

impl Recognizer {
    /// Runs greedy search over `samples`, at the model's rate and in [-1, 1], and tells what every step looks at.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) if the model has no such latency mode, [`Error::Samples`](crate::Error::Samples)
    /// if a sample is not finite.
    #[doc(hidden)]
    pub fn trace_attention(
        &self,
        samples: &[f32],
        latency: Option<&str>,
    ) -> Result<AttentionTrace> {
        let (model, config) = (self.model(), self.config());
        let mode = config.latency_mode(latency)?;
        let window = Model::window(mode);
        let padding = config.streaming.tail_padding_ms / 1000.0;
        let padding = (padding * config.features.sample_rate_hz as f32) as usize;
        let mut padded = samples.to_vec();
        padded.resize(samples.len() + padding, 0.0);
        let features = FeatureExtractor::clone(&self.features).extract(&padded)?;
        let mut frames = Vec::new();
        model.encode_into(&mut model.encoder_state(), &features, &mut frames);
        let mut memory = KeyValues::default();
        model.project_into(&frames, &mut memory);
        let num_frames = memory.num_frames();

        let end = self.tokens().end_of_block();
        let mut states = vec![0.0; model.state_size()];
        let mut next = states.clone();
        let mut log_probs = vec![0.0; model.num_tokens()];
        let mut scratch = StepScratch::default();
        scratch.watch();
        let (mut previous, mut steps, mut posteriors) = (end, Vec::new(), Vec::new());
        for block in 0..window.num_blocks(num_frames) {
            let mut scorer = model.block_scorer(&memory, window, block, &mut scratch);
            for step in 1..=mode.max_tokens_per_block {
                let out = StepOutput::new(&mut next, &mut log_probs);
                scorer.step_into(&states, &[previous], out);
                posteriors.extend(log_probs.iter().map(|log_prob| log_prob.exp()));
                std::mem::swap(&mut states, &mut next);
                let best = (0..log_probs.len()).rev();
                let best = best.max_by(|a, b| log_probs[*a].total_cmp(&log_probs[*b]));
                let forced = step == mode.max_tokens_per_block;
                previous = best.filter(|_| !forced).map_or(end, |token| token as u32);
                steps.push(self.traced(previous, block, scorer.watched())?);
                if previous == end {
                    break;
                }
            }
        }
        Ok(AttentionTrace {
            frame_ms: config.encoder_frame_ms(),
            num_frames,
            block_frames: mode.block_frames,
            steps,
            num_mel_bins: config.features.num_mel_bins,
            frame_shift_ms: config.features.frame_shift_ms,
            features: array(config.features.num_mel_bins, features)?,
            posteriors: array(model.num_tokens(), posteriors)?,
        })
    }

    fn traced(&self, token: u32, block: usize, watched: Option<&Watched>) -> Result<TracedStep> {
        let heads = self.config().attention.num_heads;
        let (first_frame, weights) =
            watched.map_or((0, Vec::new()), |watched| (watched.first, watched.weights.clone()));
        Ok(TracedStep {
            token: self.tokens().text(token).unwrap_or_default().to_owned(),
            ends_block: token == self.tokens().end_of_block(),
            block,
            first_frame,
            weights: array(weights.len() / heads, weights)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_weights_are_heads_and_their_mean_is_taken_over_heads() {
        let weights = array(3, vec![0.5, 0.5, 0.0, 0.0, 0.5, 0.5]).unwrap();
        assert_eq!(weights.dim(), (2, 3));
        let token = "AA".into();
        let step = TracedStep { token, ends_block: false, block: 0, first_frame: 4, weights };
        assert_eq!(step.mean(), [0.25, 0.5, 0.25]);
        let json = serde_json::to_value(&step).unwrap();
        assert_eq!(json["weights"], serde_json::json!([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]));
    }
}
