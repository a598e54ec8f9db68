//! How the weights of the frames become one context.

use crate::nn::Activations;
use crate::nn::kernels::kernels;
use crate::nn::{Linear, Lstm, Rows, RowsMut};

/// Added to the variance of keys in an area before the root.
const AREA_EPS: f32 = 1e-6;

/// What becomes of the energies.
#[derive(Debug)]
pub enum Mix {
    /// Softmax (equations 8 and 9 of Jaitly et al., 2016).
    Soft,
    /// The frame with the highest energy alone.
    Hard,
    /// The last frame of the block, whatever the energies: no attention.
    Last,
    /// Softmax over runs of adjacent frames (Li et al., 2019).
    Area(Areas),
    /// Softmax, then less for frames far from a place that the query predicts (local-p of Luong et al., 2015).
    Predictive(Prediction),
    /// The energies go through a recurrent net whose softmax are the weights (section 2.5 of Jaitly et al., 2016).
    Recurrent(Modulation),
}

impl Mix {
    /// Number of weights.
    pub fn num_parameters(&self) -> usize {
        match self {
            Self::Soft | Self::Hard | Self::Last => 0,
            Self::Area(areas) => areas.num_parameters(),
            Self::Predictive(p) => p.place.num_parameters() + p.energy.len(),
            Self::Recurrent(m) => m.cell.num_parameters() + m.weigh.num_parameters(),
        }
    }
}

/// Runs of 1 to `max_area` adjacent frames.
#[derive(Debug)]
pub struct Areas {
    /// Frames in the longest run.
    pub max_area: usize,
    /// Added to the energies, `[heads, max_area]`.
    pub bias: Vec<f32>,
    /// Whether a run is worth the sum of its values rather than their mean.
    pub sum: bool,
    /// Makes the key of a run of its mean, deviation and length; the mean itself without.
    pub key: Option<AreaKey>,
}

/// `out(relu(inner([mean; deviation; width])))`, shared by the heads.
#[derive(Debug)]
pub struct AreaKey {
    /// `[max_area, n]`.
    pub width: Vec<f32>,
    /// To `n` values.
    pub inner: Linear,
    /// To the key.
    pub out: Linear,
}

/// A place among the frames in sight, by head: `sigmoid(v.tanh(place(s)))` of the way from the first to the last.
#[derive(Debug)]
pub struct Prediction {
    /// From the query's state.
    pub place: Linear,
    /// `v`, `[heads, n]`.
    pub energy: Vec<f32>,
}

/// An LSTM over output steps, from and to one value for every place of every head.
#[derive(Debug)]
pub struct Modulation {
    /// Inputs `[heads, positions]`.
    pub cell: Lstm,
    /// Outputs `[heads, positions]`.
    pub weigh: Linear,
}

impl Areas {
    fn num_parameters(&self) -> usize {
        let key = self.key.as_ref().map_or(0, |key| {
            key.width.len() + key.inner.num_parameters() + key.out.num_parameters()
        });
        self.bias.len() + key
    }

    /// Key of the run `keys`, each row `n` values from `start` on.
    pub(super) fn key_into<'a>(
        &self,
        keys: &(impl ExactSizeIterator<Item = &'a [f32]> + Clone),
        key: &mut Vec<f32>,
        hidden: &mut Vec<f32>,
        activations: &mut Activations,
    ) {
        let width = keys.len();
        let share = 1.0 / width as f32;
        let n = keys.clone().next().map_or(0, <[f32]>::len);
        key.clear();
        key.resize(n, 0.0);
        for row in keys.clone() {
            kernels().add_scaled(share, row, key);
        }
        let Some(AreaKey { width: widths, inner, out }) = &self.key else { return };
        for i in 0..n {
            let squares = keys.clone().map(|row| row[i] * row[i]).sum::<f32>() * share;
            key.push(((squares - key[i] * key[i]).max(0.0) + AREA_EPS).sqrt());
        }
        key.extend_from_slice(&widths[(width - 1) * n..width * n]);
        hidden.resize(n, 0.0);
        inner.forward_into(1, key, hidden, activations);
        for v in hidden.iter_mut() {
            *v = v.max(0.0);
        }
        key.truncate(n);
        out.forward_into(1, hidden, key, activations);
    }
}

impl Prediction {
    /// Lowers `weights` far from the place that `row` (`place` of the query's state, the head's `n` values) predicts for `head`;
    /// the spread is a quarter of the number of frames.
    pub(super) fn lower(&self, head: usize, row: &[f32], weights: &mut [f32]) {
        let energy = &self.energy[head * row.len()..(head + 1) * row.len()];
        let sum: f32 = energy.iter().zip(row).map(|(v, x)| v * x.tanh()).sum();
        let count = weights.len() as f32;
        let place = (count - 1.0) / (1.0 + (-sum).exp());
        let spread = count / 4.0;
        for (j, weight) in weights.iter_mut().enumerate() {
            let distance = j as f32 - place;
            *weight *= (-distance * distance / (2.0 * spread * spread)).exp();
        }
    }
}

impl Modulation {
    /// Replaces the energies by place `[heads, positions]` by the net's; `old` and `new` are its state `[h, c]`.
    pub(super) fn run(
        &self,
        energies: &mut [f32],
        old: &[f32],
        new: &mut [f32],
        gates: &mut Vec<f32>,
        activations: &mut Activations,
    ) {
        let inputs = energies.len();
        gates.resize(4 * self.cell.hidden(), 0.0);
        let stride = 2 * self.cell.hidden();
        self.cell.project_into(1, Rows { data: energies, stride: inputs }, gates, activations);
        let mut next = RowsMut { data: new, stride };
        self.cell.step_into(1, gates, Rows { data: old, stride }, &mut next, activations);
        self.weigh.forward_into(1, &next.data[..self.cell.hidden()], energies, activations);
    }
}

/// Sum of `values` under `weights` (equation 9).
pub(super) fn soft<'a>(
    weights: &[f32],
    values: impl Iterator<Item = &'a [f32]>,
    context: &mut [f32],
) {
    context.fill(0.0);
    for (weight, value) in weights.iter().zip(values) {
        kernels().add_scaled(*weight, value, context);
    }
}

/// 1 for the highest energy (the first of equal ones), 0 for the others.
pub(super) fn hard(energies: &mut [f32]) {
    let best = (0..energies.len()).rev().max_by(|a, b| energies[*a].total_cmp(&energies[*b]));
    energies.iter_mut().enumerate().for_each(|(i, e)| *e = f32::from(Some(i) == best));
}
