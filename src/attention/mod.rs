//! Attention over the limited window of encoder frames that a block may see
//! (equation 4 and section 2.5 of Jaitly et al., 2016). The kinds and their equations: docs/attention.md.

mod look;
mod memory;
mod mix;
mod score;
mod window;

pub use memory::{KeyValues, Projected};
pub use mix::{AreaKey, Areas, Mix, Modulation, Prediction};
pub use score::{LOCATION_FILTERS, LOCATION_TAPS, PositionBias, Score};
pub use window::Window;

use crate::nn::Activations;
use crate::nn::kernels::kernels;
use crate::nn::{Linear, Rows, RowsMut};
use look::{Row, Sight};

/// Multi-head attention.
#[derive(Debug)]
pub struct Attention {
    /// To `[heads, n]`; none where no energy depends on it.
    pub query: Option<Linear>,
    /// Where keys come from.
    pub key: Keys,
    /// To `[dim]`.
    pub value: Linear,
    /// Energies.
    pub score: Score,
    /// Added to them.
    pub position_bias: PositionBias,
    /// What becomes of them.
    pub mix: Mix,
    /// How often it looks.
    pub hops: usize,
    /// From a context to what is added to the query's state for the next look.
    pub hop: Option<Linear>,
    /// Heads.
    pub num_heads: usize,
}

/// Where keys come from.
#[derive(Debug)]
pub enum Keys {
    /// There are none.
    None,
    /// The frames themselves, the same for all heads.
    Frames,
    /// `[dim]`.
    Linear(Linear),
}

/// What a run of rows sees: one block of one stream.
#[derive(Debug, Clone, Copy)]
pub struct BlockView<'a> {
    /// Number of rows.
    pub rows: usize,
    /// Frames of the stream.
    pub memory: &'a KeyValues,
    /// Geometry of its blocks.
    pub window: Window,
    /// The block.
    pub block: usize,
}

/// Buffers of one caller, kept between steps.
#[derive(Debug, Clone, Default)]
pub struct AttentionScratch {
    queries: Vec<f32>,
    /// States that later looks start from.
    states: Vec<f32>,
    /// `place` of the queries' states.
    places: Vec<f32>,
    energies: Vec<f32>,
    /// Weights of the step before, by frame in sight, with a margin at both ends.
    before: Vec<f32>,
    /// Energies by place.
    by_place: Vec<f32>,
    key: Vec<f32>,
    hidden: Vec<f32>,
    /// `[rows, heads]`, see [`AttentionScratch::centres`].
    centres: Vec<f32>,
    watched: Option<Watched>,
    pub(crate) activations: Activations,
}

/// Where the latest row looked.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// First frame in sight.
    pub first: usize,
    /// `[heads, frames in sight]`; runs of frames count evenly for each of theirs.
    pub weights: Vec<f32>,
}

impl AttentionScratch {
    /// Keeps the weights of every look from now on.
    pub fn watch(&mut self) {
        self.watched.get_or_insert_default();
    }

    /// Centres of mass of the latest looks, `[rows, heads]`, in frames from the nominal end of the row's block.
    pub fn centres(&self) -> &[f32] {
        &self.centres
    }

    /// The weights of the latest look, if it was watched.
    pub fn watched(&self) -> Option<&Watched> {
        self.watched.as_ref()
    }
}

impl Attention {
    /// # Panics
    /// If the widths do not fit each other.
    #[must_use]
    pub fn checked(self) -> Self {
        let dim = self.dim();
        assert!(dim.is_multiple_of(self.num_heads) && self.hops >= 1);
        assert_eq!(self.hops > 1, self.hop.is_some());
        match &self.key {
            Keys::None => {}
            Keys::Frames => assert_eq!(self.value.inputs() * self.num_heads, self.query_dim()),
            Keys::Linear(key) => {
                let query = self.query.as_ref().map_or(dim, Linear::outputs);
                assert!(key.outputs() == dim && query == dim);
            }
        }
        self
    }

    /// Width of a context, all heads together.
    pub fn dim(&self) -> usize {
        self.value.outputs()
    }

    fn query_dim(&self) -> usize {
        self.query.as_ref().map_or(0, Linear::outputs)
    }

    /// Values that one step leaves to the next.
    pub fn state_size(&self) -> usize {
        self.recurrent_size() + self.weights_size()
    }

    fn recurrent_size(&self) -> usize {
        if let Mix::Recurrent(m) = &self.mix { 2 * m.cell.hidden() } else { 0 }
    }

    fn weights_size(&self) -> usize {
        match self.score {
            Score::Location { .. } => self.num_heads * self.position_bias.positions(),
            _ => 0,
        }
    }

    /// Number of weights and biases.
    pub fn num_parameters(&self) -> usize {
        let key = if let Keys::Linear(key) = &self.key { key.num_parameters() } else { 0 };
        let linear = |l: &Option<Linear>| l.as_ref().map_or(0, Linear::num_parameters);
        key + linear(&self.query)
            + linear(&self.hop)
            + self.value.num_parameters()
            + self.score.num_parameters()
            + self.position_bias.num_parameters()
            + self.mix.num_parameters()
    }

    /// Computes keys and values of encoder frames `[n, encoder dim]` and appends them.
    ///
    /// # Panics
    /// If `frames` is not a whole number of frames.
    pub fn project_into(&self, frames: &[f32], memory: &mut KeyValues) {
        let mut projected = Projected::default();
        self.project_rows_into(frames, &mut projected);
        let count = frames.len() / self.value.inputs();
        self.append(&projected, 0, count, memory);
    }

    /// Computes keys and values of encoder frames `[n, encoder dim]` of any streams.
    ///
    /// # Panics
    /// If `frames` is not a whole number of frames.
    pub fn project_rows_into(&self, frames: &[f32], projected: &mut Projected) {
        let inputs = self.value.inputs();
        assert!(frames.len().is_multiple_of(inputs), "frames of {inputs} values are needed");
        let count = frames.len() / inputs;
        let Projected { keys, values, activations } = projected;
        values.resize(count * self.dim(), 0.0);
        self.value.forward_into(count, frames, values, activations);
        match &self.key {
            Keys::None => keys.clear(),
            Keys::Frames => {
                keys.clear();
                keys.extend_from_slice(frames);
            }
            Keys::Linear(key) => {
                keys.resize(count * self.dim(), 0.0);
                key.forward_into(count, frames, keys, activations);
                self.score.prepare_keys(keys, self.dim() / self.num_heads);
            }
        }
    }

    /// Appends `count` frames from row `first` on to the memory of their stream.
    ///
    /// # Panics
    /// If there are fewer rows.
    pub fn append(
        &self,
        projected: &Projected,
        first: usize,
        count: usize,
        memory: &mut KeyValues,
    ) {
        let rows = |dim: usize| first * dim..(first + count) * dim;
        let key_dim = match self.key {
            Keys::None => 0,
            Keys::Frames => self.value.inputs(),
            Keys::Linear(_) => self.dim(),
        };
        memory.append(count, &projected.keys[rows(key_dim)], &projected.values[rows(self.dim())]);
    }

    /// Contexts `[batch, dim]` for the states `s`, whose rows see what `views` says, one run of rows after the other. `old` and
    /// `new` are what steps leave to the next, rows of [`Attention::state_size`] values after one that names the block.
    ///
    /// # Panics
    /// If a block sees no frame, or one that was discarded, or a slice is too short.
    #[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename them")]
    pub fn attend_into<'m>(
        &self,
        batch: usize,
        s: Rows<'_>,
        views: &(impl Iterator<Item = BlockView<'m>> + Clone),
        old: Rows<'_>,
        new: &mut RowsMut<'_>,
        scratch: &mut AttentionScratch,
        contexts: &mut [f32],
    ) {
        self.look(batch, s, views.clone(), old, new, scratch, contexts);
        let Some(hop) = &self.hop else { return };
        let width = hop.outputs();
        let mut states = std::mem::take(&mut scratch.states);
        states.clear();
        for row in 0..batch {
            states.extend_from_slice(&s.data[row * s.stride..][..width]);
        }
        for _ in 1..self.hops {
            scratch.hidden.resize(batch * width, 0.0);
            hop.forward_into(batch, contexts, &mut scratch.hidden, &mut scratch.activations);
            kernels().add_scaled(1.0, &scratch.hidden, &mut states);
            let s = Rows { data: &states, stride: width };
            self.look(batch, s, views.clone(), old, new, scratch, contexts);
        }
        scratch.states = states;
    }

    #[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename them")]
    fn look<'m>(
        &self,
        batch: usize,
        s: Rows<'_>,
        views: impl Iterator<Item = BlockView<'m>>,
        old: Rows<'_>,
        new: &mut RowsMut<'_>,
        scratch: &mut AttentionScratch,
        contexts: &mut [f32],
    ) {
        let (dim, query_dim) = (self.dim(), self.query_dim());
        let mut queries = std::mem::take(&mut scratch.queries);
        let mut places = std::mem::take(&mut scratch.places);
        queries.resize(batch * query_dim, 0.0);
        if let Some(query) = &self.query {
            query.forward_rows_into(batch, s, &mut queries, &mut scratch.activations);
            self.score.prepare_queries(&mut queries, query_dim / self.num_heads);
        }
        let place_dim = if let Mix::Predictive(p) = &self.mix { p.place.outputs() } else { 0 };
        places.resize(batch * place_dim, 0.0);
        if let Mix::Predictive(p) = &self.mix {
            p.place.forward_rows_into(batch, s, &mut places, &mut scratch.activations);
        }
        let state_size = self.state_size();
        scratch.centres.clear();
        let mut i = 0;
        for BlockView { rows, memory, window, block } in views {
            let visible = window.visible(block, memory.num_frames());
            assert!(!visible.is_empty(), "block {block} sees no frame");
            assert!(visible.start >= memory.first(), "frame {} was discarded", visible.start);
            let (keys, values) = memory.range(visible.start, visible.end);
            let (first, count) = (visible.start, visible.len());
            let sight = Sight { keys, values, window, block, first, count };
            for _ in 0..rows {
                let before = (state_size > 0).then(|| {
                    let row = &old.data[i * old.stride..][..=state_size];
                    (&row[1..], row[0] as usize)
                });
                let row = Row {
                    query: &queries[i * query_dim..][..query_dim],
                    place: &places[i * place_dim..][..place_dim],
                    old: before,
                };
                let context = &mut contexts[i * dim..][..dim];
                let kept = match before {
                    Some(_) => &mut new.data[i * new.stride + 1..][..state_size],
                    None => &mut [],
                };
                self.mix_into(&row, &sight, scratch, kept, context);
                i += 1;
            }
        }
        assert_eq!(i, batch, "a view for every row");
        scratch.queries = queries;
        scratch.places = places;
    }
}

#[cfg(test)]
mod tests;
