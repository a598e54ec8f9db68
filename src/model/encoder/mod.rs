//! The encoder: subsampling front end and unidirectional residual LSTM layers; before the last subsampling there may be more of them, or
//! layers that see frames around their own.

mod center;
mod context;
mod recurrence;

use super::self_attention::{SelfAttention, SelfAttentionScratch};
use crate::config::{FrontendConfig, ModelConfig};
use crate::error::Result;
use crate::nn::{Conv2d, ConvScratch, ConvState, LayerNorm, Linear};
use crate::weights::Weights;
use center::{RunningMean, RunningMeanState};
use context::{ContextLayers, ContextScratch, ContextState};
use recurrence::{Fine, Layer, Places, Recurrence, by_step, load_layers, load_projection};

/// Feature frames that pass the front end at once; bounds what it keeps.
const FEED_FRAMES: usize = 8;

/// Encoder weights.
#[derive(Debug)]
pub(super) struct Encoder {
    running_mean: Option<RunningMean>,
    convs: Option<[Conv2d; 2]>,
    context: Option<ContextLayers>,
    input: Linear,
    fine: Option<Fine>,
    layers: Vec<Layer>,
    self_attention: Vec<SelfAttention>,
    norm: LayerNorm,
    inputs: usize,
    dim: usize,
    lag: usize,
}

/// What one stream keeps between calls to the encoder.
#[derive(Debug, Clone)]
pub struct EncoderState {
    running_mean: RunningMeanState,
    convs: Option<[ConvState; 2]>,
    context: ContextState,
    /// Encoder frames still to go in before the first comes out.
    lag: usize,
    /// Front-end frames not yet joined into an encoder frame.
    stack: Vec<f32>,
    /// `[layers, 2, dim]`: `h` and `c` of every layer, then those of the fine layers.
    recurrent: Vec<f32>,
    /// Keys and values of earlier frames, by layer of self-attention.
    histories: Vec<Vec<f32>>,
}

impl EncoderState {
    /// Encoder frames still to go in before the first comes out.
    pub fn lag_frames(&self) -> usize {
        self.lag
    }

    /// Bytes held.
    pub fn num_bytes(&self) -> usize {
        let convs = self.convs.iter().flatten().map(ConvState::num_bytes).sum::<usize>();
        let histories = self.histories.iter().map(Vec::capacity).sum::<usize>();
        let front = self.running_mean.num_bytes() + convs + self.context.num_bytes();
        front + (self.stack.capacity() + self.recurrent.capacity() + histories) * size_of::<f32>()
    }
}

/// Frames of several streams on their way through the encoder. Nothing in it outlives a run, so one serves any number of streams.
#[derive(Debug, Default)]
pub struct EncoderBatch {
    conv: ConvScratch,
    centered: Vec<f32>,
    between: Vec<f32>,
    /// Front-end frames of the stream that is being added, those its state held first.
    stack: Vec<f32>,
    /// Inputs of the first layer, stream by stream.
    joined: Vec<f32>,
    /// (encoder frames, row of the first) of every stream.
    spans: Vec<(usize, usize)>,
    /// Streams by falling number of frames.
    order: Vec<usize>,
    /// Results `[rows, dim]`, stream by stream.
    rows: Vec<f32>,
    recurrence: Recurrence,
    /// As [`EncoderState::recurrent`], by stream.
    recurrent: Vec<f32>,
    /// By stream: its histories, while its frames are here.
    histories: Vec<Vec<Vec<f32>>>,
    self_attention: SelfAttentionScratch,
    /// By stream: its context, while its frames are here.
    contexts: Vec<ContextState>,
    context: ContextScratch,
}

impl EncoderBatch {
    /// Number of streams.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no stream.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Encoder frames of all streams.
    pub fn num_rows(&self) -> usize {
        self.spans.iter().map(|(steps, _)| steps).sum()
    }

    /// Results `[num_rows, dim]`, those of the stream added first first.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// Number of encoder frames of the stream added `i`th, and the row of its first.
    pub fn span(&self, i: usize) -> (usize, usize) {
        self.spans[i]
    }
}

impl Encoder {
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) naming the first tensor that does not fit.
    pub fn load(config: &ModelConfig, weights: &Weights<'_>) -> Result<Self> {
        let dim = config.encoder.dim;
        let running_mean = config.encoder.running_mean.map(RunningMean::new);
        let (convs, inputs, context, input, fine) = match config.encoder.frontend {
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
                let context = ContextLayers::load(config, weights, c2, stack)?;
                let input = if let Some(layers) = &config.encoder.context_layers {
                    weights.linear("encoder.input", dim, stack * layers.dim)?
                } else {
                    load_projection(weights, "encoder.input", dim, [stack, c2, bins / 4])?
                };
                (Some(convs), bins, context, input, Fine::load(config, weights, c2, stack)?)
            }
            FrontendConfig::Linear { input_dim } => {
                (None, input_dim, None, weights.linear("encoder.input", dim, input_dim)?, None)
            }
        };
        let layers = load_layers(weights, "encoder.layers", config.encoder.num_layers, dim)?;
        let norm = weights.layer_norm("encoder.norm", dim)?;
        let self_attention = SelfAttention::load(&config.encoder, weights)?;
        let lag = config.encoder.lag_frames();
        Ok(Self {
            running_mean,
            convs,
            context,
            input,
            fine,
            layers,
            self_attention,
            norm,
            inputs,
            dim,
            lag,
        })
    }

    /// Values of a feature frame.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub fn num_parameters(&self) -> usize {
        self.convs.iter().flatten().map(Conv2d::num_parameters).sum::<usize>()
            + self.context.as_ref().map_or(0, ContextLayers::num_parameters)
            + self.input.num_parameters()
            + self.fine.as_ref().map_or(0, Fine::num_parameters)
            + self.layers.iter().map(Layer::num_parameters).sum::<usize>()
            + self.self_attention.iter().map(SelfAttention::num_parameters).sum::<usize>()
            + self.norm.num_parameters()
    }

    /// Bytes of recurrent state, buffers not counted.
    pub fn state_bytes(&self) -> usize {
        self.recurrent_size() * size_of::<f32>()
    }

    /// Values of [`EncoderState::recurrent`].
    fn recurrent_size(&self) -> usize {
        self.layers.len() * 2 * self.dim + self.fine.as_ref().map_or(0, Fine::state_size)
    }

    pub fn initial_state(&self) -> EncoderState {
        EncoderState {
            running_mean: RunningMean::initial_state(self.inputs),
            context: self.context.as_ref().map(ContextLayers::initial_state).unwrap_or_default(),
            lag: self.lag,
            convs: self.convs.as_ref().map(|c| [c[0].initial_state(), c[1].initial_state()]),
            stack: Vec::new(),
            recurrent: vec![0.0; self.recurrent_size()],
            histories: vec![Vec::new(); self.self_attention.len()],
        }
    }

    pub fn reset(&self, state: &mut EncoderState) {
        for (conv, state) in self.convs.iter().flatten().zip(state.convs.iter_mut().flatten()) {
            conv.reset(state);
        }
        state.running_mean.reset();
        if let Some(context) = &self.context {
            context.reset(&mut state.context);
        }
        state.lag = self.lag;
        state.stack.clear();
        state.recurrent.fill(0.0);
        state.histories.iter_mut().for_each(Vec::clear);
    }

    /// Adds a stream with its next feature frames.
    pub fn push(&self, batch: &mut EncoderBatch, state: &mut EncoderState, frames: &[f32]) {
        assert!(frames.len().is_multiple_of(self.inputs), "frames of {} values", self.inputs);
        assert_eq!(state.recurrent.len(), self.recurrent_size(), "foreign state");
        let width = self.context.as_ref().map_or(self.input.inputs(), ContextLayers::inputs);
        let first = batch.joined.len() / width;
        batch.stack.clear();
        batch.stack.extend_from_slice(&state.stack);
        for part in frames.chunks(FEED_FRAMES * self.inputs) {
            let part = if let Some(mean) = self.running_mean {
                batch.centered.clear();
                mean.center_into(&mut state.running_mean, part, &mut batch.centered);
                &batch.centered
            } else {
                part
            };
            if let (Some([c1, c2]), Some([s1, s2])) = (&self.convs, &mut state.convs) {
                batch.between.clear();
                c1.forward_into(s1, part, &mut batch.conv, &mut batch.between);
                c2.forward_into(s2, &batch.between, &mut batch.conv, &mut batch.stack);
            } else {
                batch.stack.extend_from_slice(part);
            }
            let whole = batch.stack.len() / width * width;
            batch.joined.extend(batch.stack.drain(..whole));
        }
        state.stack.clear();
        state.stack.extend_from_slice(&batch.stack);
        let count = batch.joined.len() / width - first;
        batch.spans.push((count, first));
        state.lag = state.lag.saturating_sub(count);
        batch.contexts.push(std::mem::take(&mut state.context));
        batch.recurrent.extend_from_slice(&state.recurrent);
        batch.histories.push(std::mem::take(&mut state.histories));
    }

    /// Runs the layers over all streams that were added. A stream's results do not depend on the others.
    pub fn run(&self, batch: &mut EncoderBatch) {
        if let Some(context) = &self.context {
            let EncoderBatch { spans, joined, contexts, context: scratch, .. } = batch;
            context.run(contexts, spans, joined, scratch);
        }
        let (dim, rows) = (self.dim, batch.joined.len() / self.input.inputs());
        let EncoderBatch { spans, order, joined, rows: out, recurrence, recurrent, .. } = batch;
        order.clear();
        order.extend(0..spans.len());
        order.sort_unstable_by_key(|i| (usize::MAX - spans[*i].0, *i));
        out.resize(rows * dim, 0.0);
        self.input.forward_into(rows, joined, out, &mut recurrence.activations);
        let size = self.recurrent_size();
        if let Some(fine) = &self.fine {
            let states = Places { data: recurrent, size, first: self.layers.len() * 2 * dim };
            fine.add_into(spans, order, joined, states, recurrence, out);
        }
        recurrence.spans.clear();
        recurrence.spans.extend_from_slice(spans);
        let mut states = Places { data: recurrent, size, first: 0 };
        recurrence.run(&self.layers, dim, order, out, &mut states);
        let Recurrence { x, normed, .. } = recurrence;
        if self.self_attention.is_empty() {
            self.norm.forward_into(x, normed);
            for (row, to) in by_step(spans, order).enumerate() {
                batch.rows[to * dim..][..dim].copy_from_slice(&normed[row * dim..][..dim]);
            }
            return;
        }
        for (row, to) in by_step(spans, order).enumerate() {
            normed[to * dim..][..dim].copy_from_slice(&x[row * dim..][..dim]);
        }
        for ((steps, first), histories) in batch.spans.iter().zip(&mut batch.histories) {
            let rows = &mut batch.recurrence.normed[first * dim..(first + steps) * dim];
            for (layer, history) in self.self_attention.iter().zip(histories) {
                layer.forward(rows, history, &mut batch.self_attention);
            }
        }
        self.norm.forward_into(&batch.recurrence.normed, &mut batch.rows);
    }
}

impl EncoderBatch {
    /// Gives the stream added `i`th its new state once the batch has run. Its frames are the rows [`span`](Self::span) of
    /// [`rows`](Self::rows).
    ///
    /// # Panics
    /// If fewer were added or `state` comes from another model.
    pub fn pull(&mut self, i: usize, state: &mut EncoderState) {
        let size = state.recurrent.len();
        state.recurrent.copy_from_slice(&self.recurrent[i * size..][..size]);
        state.histories = std::mem::take(&mut self.histories[i]);
        state.context = std::mem::take(&mut self.contexts[i]);
    }

    /// Forgets all streams.
    pub fn clear(&mut self) {
        self.joined.clear();
        self.spans.clear();
        self.recurrent.clear();
        self.rows.clear();
        self.histories.clear();
        self.contexts.clear();
    }
}
