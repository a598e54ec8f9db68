//! How a query and a key are compared.

use crate::nn::kernels::kernels;

/// Frames that a location filter spans.
pub const LOCATION_TAPS: usize = 5;
/// Location filters.
pub const LOCATION_FILTERS: usize = 4;

/// As in `PyTorch`'s `normalize`.
const MIN_NORM: f32 = 1e-12;

/// The energy `e_j` of a frame, head by head; `q` and `k` are the head's parts of query and key, `n` values each.
#[derive(Debug)]
pub enum Score {
    /// `scale q.k`: plain with scale 1, scaled with `1 / sqrt(n)` (Vaswani et al., 2017), general (Luong et al., 2015) where
    /// the keys are the frames themselves.
    Dot {
        /// Factor.
        scale: f32,
    },
    /// `sharpness q.k / (|q| |k|)`; keys come normalised.
    Cosine {
        /// By head.
        sharpness: Vec<f32>,
    },
    /// `v.tanh(q + k)` (Bahdanau et al., 2015; equation 7 of Jaitly et al., 2016).
    Additive {
        /// `v`, `[heads, n]`.
        energy: Vec<f32>,
    },
    /// `v.tanh(q + k + U f)`, `f` the weights of the step before under a few filters (Chorowski et al., 2015).
    Location {
        /// `v`, `[heads, n]`.
        energy: Vec<f32>,
        /// `[LOCATION_FILTERS, LOCATION_TAPS]`.
        filters: Vec<f32>,
        /// `U`, `[heads, n, LOCATION_FILTERS]`.
        location: Vec<f32>,
    },
    /// `v.k` of keys that come through tanh: what a frame is worth whatever the query (Chen et al., 2016).
    Latent {
        /// `v`, `[heads, n]`.
        energy: Vec<f32>,
    },
}

impl Score {
    /// Number of weights.
    pub fn num_parameters(&self) -> usize {
        match self {
            Self::Dot { .. } => 0,
            Self::Cosine { sharpness: energy }
            | Self::Additive { energy }
            | Self::Latent { energy } => energy.len(),
            Self::Location { energy, filters, location } => {
                energy.len() + filters.len() + location.len()
            }
        }
    }

    /// Brings keys `[frames, heads, n]` into the form that [`Score::energies_into`] takes.
    pub(super) fn prepare_keys(&self, keys: &mut [f32], n: usize) {
        match self {
            Self::Latent { .. } => keys.iter_mut().for_each(|k| *k = k.tanh()),
            Self::Cosine { .. } => keys.chunks_exact_mut(n).for_each(normalize),
            Self::Dot { .. } | Self::Additive { .. } | Self::Location { .. } => {}
        }
    }

    /// Brings queries `[heads, n]` into that form.
    pub(super) fn prepare_queries(&self, queries: &mut [f32], n: usize) {
        if let Self::Cosine { .. } = self {
            queries.chunks_exact_mut(n).for_each(normalize);
        }
    }

    /// The energy of one frame; `before` are the weights of the step before at this frame and its neighbours.
    pub(super) fn energy(
        &self,
        head: usize,
        query: &[f32],
        key: &[f32],
        before: &[f32; LOCATION_TAPS],
    ) -> f32 {
        let own = |rows: &'_ [f32]| head * rows.len()..(head + 1) * rows.len();
        match self {
            Self::Dot { scale } => kernels().dot(query, key) * scale,
            Self::Cosine { sharpness } => kernels().dot(query, key) * sharpness[head],
            Self::Latent { energy } => kernels().dot(&energy[own(key)], key),
            Self::Additive { energy } => {
                let sums = query.iter().zip(key).map(|(q, k)| (q + k).tanh());
                energy[own(key)].iter().zip(sums).map(|(v, x)| v * x).sum()
            }
            Self::Location { energy, filters, location } => {
                let mut seen = [0.0; LOCATION_FILTERS];
                for (seen, filter) in seen.iter_mut().zip(filters.chunks_exact(LOCATION_TAPS)) {
                    *seen = filter.iter().zip(before).map(|(f, w)| f * w).sum();
                }
                let place = location[head * key.len() * LOCATION_FILTERS..]
                    .chunks_exact(LOCATION_FILTERS)
                    .map(|row| row.iter().zip(&seen).map(|(u, f)| u * f).sum::<f32>());
                let sums = query.iter().zip(key).zip(place).map(|((q, k), p)| (q + k + p).tanh());
                energy[own(key)].iter().zip(sums).map(|(v, x)| v * x).sum()
            }
        }
    }
}

fn normalize(row: &mut [f32]) {
    let norm = kernels().dot(row, row).sqrt().max(MIN_NORM);
    for v in row {
        *v /= norm;
    }
}

/// A learnt bias on the place of a frame, counted from the end of the block. Three quarters of the places lie before it.
#[derive(Debug, Default)]
pub struct PositionBias {
    /// `[heads, positions]`; none for no bias.
    values: Vec<f32>,
    positions: usize,
}

impl PositionBias {
    /// From `[num_heads, positions]`; none for no bias.
    ///
    /// # Panics
    /// If the length is no multiple of `num_heads`.
    pub fn new(values: Vec<f32>, num_heads: usize) -> Self {
        let positions = values.len() / num_heads;
        assert_eq!(positions * num_heads, values.len());
        Self { values, positions }
    }

    /// Number of weights.
    pub fn num_parameters(&self) -> usize {
        self.values.len()
    }

    /// Number of places.
    pub(super) fn positions(&self) -> usize {
        self.positions
    }

    /// Place of a frame that stands `offset` frames after the end of the block (negative inside and before it); outside
    /// `0..positions` where it has none of its own.
    pub(super) fn place(&self, offset: isize) -> isize {
        offset.saturating_add_unsigned(self.positions * 3 / 4)
    }

    /// Bias of such a frame, which shares the outermost place if it has none of its own.
    pub(super) fn at(&self, head: usize, offset: isize) -> f32 {
        if self.positions == 0 {
            return 0.0;
        }
        let place = self.place(offset).clamp(0, self.positions as isize - 1) as usize;
        self.values[head * self.positions + place]
    }
}
