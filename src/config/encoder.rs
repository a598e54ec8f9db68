//! Settings of the encoder.

use serde::{Deserialize, Serialize};

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
    /// Takes from every feature frame the mean of those so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_mean: Option<RunningMeanConfig>,
    /// Layers that see frames around their own, before the frames are joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_layers: Option<ContextLayersConfig>,
    /// Recurrent layers before the frames are joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fine_layers: Option<FineLayersConfig>,
    /// Layers of self-attention after them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_attention: Option<SelfAttentionConfig>,
}

impl EncoderConfig {
    /// Encoder frames of sound that a frame needs after its own, before it comes out.
    pub fn lag_frames(&self) -> usize {
        match (&self.frontend, &self.context_layers) {
            (FrontendConfig::Conv { stack, .. }, Some(layers)) => layers.after() / stack,
            _ => 0,
        }
    }
}

/// The mean that is taken from feature frames: `sum / (count + prior)` of the frames so far, with sum and count fading.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunningMeanConfig {
    /// How many frames of mean zero count beside those heard.
    pub prior_frames: f32,
    /// Frames after which one has faded to 1 / e.
    pub horizon_frames: f32,
}

/// Layers at the rate of the convolutions, each seeing frames around its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextLayersConfig {
    /// Width of a frame.
    pub dim: usize,
    /// Width inside a layer.
    pub hidden_dim: usize,
    /// By layer: the frames seen, 0 being its own, -1 the one before, 1 the one after. What all layers look ahead together is a whole
    /// number of encoder frames.
    pub offsets: Vec<Vec<isize>>,
}

impl ContextLayersConfig {
    /// Frames that all layers together look ahead.
    pub fn after(&self) -> usize {
        let ahead = |o: &Vec<isize>| o.iter().map(|o| usize::try_from(*o).unwrap_or(0)).max();
        self.offsets.iter().filter_map(ahead).sum()
    }
}

/// Recurrent layers at the rate of the convolutions, whose output is added to the input of the first layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FineLayersConfig {
    /// Width of every layer.
    pub dim: usize,
    /// Layers.
    pub num_layers: usize,
}

/// Layers in which every encoder frame looks at itself and those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfAttentionConfig {
    /// Layers.
    pub num_layers: usize,
    /// Heads.
    pub num_heads: usize,
    /// Frames before its own that a frame sees.
    pub left_frames: usize,
}
