//! `config.json`: every size and setting of a model. Units stand in the field names; [`ModelConfig::validate`] runs once at load.

mod encoder;
mod search;
mod validate;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use encoder::{
    ContextLayersConfig, EncoderConfig, FineLayersConfig, FrontendConfig, RunningMeanConfig,
    SelfAttentionConfig,
};
pub use search::SearchConfig;
pub use words::{ConfidenceConfig, NUM_EVIDENCE, WordTimesConfig};

/// The version of the model folder that this crate reads.
pub const FORMAT_VERSION: u32 = 1;

/// What a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Units {
    /// `CMUdict` phones, each also in a word-final form; words come from a lexicon.
    Phones,
    /// Pieces of words (byte-pair encoding); no lexicon.
    Bpe,
}

/// Log-mel features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureConfig {
    /// Rate the model hears.
    pub sample_rate_hz: u32,
    /// Length of the analysis window.
    pub frame_length_ms: f32,
    /// Distance between windows.
    pub frame_shift_ms: f32,
    /// Number of mel filters.
    pub num_mel_bins: usize,
    /// Points of the Fourier transform.
    pub fft_size: usize,
    /// Lower edge of the first filter.
    pub low_hz: f32,
    /// Upper edge of the last filter.
    pub high_hz: f32,
    /// Added to the energy before the logarithm.
    pub log_floor: f32,
}

impl FeatureConfig {
    /// Samples in one window.
    pub fn frame_length_samples(&self) -> usize {
        (self.sample_rate_hz as f32 * self.frame_length_ms / 1000.0).round() as usize
    }

    /// Samples between two windows.
    pub fn frame_shift_samples(&self) -> usize {
        (self.sample_rate_hz as f32 * self.frame_shift_ms / 1000.0).round() as usize
    }
}

/// The transducer: the network that emits tokens for a block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransducerConfig {
    /// Width of a token's embedding.
    pub embedding_dim: usize,
    /// Cells of the recurrent net before attention (`s` of equation 3).
    pub state_dim: usize,
    /// Layers of it.
    pub state_layers: usize,
    /// Cells of the recurrent net after attention (`h'` of equation 5).
    pub emit_dim: usize,
    /// Layers of it.
    pub emit_layers: usize,
    /// Whether `s` sees the previous context (equation 3) or only the previous token.
    pub input_feeding: bool,
    /// Whether the recurrent nets go on from block to block or start anew in each.
    #[serde(default = "yes")]
    pub carry_state: bool,
    /// So many of the latest tokens, ends of blocks among them, are all that is known of what was said, and the nets before and after
    /// attention are one layer each without recurrence; 0: the recurrent nets know all.
    #[serde(default)]
    pub history: usize,
}

fn yes() -> bool {
    true
}

/// How a query and a key are compared; equations in `docs/attention.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreKind {
    /// `q.k / sqrt(size of a head)`.
    ScaledDot,
    /// `q.k`.
    Dot,
    /// `q.h / sqrt(width of the encoder)`, the frames themselves as keys.
    General,
    /// `q.k / (|q| |k|)` times a learnt sharpness.
    Cosine,
    /// `v.tanh(q + k)`.
    Additive,
    /// `v.tanh(W [s; h])`.
    Concat,
    /// `v.tanh(q + k + U f)` with filtered weights `f` of the step before.
    Location,
    /// `v.tanh(k)`, whatever the query.
    Latent,
}

/// What becomes of the energies; equations in `docs/attention.md`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MixKind {
    /// Softmax over frames.
    #[default]
    Soft,
    /// The best frame alone.
    Hard,
    /// The last frame of the block; no attention.
    Last,
    /// Softmax over runs of adjacent frames.
    Area,
    /// A recurrent net over output steps, then softmax.
    Recurrent,
    /// Softmax, lowered away from a predicted place.
    Predictive,
}

/// The key of a run of frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AreaKeyKind {
    /// Mean of the keys.
    #[default]
    Mean,
    /// A small net of their mean, deviation and number.
    MeanStd,
}

/// The value of a run of frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AreaValueKind {
    /// Mean of the values.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

/// Attention over the frames that a block may see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionConfig {
    /// Energy.
    pub score: ScoreKind,
    /// Width of all heads together.
    pub dim: usize,
    /// Heads.
    pub num_heads: usize,
    /// Entries of the learnt position bias; 0 for none.
    pub max_positions: usize,
    /// What becomes of the energies.
    #[serde(default)]
    pub mix: MixKind,
    /// How often it looks before it gives its context.
    #[serde(default = "one")]
    pub hops: usize,
    /// Frames in the longest run, with [`MixKind::Area`].
    #[serde(default = "default_max_area")]
    pub max_area: usize,
    /// Key of a run.
    #[serde(default)]
    pub area_key: AreaKeyKind,
    /// Value of a run.
    #[serde(default)]
    pub area_value: AreaValueKind,
    /// Cells of the recurrent net, with [`MixKind::Recurrent`].
    #[serde(default = "default_recurrent_dim")]
    pub recurrent_dim: usize,
}

fn one() -> usize {
    1
}

fn default_max_area() -> usize {
    3
}

fn default_recurrent_dim() -> usize {
    32
}

impl AttentionConfig {
    /// Whether one step leaves something to the next.
    pub fn keeps_state(&self) -> bool {
        self.mix != MixKind::Last
            && (self.score == ScoreKind::Location || self.mix == MixKind::Recurrent)
    }
}

/// One of the block geometries the model was trained with. Frames are encoder frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyMode {
    /// W: frames a block owns.
    pub block_frames: usize,
    /// Frames before the block that attention sees.
    pub look_back_frames: usize,
    /// Frames after the block that attention sees, and that the block waits for.
    pub look_ahead_frames: usize,
    /// M: at most M-1 tokens and the end-of-block symbol.
    pub max_tokens_per_block: usize,
}

/// Ends of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamingConfig {
    /// Silence appended when a stream ends, so that the last word comes out.
    pub tail_padding_ms: f32,
}

/// `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Must equal [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Name of the model.
    pub name: String,
    /// Language tag.
    pub language: String,
    /// What a token stands for.
    pub units: Units,
    /// Features.
    pub features: FeatureConfig,
    /// Encoder.
    pub encoder: EncoderConfig,
    /// Transducer.
    pub transducer: TransducerConfig,
    /// Attention.
    pub attention: AttentionConfig,
    /// Block geometries by name.
    pub latency_modes: BTreeMap<String, LatencyMode>,
    /// The geometry used where none is asked for.
    pub default_latency: String,
    /// Ends of a stream.
    pub streaming: StreamingConfig,
    /// Search settings tuned on development data.
    pub search: SearchConfig,
    /// How sure words are; without it, what the network gives their tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<ConfidenceConfig>,
    /// When words are spoken; without it, the borders of their blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word_times: Option<WordTimesConfig>,
}

impl ModelConfig {
    /// Feature frames for one encoder frame.
    pub fn subsampling(&self) -> usize {
        match self.encoder.frontend {
            FrontendConfig::Conv { stack, .. } => 4 * stack,
            FrontendConfig::Linear { .. } => 1,
        }
    }

    /// Duration of one encoder frame.
    pub fn encoder_frame_ms(&self) -> f32 {
        self.features.frame_shift_ms * self.subsampling() as f32
    }

    /// The geometry called `name`, or the default one.
    ///
    /// # Errors
    /// [`Error::Config`] if the model has no such mode; the message lists those it has.
    pub fn latency_mode(&self, name: Option<&str>) -> Result<LatencyMode> {
        let name = name.unwrap_or(&self.default_latency);
        self.latency_modes.get(name).copied().ok_or_else(|| {
            let known: Vec<_> = self.latency_modes.keys().map(String::as_str).collect();
            Error::config("latency", format!("no mode {name:?}; known: {}", known.join(", ")))
        })
    }
}
