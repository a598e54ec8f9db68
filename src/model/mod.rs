//! The neural transducer: an immutable [`Model`] that any number of streams share.

mod attention;
mod encoder;
mod scorer;
mod self_attention;
mod transducer;

pub use encoder::{EncoderBatch, EncoderState};
pub use scorer::{BlockScorer, RowScorer};
pub use transducer::StepScratch;

use std::path::{Path, PathBuf};

use crate::attention::{Attention, KeyValues, Window};
use crate::config::{FrontendConfig, LatencyMode, ModelConfig};
use crate::error::{Error, Result};
pub use crate::weights::Precision;
use crate::weights::Weights;
use encoder::Encoder;
use transducer::Transducer;

/// Sizes of a model, for people to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSummary {
    /// Weights of the front end and the encoder layers.
    pub encoder_parameters: usize,
    /// Weights of the attention.
    pub attention_parameters: usize,
    /// Weights of embedding, recurrent nets and output.
    pub transducer_parameters: usize,
    /// Recurrent state of the encoder, a stream.
    pub encoder_state_bytes: usize,
    /// Recurrent state of the transducer, a hypothesis.
    pub hypothesis_state_bytes: usize,
}

/// Network and settings. Holds no state of any stream.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    mean: Vec<f32>,
    inv_std: Vec<f32>,
    encoder: Encoder,
    transducer: Transducer,
}

impl Model {
    /// From the contents of `config.json` and `model.safetensors`.
    ///
    /// # Errors
    /// As [`from_files`](Self::from_files).
    pub fn from_bytes(config: &[u8], weights: &[u8], precision: Precision) -> Result<Self> {
        let path = |name: &str| PathBuf::from(format!("{name} (in memory)"));
        let (config_path, weights_path) = (path("config.json"), path("model.safetensors"));
        Self::from_files(&config_path, config, &weights_path, weights, precision)
    }

    /// From the contents of `config.json` and `model.safetensors`; the paths are theirs in messages.
    ///
    /// # Errors
    /// [`Error::Model`] if one is damaged or does not fit the other, [`Error::Config`] if a setting is out of range.
    pub fn from_files(
        config_path: &Path,
        config: &[u8],
        weights_path: &Path,
        weights: &[u8],
        precision: Precision,
    ) -> Result<Self> {
        let config: ModelConfig = serde_json::from_slice(config)
            .map_err(|e| Error::model(config_path, format!("not a model configuration: {e}")))?;
        config.validate()?;
        let weights = Weights::parse(weights_path, weights, precision)?;
        let bins = config.features.num_mel_bins;
        let optional = matches!(config.encoder.frontend, FrontendConfig::Linear { .. })
            && !weights.contains("normalize.mean");
        let (mean, inv_std) = if optional {
            (vec![0.0; bins], vec![1.0; bins])
        } else {
            (
                weights.tensor("normalize.mean", &[bins])?,
                weights.tensor("normalize.inv_std", &[bins])?,
            )
        };
        let encoder = Encoder::load(&config, &weights)?;
        let transducer = Transducer::load(&config, &weights)?;
        Ok(Self { config, mean, inv_std, encoder, transducer })
    }

    /// Settings.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Mean and inverse standard deviation of the features, both `[num_mel_bins]`.
    pub fn normalization(&self) -> (&[f32], &[f32]) {
        (&self.mean, &self.inv_std)
    }

    /// Size of the output layer, `<e>` included.
    pub fn num_tokens(&self) -> usize {
        self.transducer.num_tokens()
    }

    /// Values of a feature frame.
    pub fn feature_dim(&self) -> usize {
        self.encoder.inputs()
    }

    /// Values of an encoder frame.
    pub fn encoder_dim(&self) -> usize {
        self.config.encoder.dim
    }

    /// Values of an attention context.
    pub fn context_dim(&self) -> usize {
        self.config.attention.dim
    }

    /// Values of one recurrent state of the transducer; the first state of a stream is all zeros.
    pub fn state_size(&self) -> usize {
        self.transducer.state_size()
    }

    /// Where the states of the transducer may be kept small, since its matrices have 8 bits and no state names a block: the lengths of the
    /// parts that they begin with and that 8 bits are enough for, the outputs and the cells of LSTM layers.
    pub fn small_parts(&self) -> Option<Vec<usize>> {
        self.transducer.small_parts()
    }

    /// How many of the latest tokens the transducer knows; 0: all.
    pub fn known_tokens(&self) -> usize {
        self.config.transducer.history
    }

    /// The encoder's state at the start of a stream.
    pub fn encoder_state(&self) -> EncoderState {
        self.encoder.initial_state()
    }

    /// Puts `state` back to the start of a stream and keeps its buffers.
    pub fn reset_encoder(&self, state: &mut EncoderState) {
        self.encoder.reset(state);
    }

    /// Takes feature frames `[t, feature_dim]` and appends the encoder frames they complete,
    /// `[n, encoder_dim]`. Returns `n`. The results do not depend on the split of the frames.
    /// Encoder frame `u` is complete after `subsampling * (u + 1 + lag)` feature frames, with the
    /// `lag_frames` of the configuration; frames that do not complete one stay in the state. [`Model::push`] and what follows spare its buffers.
    ///
    /// # Panics
    /// If `frames` is not a whole number of frames or `state` comes from another model.
    pub fn encode_into(
        &self,
        state: &mut EncoderState,
        frames: &[f32],
        out: &mut Vec<f32>,
    ) -> usize {
        let mut batch = EncoderBatch::default();
        self.push(&mut batch, state, frames);
        self.run(&mut batch);
        batch.pull(0, state);
        out.extend_from_slice(batch.rows());
        batch.num_rows()
    }

    /// Adds a stream with its next feature frames `[t, feature_dim]` to `batch`.
    ///
    /// # Panics
    /// As [`encode_into`](Self::encode_into).
    pub fn push(&self, batch: &mut EncoderBatch, state: &mut EncoderState, frames: &[f32]) {
        self.encoder.push(batch, state, frames);
    }

    /// Encodes all streams that were added, one matrix product for all; [`EncoderBatch::pull`] takes the results.
    pub fn run(&self, batch: &mut EncoderBatch) {
        self.encoder.run(batch);
    }

    /// The transducer bound to the blocks of several streams: `views` names, for one run of rows after the other, what they see.
    pub fn scorer<'a, V>(&'a self, views: V, scratch: &'a mut StepScratch) -> RowScorer<'a, V> {
        RowScorer::new(&self.transducer, views, scratch)
    }

    /// Computes attention keys and values of encoder frames `[n, encoder_dim]` and appends them
    /// to `memory`.
    ///
    /// # Panics
    /// If `frames` is not a whole number of frames.
    pub fn project_into(&self, frames: &[f32], memory: &mut KeyValues) {
        self.transducer.attention().project_into(frames, memory);
    }

    /// The attention, for callers that project the frames of several streams at once.
    pub fn attention(&self) -> &Attention {
        self.transducer.attention()
    }

    /// The transducer bound to `block` of the stream whose frames stand in `memory`.
    pub fn block_scorer<'a>(
        &'a self,
        memory: &'a KeyValues,
        window: Window,
        block: usize,
        scratch: &'a mut StepScratch,
    ) -> BlockScorer<'a> {
        BlockScorer::new(&self.transducer, memory, window, block, scratch)
    }

    /// The block geometry of a latency mode.
    pub fn window(mode: LatencyMode) -> Window {
        Window {
            block_frames: mode.block_frames,
            look_back_frames: mode.look_back_frames,
            look_ahead_frames: mode.look_ahead_frames,
        }
    }

    /// Counts of parameters and bytes.
    pub fn summary(&self) -> ModelSummary {
        ModelSummary {
            encoder_parameters: self.encoder.num_parameters(),
            attention_parameters: self.transducer.attention().num_parameters(),
            transducer_parameters: self.transducer.num_parameters(),
            encoder_state_bytes: self.encoder.state_bytes(),
            hypothesis_state_bytes: self.state_size() * size_of::<f32>(),
        }
    }
}
