//! Layers that see frames around their own, at the rate of the front end: time-delay layers (Waibel et al., 1989) with residuals.
//!
//! A layer that looks ahead puts a frame out when the last one it sees has come, so that results trail what goes in by the sum of what
//! the layers look ahead.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::Weights;
use super::recurrence::load_projection;
use crate::config::{ContextLayersConfig, ModelConfig};
use crate::error::Result;
use crate::nn::Activations;
use crate::nn::kernels::kernels;
use crate::nn::{LayerNorm, Linear};

/// `x_t + outer(relu(inner(normed frames around t)))`.
#[derive(Debug)]
struct ContextLayer {
    norm: LayerNorm,
    inner: Linear,
    outer: Linear,
    /// Places of the frames seen, from the earliest one kept.
    places: Vec<usize>,
    /// Frames kept before and after a layer's own.
    before: usize,
    after: usize,
}

/// All layers with what stands before and after them.
#[derive(Debug)]
pub(super) struct ContextLayers {
    input: Linear,
    layers: Vec<ContextLayer>,
    norm: LayerNorm,
    stack: usize,
    /// Whether normed frames have 16 bits.
    half: bool,
}

/// What one stream keeps, by layer.
#[derive(Debug, Clone, Default)]
pub(super) struct ContextState {
    layers: Vec<LayerState>,
}

#[derive(Debug, Clone)]
struct LayerState {
    /// The last normed frames, at most `before + after`; zeros before the start.
    seen: Kept,
    /// Frames whose later neighbours have not come, at most `after`.
    waiting: Vec<f32>,
}

/// Frames in the precision in which they are kept.
#[derive(Debug, Clone)]
enum Kept {
    Single(Vec<f32>),
    Half(Vec<f16>),
}

impl Kept {
    /// Zeros, with room for `capacity` values.
    fn zeros(values: usize, capacity: usize, half: bool) -> Self {
        let mut kept = if half {
            Self::Half(Vec::with_capacity(capacity))
        } else {
            Self::Single(Vec::with_capacity(capacity))
        };
        kept.fill_zeros(values);
        kept
    }

    fn fill_zeros(&mut self, values: usize) {
        match self {
            Self::Single(v) => {
                v.clear();
                v.resize(values, 0.0);
            }
            Self::Half(v) => {
                v.clear();
                v.resize(values, f16::ZERO);
            }
        }
    }

    fn append_to(&self, out: &mut Vec<f32>) {
        match self {
            Self::Single(v) => out.extend_from_slice(v),
            Self::Half(v) => {
                let start = out.len();
                out.resize(start + v.len(), 0.0);
                v.convert_to_f32_slice(&mut out[start..]);
            }
        }
    }

    fn replace(&mut self, values: &[f32]) {
        match self {
            Self::Single(v) => {
                v.clear();
                v.extend_from_slice(values);
            }
            Self::Half(v) => {
                v.resize(values.len(), f16::ZERO);
                v.convert_from_f32_slice(values);
            }
        }
    }

    fn num_bytes(&self) -> usize {
        match self {
            Self::Single(v) => v.capacity() * size_of::<f32>(),
            Self::Half(v) => v.capacity() * size_of::<f16>(),
        }
    }
}

/// Buffers of one caller. Nothing in them outlives a run.
#[derive(Debug, Default)]
pub(super) struct ContextScratch {
    /// Frames stream by stream.
    x: Vec<f32>,
    normed: Vec<f32>,
    /// What the layer sees for each frame that it puts out, and these frames before it.
    around: Vec<f32>,
    residual: Vec<f32>,
    inner: Vec<f32>,
    /// Kept frames of a stream, then its new ones.
    joined: Vec<f32>,
    halves: Vec<f16>,
    /// Frames of each stream.
    counts: Vec<usize>,
    activations: Activations,
}

impl ContextLayer {
    fn load(
        weights: &Weights<'_>,
        config: &ContextLayersConfig,
        layer: usize,
        offsets: &[isize],
    ) -> Result<Self> {
        let name = |leaf: &str| format!("encoder.context_layers.{layer}.{leaf}");
        let before = offsets.iter().map(|o| usize::try_from(-o).unwrap_or(0)).max().unwrap_or(0);
        let after = offsets.iter().map(|o| usize::try_from(*o).unwrap_or(0)).max().unwrap_or(0);
        let places = offsets.iter().map(|o| before.wrapping_add_signed(*o)).collect();
        let (dim, hidden) = (config.dim, config.hidden_dim);
        Ok(Self {
            norm: weights.layer_norm(&name("norm"), dim)?,
            inner: weights.linear(&name("inner"), hidden, offsets.len() * dim)?,
            outer: weights.linear(&name("outer"), dim, hidden)?,
            places,
            before,
            after,
        })
    }

    fn initial_state(&self, half: bool) -> LayerState {
        let dim = self.norm.dim();
        let most = (self.before + self.after) * dim;
        LayerState {
            seen: Kept::zeros(self.before * dim, most, half),
            waiting: Vec::with_capacity(self.after * dim),
        }
    }

    /// Takes the frames in `s.x`, as many of each stream as `s.counts` says, and leaves there those that are complete.
    fn run<'a>(
        &self,
        states: impl Iterator<Item = &'a mut ContextState>,
        layer: usize,
        half: bool,
        s: &mut ContextScratch,
    ) {
        let dim = self.norm.dim();
        s.normed.resize(s.x.len(), 0.0);
        self.norm.forward_into(&s.x, &mut s.normed);
        if half {
            // At once, so that results do not depend on where the frames were split.
            s.halves.resize(s.normed.len(), f16::ZERO);
            s.halves.convert_from_f32_slice(&s.normed);
            s.halves.convert_to_f32_slice(&mut s.normed);
        }
        s.around.clear();
        s.residual.clear();
        let mut row = 0;
        for (state, count) in states.zip(&mut s.counts) {
            let LayerState { seen, waiting } = &mut state.layers[layer];
            let new = row * dim..(row + *count) * dim;
            row += *count;
            s.joined.clear();
            seen.append_to(&mut s.joined);
            s.joined.extend_from_slice(&s.normed[new.clone()]);
            let held = s.joined.len() / dim;
            let complete = held.saturating_sub(self.before + self.after);
            for frame in 0..complete {
                for place in &self.places {
                    s.around.extend_from_slice(&s.joined[(frame + place) * dim..][..dim]);
                }
            }
            seen.replace(&s.joined[complete * dim..]);
            s.joined.clear();
            s.joined.extend_from_slice(waiting);
            s.joined.extend_from_slice(&s.x[new]);
            s.residual.extend_from_slice(&s.joined[..complete * dim]);
            waiting.clear();
            waiting.extend_from_slice(&s.joined[complete * dim..]);
            *count = complete;
        }
        let rows = s.residual.len() / dim;
        s.inner.resize(rows * self.inner.outputs(), 0.0);
        self.inner.forward_into(rows, &s.around, &mut s.inner, &mut s.activations);
        for v in &mut s.inner {
            *v = v.max(0.0);
        }
        s.x.resize(rows * dim, 0.0);
        self.outer.forward_into(rows, &s.inner, &mut s.x, &mut s.activations);
        kernels().add_scaled(1.0, &s.residual, &mut s.x);
    }
}

impl ContextLayers {
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) naming the first tensor that does not fit.
    pub fn load(
        config: &ModelConfig,
        weights: &Weights<'_>,
        channels: usize,
        stack: usize,
    ) -> Result<Option<Self>> {
        let Some(context) = &config.encoder.context_layers else {
            return Ok(None);
        };
        let bins = config.features.num_mel_bins / 4;
        let shape = [1, channels, bins];
        let input = load_projection(weights, "encoder.context_input", context.dim, shape)?;
        let layers = context.offsets.iter().enumerate();
        let layers = layers
            .map(|(l, offsets)| ContextLayer::load(weights, context, l, offsets))
            .collect::<Result<Vec<_>>>()?;
        Ok(Some(Self {
            input,
            half: layers.iter().all(|layer| layer.inner.is_int8()),
            layers,
            norm: weights.layer_norm("encoder.context_norm", context.dim)?,
            stack,
        }))
    }

    /// Values of what goes in for one encoder frame.
    pub fn inputs(&self) -> usize {
        self.stack * self.input.inputs()
    }

    pub fn num_parameters(&self) -> usize {
        let layer = |l: &ContextLayer| {
            l.norm.num_parameters() + l.inner.num_parameters() + l.outer.num_parameters()
        };
        self.input.num_parameters()
            + self.layers.iter().map(layer).sum::<usize>()
            + self.norm.num_parameters()
    }

    pub fn initial_state(&self) -> ContextState {
        let layers = self.layers.iter().map(|layer| layer.initial_state(self.half));
        ContextState { layers: layers.collect() }
    }

    pub fn reset(&self, state: &mut ContextState) {
        for (layer, state) in self.layers.iter().zip(&mut state.layers) {
            state.seen.fill_zeros(layer.before * self.norm.dim());
            state.waiting.clear();
        }
    }

    /// Replaces `joined`, what the front end has made for the streams' encoder frames, by what the layers make of it; `spans`, (encoder
    /// frames, row of the first) of every stream, become those of the frames that are complete.
    pub fn run(
        &self,
        states: &mut [ContextState],
        spans: &mut [(usize, usize)],
        joined: &mut Vec<f32>,
        s: &mut ContextScratch,
    ) {
        let rows = joined.len() / self.input.inputs();
        s.x.resize(rows * self.norm.dim(), 0.0);
        self.input.forward_into(rows, joined, &mut s.x, &mut s.activations);
        s.counts.clear();
        s.counts.extend(spans.iter().map(|(frames, _)| frames * self.stack));
        for (l, layer) in self.layers.iter().enumerate() {
            layer.run(states.iter_mut(), l, self.half, s);
        }
        joined.resize(s.x.len(), 0.0);
        self.norm.forward_into(&s.x, joined);
        let mut first = 0;
        for (span, count) in spans.iter_mut().zip(&s.counts) {
            *span = (count / self.stack, first);
            first += count / self.stack;
        }
    }
}

impl ContextState {
    pub fn num_bytes(&self) -> usize {
        let bytes = |l: &LayerState| l.seen.num_bytes() + l.waiting.capacity() * size_of::<f32>();
        self.layers.iter().map(bytes).sum()
    }
}
