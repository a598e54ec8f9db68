//! The encoder: subsampling front end and unidirectional residual LSTM layers.

use super::weights::Weights;
use crate::config::{FrontendConfig, ModelConfig};
use crate::error::Result;
use crate::nn::{Conv2d, ConvState, LayerNorm, Linear, Lstm, Rows};

/// Feature frames taken at once; bounds the buffers whatever the caller passes.
const FEED_FRAMES: usize = 256;

#[derive(Debug)]
struct Layer {
    norm: LayerNorm,
    lstm: Lstm,
}

/// Encoder weights.
#[derive(Debug)]
pub(super) struct Encoder {
    convs: Option<[Conv2d; 2]>,
    input: Linear,
    layers: Vec<Layer>,
    norm: LayerNorm,
    inputs: usize,
    dim: usize,
}

/// What one stream keeps between calls to the encoder, buffers included.
#[derive(Debug, Clone)]
pub struct EncoderState {
    convs: Option<[ConvState; 2]>,
    between: Vec<f32>,
    /// Front-end frames not yet joined into an encoder frame.
    stack: Vec<f32>,
    /// `[layers, 2, dim]`: `h` and `c` of every layer.
    recurrent: Vec<f32>,
    x: Vec<f32>,
    normed: Vec<f32>,
    gates: Vec<f32>,
}

impl EncoderState {
    /// Bytes held, buffers included.
    pub fn num_bytes(&self) -> usize {
        let vectors =
            [&self.between, &self.stack, &self.recurrent, &self.x, &self.normed, &self.gates];
        let convs = self.convs.iter().flatten().map(ConvState::num_bytes).sum::<usize>();
        convs + vectors.iter().map(|v| v.capacity() * size_of::<f32>()).sum::<usize>()
    }
}

impl Encoder {
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) naming the first tensor that does not fit.
    pub fn load(config: &ModelConfig, weights: &Weights<'_>) -> Result<Self> {
        let dim = config.encoder.dim;
        let (convs, inputs, input) = match config.encoder.frontend {
            FrontendConfig::Conv { channels: [c1, c2], stack } => {
                let bins = config.features.num_mel_bins;
                let conv = |name: &str, out: usize, channels: usize, bins: usize| -> Result<_> {
                    let name = format!("encoder.frontend.{name}");
                    let weight =
                        weights.tensor(&format!("{name}.weight"), &[out, channels, 3, 3])?;
                    let bias = weights.tensor(&format!("{name}.bias"), &[out])?;
                    Ok(Conv2d::new(&weight, bias, bins, channels))
                };
                let convs = [conv("conv1", c1, 1, bins)?, conv("conv2", c2, c1, bins / 2)?];
                let joined = stack * c2 * (bins / 4);
                let weight = weights.matrix("encoder.input.weight", dim, joined)?;
                let bias = weights.tensor("encoder.input.bias", &[dim])?;
                let weight = weight.columns(joined, &channels_last(stack, c2, bins / 4));
                (Some(convs), bins, Linear::from_packed(weight.pack(joined), bias))
            }
            FrontendConfig::Linear { input_dim } => {
                (None, input_dim, weights.linear("encoder.input", dim, input_dim)?)
            }
        };
        let layers = (0..config.encoder.num_layers).map(|l| {
            let name = format!("encoder.layers.{l}");
            Ok(Layer {
                norm: weights.layer_norm(&format!("{name}.norm"), dim)?,
                lstm: weights.lstm(&format!("{name}.lstm"), dim, dim)?,
            })
        });
        let layers = layers.collect::<Result<_>>()?;
        let norm = weights.layer_norm("encoder.norm", dim)?;
        Ok(Self { convs, input, layers, norm, inputs, dim })
    }

    /// Values of a feature frame.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub fn num_parameters(&self) -> usize {
        let layers = self.layers.iter().map(|l| l.norm.num_parameters() + l.lstm.num_parameters());
        self.convs.iter().flatten().map(Conv2d::num_parameters).sum::<usize>()
            + self.input.num_parameters()
            + layers.sum::<usize>()
            + self.norm.num_parameters()
    }

    /// Bytes of recurrent state, buffers not counted.
    pub fn state_bytes(&self) -> usize {
        self.layers.len() * 2 * self.dim * size_of::<f32>()
    }

    pub fn initial_state(&self) -> EncoderState {
        EncoderState {
            convs: self.convs.as_ref().map(|c| [c[0].initial_state(), c[1].initial_state()]),
            between: Vec::new(),
            stack: Vec::new(),
            recurrent: vec![0.0; self.layers.len() * 2 * self.dim],
            x: Vec::new(),
            normed: Vec::new(),
            gates: Vec::new(),
        }
    }

    pub fn reset(&self, state: &mut EncoderState) {
        for (conv, state) in self.convs.iter().flatten().zip(state.convs.iter_mut().flatten()) {
            conv.reset(state);
        }
        state.stack.clear();
        state.recurrent.fill(0.0);
    }

    /// See [`Model::encode_into`](super::Model::encode_into).
    pub fn encode_into(
        &self,
        state: &mut EncoderState,
        frames: &[f32],
        out: &mut Vec<f32>,
    ) -> usize {
        let inputs = self.inputs;
        assert!(frames.len().is_multiple_of(inputs), "frames of {inputs} values are needed");
        assert_eq!(state.recurrent.len(), self.layers.len() * 2 * self.dim, "foreign state");
        let before = out.len();
        for part in frames.chunks(FEED_FRAMES * self.inputs) {
            if let (Some([c1, c2]), Some([s1, s2])) = (&self.convs, &mut state.convs) {
                state.between.clear();
                c1.forward_into(s1, part, &mut state.between);
                c2.forward_into(s2, &state.between, &mut state.stack);
            } else {
                state.stack.extend_from_slice(part);
            }
            self.run_layers(state, out);
        }
        (out.len() - before) / self.dim
    }

    fn run_layers(&self, state: &mut EncoderState, out: &mut Vec<f32>) {
        let steps = state.stack.len() / self.input.inputs();
        if steps == 0 {
            return;
        }
        let dim = self.dim;
        state.x.resize(steps * dim, 0.0);
        state.normed.resize(steps * dim, 0.0);
        state.gates.resize(steps * 4 * dim, 0.0);
        self.input.forward_into(steps, &state.stack, &mut state.x);
        state.stack.drain(..steps * self.input.inputs());
        for (layer, recurrent) in self.layers.iter().zip(state.recurrent.chunks_exact_mut(2 * dim))
        {
            layer.norm.forward_into(&state.x, &mut state.normed);
            let rows = Rows { data: &state.normed, stride: dim };
            layer.lstm.project_into(steps, rows, &mut state.gates);
            layer.lstm.run_residual(steps, &mut state.gates, recurrent, &mut state.x);
        }
        let first = out.len();
        out.resize(first + steps * dim, 0.0);
        self.norm.forward_into(&state.x, &mut out[first..]);
    }
}

/// Where the columns of the input projection, which the weights store as `[stack, channels, bins]`, stand in the order
/// `[stack, bins, channels]`, which the convolution here puts out.
fn channels_last(stack: usize, channels: usize, bins: usize) -> Vec<usize> {
    let place = |i: usize| {
        let (frame, m, c) = (i / (channels * bins), i / channels % bins, i % channels);
        (frame * channels + c) * bins + m
    };
    (0..stack * channels * bins).map(place).collect()
}
