//! The encoder: subsampling front end and unidirectional residual LSTM layers.

use super::self_attention::{SelfAttention, SelfAttentionScratch};
use super::weights::Weights;
use crate::config::{FrontendConfig, ModelConfig};
use crate::error::Result;
use crate::nn::{Conv2d, ConvScratch, ConvState, LayerNorm, Linear, Lstm, Rows};

/// Feature frames that pass the front end at once; bounds what it keeps.
const FEED_FRAMES: usize = 8;

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
    self_attention: Vec<SelfAttention>,
    norm: LayerNorm,
    inputs: usize,
    dim: usize,
}

/// What one stream keeps between calls to the encoder.
#[derive(Debug, Clone)]
pub struct EncoderState {
    convs: Option<[ConvState; 2]>,
    /// Front-end frames not yet joined into an encoder frame.
    stack: Vec<f32>,
    /// `[layers, 2, dim]`: `h` and `c` of every layer.
    recurrent: Vec<f32>,
    /// Keys and values of earlier frames, by layer of self-attention.
    histories: Vec<Vec<f32>>,
}

impl EncoderState {
    /// Bytes held.
    pub fn num_bytes(&self) -> usize {
        let convs = self.convs.iter().flatten().map(ConvState::num_bytes).sum::<usize>();
        let histories = self.histories.iter().map(Vec::capacity).sum::<usize>();
        convs + (self.stack.capacity() + self.recurrent.capacity() + histories) * size_of::<f32>()
    }
}

/// Frames of several streams on their way through the encoder. Nothing in it outlives a run, so one serves any number of streams.
#[derive(Debug, Default)]
pub struct EncoderBatch {
    conv: ConvScratch,
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
    /// As `rows`, step by step in the order of `order`.
    x: Vec<f32>,
    normed: Vec<f32>,
    gates: Vec<f32>,
    /// `[streams, layers, 2, dim]`.
    recurrent: Vec<f32>,
    /// `[streams, dim]` each, in the order of `order`.
    h: Vec<f32>,
    c: Vec<f32>,
    /// By stream: its histories, while its frames are here.
    histories: Vec<Vec<Vec<f32>>>,
    self_attention: SelfAttentionScratch,
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
        let self_attention = SelfAttention::load(&config.encoder, weights)?;
        Ok(Self { convs, input, layers, self_attention, norm, inputs, dim })
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
            + self.self_attention.iter().map(SelfAttention::num_parameters).sum::<usize>()
            + self.norm.num_parameters()
    }

    /// Bytes of recurrent state, buffers not counted.
    pub fn state_bytes(&self) -> usize {
        self.layers.len() * 2 * self.dim * size_of::<f32>()
    }

    pub fn initial_state(&self) -> EncoderState {
        EncoderState {
            convs: self.convs.as_ref().map(|c| [c[0].initial_state(), c[1].initial_state()]),
            stack: Vec::new(),
            recurrent: vec![0.0; self.layers.len() * 2 * self.dim],
            histories: vec![Vec::new(); self.self_attention.len()],
        }
    }

    pub fn reset(&self, state: &mut EncoderState) {
        for (conv, state) in self.convs.iter().flatten().zip(state.convs.iter_mut().flatten()) {
            conv.reset(state);
        }
        state.stack.clear();
        state.recurrent.fill(0.0);
        state.histories.iter_mut().for_each(Vec::clear);
    }

    /// Adds a stream with its next feature frames.
    pub fn push(&self, batch: &mut EncoderBatch, state: &mut EncoderState, frames: &[f32]) {
        assert!(frames.len().is_multiple_of(self.inputs), "frames of {} values", self.inputs);
        assert_eq!(state.recurrent.len(), self.layers.len() * 2 * self.dim, "foreign state");
        let width = self.input.inputs();
        let first = batch.joined.len() / width;
        batch.stack.clear();
        batch.stack.extend_from_slice(&state.stack);
        for part in frames.chunks(FEED_FRAMES * self.inputs) {
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
        batch.spans.push((batch.joined.len() / width - first, first));
        batch.recurrent.extend_from_slice(&state.recurrent);
        batch.histories.push(std::mem::take(&mut state.histories));
    }

    /// Runs the layers over all streams that were added. A stream's results do not depend on the others.
    pub fn run(&self, batch: &mut EncoderBatch) {
        let (dim, rows) = (self.dim, batch.joined.len() / self.input.inputs());
        let EncoderBatch { spans, order, joined, x, normed, gates, h, c, .. } = batch;
        order.clear();
        order.extend(0..spans.len());
        order.sort_unstable_by_key(|i| (usize::MAX - spans[*i].0, *i));
        batch.rows.resize(rows * dim, 0.0);
        x.resize(rows * dim, 0.0);
        normed.resize(rows * dim, 0.0);
        gates.resize(rows * 4 * dim, 0.0);
        self.input.forward_into(rows, joined, &mut batch.rows);
        for (row, from) in by_step(spans, order).enumerate() {
            x[row * dim..][..dim].copy_from_slice(&batch.rows[from * dim..][..dim]);
        }
        let layers = self.layers.len();
        h.resize(spans.len() * dim, 0.0);
        c.resize(spans.len() * dim, 0.0);
        for (l, layer) in self.layers.iter().enumerate() {
            let place = |i: usize| (i * layers + l) * 2 * dim;
            for ((i, h), c) in
                order.iter().zip(h.chunks_exact_mut(dim)).zip(c.chunks_exact_mut(dim))
            {
                h.copy_from_slice(&batch.recurrent[place(*i)..][..dim]);
                c.copy_from_slice(&batch.recurrent[place(*i) + dim..][..dim]);
            }
            layer.norm.forward_into(x, normed);
            layer.lstm.project_into(rows, Rows { data: normed, stride: dim }, gates);
            let mut row = 0;
            for n in (0..).map(|step| active(spans, order, step)).take_while(|n| *n > 0) {
                let (gates, x) = (&mut gates[row * 4 * dim..], &mut x[row * dim..]);
                layer.lstm.step_residual(n, gates, h, c, x);
                row += n;
            }
            for ((i, h), c) in order.iter().zip(h.chunks_exact(dim)).zip(c.chunks_exact(dim)) {
                batch.recurrent[place(*i)..][..dim].copy_from_slice(h);
                batch.recurrent[place(*i) + dim..][..dim].copy_from_slice(c);
            }
        }
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
            let rows = &mut normed[first * dim..(first + steps) * dim];
            for (layer, history) in self.self_attention.iter().zip(histories) {
                layer.forward(rows, history, &mut batch.self_attention);
            }
        }
        self.norm.forward_into(normed, &mut batch.rows);
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
    }

    /// Forgets all streams.
    pub fn clear(&mut self) {
        self.joined.clear();
        self.spans.clear();
        self.recurrent.clear();
        self.rows.clear();
        self.histories.clear();
    }
}

/// Streams that have a frame at `step`.
fn active(spans: &[(usize, usize)], order: &[usize], step: usize) -> usize {
    order.partition_point(|i| spans[*i].0 > step)
}

/// Rows stream by stream, in the order step by step.
fn by_step(spans: &[(usize, usize)], order: &[usize]) -> impl Iterator<Item = usize> {
    let steps = order.first().map_or(0, |i| spans[*i].0);
    (0..steps).flat_map(move |step| {
        order[..active(spans, order, step)].iter().map(move |i| spans[*i].1 + step)
    })
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
