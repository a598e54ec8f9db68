//! Recurrent layers over the frames of several streams, and those before the frames are joined.

use super::Weights;
use crate::config::{FineLayersConfig, ModelConfig};
use crate::error::Result;
use crate::nn::Activations;
use crate::nn::kernels::kernels;
use crate::nn::{LayerNorm, Linear, Lstm, Rows};

#[derive(Debug)]
pub(super) struct Layer {
    norm: LayerNorm,
    lstm: Lstm,
}

impl Layer {
    pub fn num_parameters(&self) -> usize {
        self.norm.num_parameters() + self.lstm.num_parameters()
    }
}

/// Layers on the front end's frames before these are joined; what they make of the joined ones is added to the input.
#[derive(Debug)]
pub(super) struct Fine {
    input: Linear,
    layers: Vec<Layer>,
    norm: LayerNorm,
    output: Linear,
}

/// Buffers of recurrent layers, rows step by step in the order of falling number of frames.
#[derive(Debug, Default)]
pub(super) struct Recurrence {
    pub x: Vec<f32>,
    pub normed: Vec<f32>,
    gates: Vec<f32>,
    /// `[streams, dim]` each.
    h: Vec<f32>,
    c: Vec<f32>,
    /// (frames, row of the first) of every stream.
    pub spans: Vec<(usize, usize)>,
    /// Frames before they are joined.
    fine: Vec<f32>,
    pub activations: Activations,
}

/// States of recurrent layers within those of their streams.
pub(super) struct Places<'a> {
    pub data: &'a mut [f32],
    /// Values of a stream.
    pub size: usize,
    /// Place of the first layer's.
    pub first: usize,
}

impl Recurrence {
    /// Runs residual layers over `rows` `[rows, dim]`, which stand stream by stream as `self.spans` says; the results stand in
    /// `self.x` step by step. `self.normed` has the same length.
    pub fn run(
        &mut self,
        layers: &[Layer],
        dim: usize,
        order: &[usize],
        rows: &[f32],
        states: &mut Places<'_>,
    ) {
        let Self { x, normed, gates, h, c, spans, activations, .. } = self;
        let count = rows.len() / dim;
        x.resize(count * dim, 0.0);
        normed.resize(count * dim, 0.0);
        gates.resize(count * 4 * dim, 0.0);
        for (row, from) in by_step(spans, order).enumerate() {
            x[row * dim..][..dim].copy_from_slice(&rows[from * dim..][..dim]);
        }
        h.resize(spans.len() * dim, 0.0);
        c.resize(spans.len() * dim, 0.0);
        for (l, layer) in layers.iter().enumerate() {
            let place = |i: usize| i * states.size + states.first + l * 2 * dim;
            for ((i, h), c) in
                order.iter().zip(h.chunks_exact_mut(dim)).zip(c.chunks_exact_mut(dim))
            {
                h.copy_from_slice(&states.data[place(*i)..][..dim]);
                c.copy_from_slice(&states.data[place(*i) + dim..][..dim]);
            }
            layer.norm.forward_into(x, normed);
            let rows = Rows { data: normed, stride: dim };
            layer.lstm.project_into(count, rows, gates, activations);
            let mut row = 0;
            for n in (0..).map(|step| active(spans, order, step)).take_while(|n| *n > 0) {
                let (gates, x) = (&mut gates[row * 4 * dim..], &mut x[row * dim..]);
                layer.lstm.step_residual(n, gates, h, c, x, activations);
                row += n;
            }
            for ((i, h), c) in order.iter().zip(h.chunks_exact(dim)).zip(c.chunks_exact(dim)) {
                states.data[place(*i)..][..dim].copy_from_slice(h);
                states.data[place(*i) + dim..][..dim].copy_from_slice(c);
            }
        }
    }
}

impl Fine {
    pub fn num_parameters(&self) -> usize {
        let layers = self.layers.iter().map(Layer::num_parameters).sum::<usize>();
        let output = self.output.inputs() * self.output.outputs();
        self.input.num_parameters() + layers + self.norm.num_parameters() + output
    }

    /// Values of a stream's state.
    pub fn state_size(&self) -> usize {
        self.layers.len() * 2 * self.norm.dim()
    }

    /// # Errors
    /// [`Error::Model`](crate::Error::Model) naming the first tensor that does not fit.
    pub fn load(
        config: &ModelConfig,
        weights: &Weights<'_>,
        channels: usize,
        stack: usize,
    ) -> Result<Option<Self>> {
        let Some(FineLayersConfig { dim, num_layers }) = config.encoder.fine_layers else {
            return Ok(None);
        };
        let bins = config.features.num_mel_bins / 4;
        let input = load_projection(weights, "encoder.fine_input", dim, [1, channels, bins])?;
        let outputs = config.encoder.dim;
        let output = weights.matrix("encoder.fine_output.weight", outputs, stack * dim)?;
        Ok(Some(Self {
            input,
            layers: load_layers(weights, "encoder.fine_layers", num_layers, dim)?,
            norm: weights.layer_norm("encoder.fine_norm", dim)?,
            output: Linear::from_packed(output.pack(stack * dim), vec![0.0; outputs]),
        }))
    }

    /// Adds to `rows` what the layers make of `joined`, both stream by stream.
    pub fn add_into(
        &self,
        spans: &[(usize, usize)],
        order: &[usize],
        joined: &[f32],
        mut states: Places<'_>,
        recurrence: &mut Recurrence,
        rows: &mut [f32],
    ) {
        let dim = self.norm.dim();
        let stack = self.output.inputs() / dim;
        let count = joined.len() / self.input.inputs();
        let mut fine = std::mem::take(&mut recurrence.fine);
        fine.resize(count * dim, 0.0);
        self.input.forward_into(count, joined, &mut fine, &mut recurrence.activations);
        recurrence.spans.clear();
        recurrence.spans.extend(spans.iter().map(|(steps, first)| (steps * stack, first * stack)));
        recurrence.run(&self.layers, dim, order, &fine, &mut states);
        let Recurrence { x, normed, gates: added, spans, activations, .. } = recurrence;
        self.norm.forward_into(x, normed);
        for (row, to) in by_step(spans, order).enumerate() {
            fine[to * dim..][..dim].copy_from_slice(&normed[row * dim..][..dim]);
        }
        let outputs = self.output.outputs();
        added.resize(count / stack * outputs, 0.0);
        self.output.forward_into(count / stack, &fine, added, activations);
        kernels().add_scaled(1.0, added, rows);
        recurrence.fine = fine;
    }
}

/// Residual layers `name.0`, `name.1` and so on.
pub(super) fn load_layers(
    weights: &Weights<'_>,
    name: &str,
    count: usize,
    dim: usize,
) -> Result<Vec<Layer>> {
    let layers = (0..count).map(|l| {
        Ok(Layer {
            norm: weights.layer_norm(&format!("{name}.{l}.norm"), dim)?,
            lstm: weights.lstm(&format!("{name}.{l}.lstm"), dim, dim)?,
        })
    });
    layers.collect()
}

/// Streams that have a frame at `step`.
fn active(spans: &[(usize, usize)], order: &[usize], step: usize) -> usize {
    order.partition_point(|i| spans[*i].0 > step)
}

/// Rows stream by stream, in the order step by step.
pub(super) fn by_step(spans: &[(usize, usize)], order: &[usize]) -> impl Iterator<Item = usize> {
    let steps = order.first().map_or(0, |i| spans[*i].0);
    (0..steps).flat_map(move |step| {
        order[..active(spans, order, step)].iter().map(move |i| spans[*i].1 + step)
    })
}

/// The projection `name` of joined frames `[stack, channels, bins]` of the front end to `dim` values.
pub(super) fn load_projection(
    weights: &Weights<'_>,
    name: &str,
    dim: usize,
    shape: [usize; 3],
) -> Result<Linear> {
    let width = shape.iter().product();
    let weight = weights.matrix(&format!("{name}.weight"), dim, width)?;
    let bias = weights.tensor(&format!("{name}.bias"), &[dim])?;
    let weight = weight.columns(width, &channels_last(shape));
    Ok(Linear::from_packed(weight.pack(width), bias))
}

/// Where the columns of the input projection, which the weights store as `[stack, channels, bins]`, stand in the order
/// `[stack, bins, channels]`, which the convolution here puts out.
fn channels_last([stack, channels, bins]: [usize; 3]) -> Vec<usize> {
    let place = |i: usize| {
        let (frame, m, c) = (i / (channels * bins), i / channels % bins, i % channels);
        (frame * channels + c) * bins + m
    };
    (0..stack * channels * bins).map(place).collect()
}
