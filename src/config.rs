//! `config.json`: every size and setting of a model. Units stand in the field names; [`ModelConfig::validate`] runs once at load.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

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

/// What stands before the first recurrent layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FrontendConfig {
    /// Two convolutions of stride 2, then `stack` frames joined.
    Conv {
        /// Channels of the two convolutions.
        channels: [usize; 2],
        /// Frames joined after them.
        stack: usize,
    },
    /// Frames of `input_dim` values go straight to the input projection.
    Linear {
        /// Values a frame.
        input_dim: usize,
    },
}

/// The encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderConfig {
    /// Subsampling before the first layer.
    pub frontend: FrontendConfig,
    /// Width of every layer.
    pub dim: usize,
    /// Recurrent layers.
    pub num_layers: usize,
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
}

/// How a query and a key are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreKind {
    /// `q.k / sqrt(size of a head)`.
    ScaledDot,
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
    /// Entries of the learnt position bias.
    pub max_positions: usize,
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

/// Beam search. Scores are natural logarithms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchConfig {
    /// Hypotheses kept.
    pub beam_size: usize,
    /// Factor of the language model's log-probability of a word.
    pub lm_weight: f32,
    /// Added for every word.
    pub word_bonus: f32,
    /// Added to the end-of-block symbol's logit, before the log-softmax; below 0 more is spoken.
    pub end_of_block_bias: f32,
    /// Hypotheses this far below the best are dropped.
    pub prune_log_prob: f32,
    /// Share of the tokens' own n-gram model (`prior.bin`) that is taken back from the network's log-probabilities.
    #[serde(default)]
    pub prior_weight: f32,
    /// Factor of a pronunciation's cost in the lexicon.
    #[serde(default = "default_pronunciation_weight")]
    pub pronunciation_weight: f32,
    /// Hypotheses that differ only before their last `merge_tokens` tokens, and that the language model cannot tell apart,
    /// are merged; at most 8, 0 for never.
    #[serde(default = "default_merge_tokens")]
    pub merge_tokens: usize,
}

fn default_merge_tokens() -> usize {
    4
}

fn default_pronunciation_weight() -> f32 {
    0.5
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

    /// Refuses values that would make a later stage fail or allocate without bound.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first field that is out of range.
    pub fn validate(&self) -> Result<()> {
        fn within(field: &str, value: usize, low: usize, high: usize) -> Result<()> {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Error::config(field, format!("{value} is not in {low}..={high}")))
        }
        fn finite(field: &str, value: f32, low: f32, high: f32) -> Result<()> {
            if value.is_finite() && value >= low && value <= high {
                return Ok(());
            }
            Err(Error::config(field, format!("{value} is not in {low}..={high}")))
        }
        if self.format_version != FORMAT_VERSION {
            return Err(Error::config(
                "format_version",
                format!("{} is not {FORMAT_VERSION}, the version read here", self.format_version),
            ));
        }
        let f = &self.features;
        within("features.sample_rate_hz", f.sample_rate_hz as usize, 8_000, 48_000)?;
        finite("features.frame_length_ms", f.frame_length_ms, 1.0, 100.0)?;
        finite("features.frame_shift_ms", f.frame_shift_ms, 1.0, f.frame_length_ms)?;
        within("features.num_mel_bins", f.num_mel_bins, 1, 256)?;
        within("features.fft_size", f.fft_size, f.frame_length_samples(), 8192)?;
        finite("features.low_hz", f.low_hz, 0.0, f.high_hz - 1.0)?;
        finite("features.high_hz", f.high_hz, 1.0, f.sample_rate_hz as f32 / 2.0)?;
        finite("features.log_floor", f.log_floor, 1e-20, 1.0)?;
        within("encoder.dim", self.encoder.dim, 1, 4096)?;
        within("encoder.num_layers", self.encoder.num_layers, 1, 32)?;
        match &self.encoder.frontend {
            FrontendConfig::Conv { channels, stack } => {
                within("encoder.frontend.channels", channels[0], 1, 512)?;
                within("encoder.frontend.channels", channels[1], 1, 512)?;
                within("encoder.frontend.stack", *stack, 1, 8)?;
                if !f.num_mel_bins.is_multiple_of(4) {
                    return Err(Error::config("features.num_mel_bins", "must be a multiple of 4"));
                }
            }
            FrontendConfig::Linear { input_dim } => {
                within("encoder.frontend.input_dim", *input_dim, 1, 4096)?;
            }
        }
        let t = &self.transducer;
        within("transducer.embedding_dim", t.embedding_dim, 1, 4096)?;
        within("transducer.state_dim", t.state_dim, 1, 4096)?;
        within("transducer.state_layers", t.state_layers, 1, 8)?;
        within("transducer.emit_dim", t.emit_dim, 1, 4096)?;
        within("transducer.emit_layers", t.emit_layers, 1, 8)?;
        let a = &self.attention;
        within("attention.num_heads", a.num_heads, 1, 64)?;
        within("attention.dim", a.dim, a.num_heads, 4096)?;
        within("attention.max_positions", a.max_positions, 1, 1024)?;
        if !a.dim.is_multiple_of(a.num_heads) {
            return Err(Error::config("attention.dim", "must be a multiple of num_heads"));
        }
        for (name, mode) in &self.latency_modes {
            let field = |leaf: &str| format!("latency_modes.{name}.{leaf}");
            within(&field("block_frames"), mode.block_frames, 1, 256)?;
            within(&field("look_back_frames"), mode.look_back_frames, 0, 256)?;
            within(&field("look_ahead_frames"), mode.look_ahead_frames, 0, 256)?;
            within(&field("max_tokens_per_block"), mode.max_tokens_per_block, 1, 256)?;
        }
        self.latency_mode(None)?;
        finite("streaming.tail_padding_ms", self.streaming.tail_padding_ms, 0.0, 10_000.0)?;
        let s = &self.search;
        within("search.beam_size", s.beam_size, 1, 1024)?;
        finite("search.lm_weight", s.lm_weight, 0.0, 100.0)?;
        finite("search.word_bonus", s.word_bonus, -100.0, 100.0)?;
        finite("search.end_of_block_bias", s.end_of_block_bias, -20.0, 20.0)?;
        within("search.merge_tokens", s.merge_tokens, 0, 8)?;
        finite("search.prior_weight", s.prior_weight, 0.0, 10.0)?;
        finite("search.pronunciation_weight", s.pronunciation_weight, 0.0, 100.0)?;
        finite("search.prune_log_prob", s.prune_log_prob, 0.0, 1e6)
    }
}
