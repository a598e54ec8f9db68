//! One row's look at the frames of its block.

use super::mix::{self, Areas, Mix};
use super::{Attention, AttentionScratch, Keys, LOCATION_TAPS, Window};
use crate::nn::kernels::kernels;

/// What one row brings along.
pub(super) struct Row<'a> {
    pub query: &'a [f32],
    /// `place` of its state.
    pub place: &'a [f32],
    /// What the step before left, and where.
    pub old: Option<(&'a [f32], usize)>,
}

/// The frames that a block sees.
pub(super) struct Sight<'a> {
    pub keys: &'a [f32],
    pub values: &'a [f32],
    pub window: Window,
    pub block: usize,
    /// First frame.
    pub first: usize,
    pub count: usize,
}

impl Sight<'_> {
    fn offset(&self, frame: usize) -> isize {
        self.window.offset(self.block, self.first + frame)
    }

    /// Centre of mass of weights of the frames in sight, or of those from `first` on, in frames from the block's nominal end.
    fn centre(&self, first: usize, weights: impl Iterator<Item = f32>) -> f32 {
        let middle = self.offset(first) as f32 + 0.5;
        let (mut sum, mut total) = (0.0, 0.0);
        for (frame, weight) in weights.enumerate() {
            sum += weight * (middle + frame as f32);
            total += weight;
        }
        sum / total.max(f32::MIN_POSITIVE)
    }
}

impl Attention {
    /// The context of one row.
    pub(super) fn mix_into(
        &self,
        row: &Row<'_>,
        sight: &Sight<'_>,
        scratch: &mut AttentionScratch,
        kept: &mut [f32],
        context: &mut [f32],
    ) {
        let n = self.dim() / self.num_heads;
        if let Some(watched) = &mut scratch.watched {
            watched.first = sight.first;
            watched.weights.clear();
        }
        if let Mix::Last = self.mix {
            let end = (sight.block + 1) * sight.window.block_frames;
            let last = end.min(sight.first + sight.count) - 1 - sight.first;
            context.copy_from_slice(&sight.values[last * self.dim()..][..self.dim()]);
            let centre = sight.centre(last, std::iter::once(1.0));
            scratch.centres.extend(std::iter::repeat_n(centre, self.num_heads));
            if let Some(watched) = &mut scratch.watched {
                let heads = (0..self.num_heads).flat_map(|_| 0..sight.count);
                watched.weights.extend(heads.map(|frame| f32::from(frame == last)));
            }
            return;
        }
        if let Mix::Recurrent(_) = self.mix {
            self.modulate(row, sight, scratch, kept);
        }
        for head in 0..self.num_heads {
            let own = head * n..(head + 1) * n;
            let values = sight.values.chunks_exact(self.dim()).map(|v| &v[own.clone()]);
            let context = &mut context[own.clone()];
            match &self.mix {
                Mix::Area(areas) => {
                    self.area_into(areas, head, row, sight, scratch, context);
                    continue;
                }
                Mix::Recurrent(_) => {
                    self.weights_by_place(head, sight, scratch);
                    kernels().softmax(&mut scratch.energies);
                }
                Mix::Hard => {
                    self.energies(head, row, sight, scratch);
                    mix::hard(&mut scratch.energies);
                }
                Mix::Soft | Mix::Predictive(_) | Mix::Last => {
                    self.energies(head, row, sight, scratch);
                    kernels().softmax(&mut scratch.energies);
                }
            }
            if let Mix::Predictive(prediction) = &self.mix {
                prediction.lower(head, &row.place[own.clone()], &mut scratch.energies);
            }
            if self.weights_size() > 0 {
                self.keep_weights(head, sight, &scratch.energies, kept);
            }
            if let Some(watched) = &mut scratch.watched {
                watched.weights.extend_from_slice(&scratch.energies);
            }
            scratch.centres.push(sight.centre(0, scratch.energies.iter().copied()));
            mix::soft(&scratch.energies, values, context);
        }
    }

    /// The head's part of a query or key.
    fn part<'a>(&self, head: usize, row: &'a [f32]) -> &'a [f32] {
        let n = row.len() / self.num_heads;
        &row[head * n..(head + 1) * n]
    }

    fn key_part<'a>(&self, head: usize, key: &'a [f32]) -> &'a [f32] {
        if let Keys::Frames = self.key { key } else { self.part(head, key) }
    }

    /// Energies of the frames in sight, with the bias.
    fn energies(
        &self,
        head: usize,
        row: &Row<'_>,
        sight: &Sight<'_>,
        scratch: &mut AttentionScratch,
    ) {
        let AttentionScratch { energies, before, .. } = scratch;
        let located = self.weights_before(head, row, sight, before);
        let query = self.part(head, row.query);
        let keys = sight.keys.chunks_exact(sight.keys.len() / sight.count);
        energies.clear();
        energies.extend(keys.enumerate().map(|(frame, key)| {
            let mut near = [0.0; LOCATION_TAPS];
            if located {
                near.copy_from_slice(&before[frame..frame + LOCATION_TAPS]);
            }
            self.score.energy(head, query, self.key_part(head, key), &near)
                + self.position_bias.at(head, sight.offset(frame))
        }));
    }

    /// Weights of the step before at the frames in sight, with a margin of zeros; whether the score wants them.
    fn weights_before(
        &self,
        head: usize,
        row: &Row<'_>,
        sight: &Sight<'_>,
        before: &mut Vec<f32>,
    ) -> bool {
        let Some((old, block)) = row.old.filter(|_| self.weights_size() > 0) else { return false };
        let weights = self.part(head, &old[self.recurrent_size()..]);
        before.clear();
        before.resize(sight.count + LOCATION_TAPS - 1, 0.0);
        // The first step of a stream finds block 0 and no weights.
        let moved = (sight.block + 1 - block) * sight.window.block_frames;
        for frame in 0..sight.count {
            let place =
                self.position_bias.place(sight.offset(frame)).saturating_add_unsigned(moved);
            let weight = usize::try_from(place).ok().and_then(|place| weights.get(place));
            before[frame + LOCATION_TAPS / 2] = weight.copied().unwrap_or(0.0);
        }
        true
    }

    fn keep_weights(&self, head: usize, sight: &Sight<'_>, weights: &[f32], kept: &mut [f32]) {
        let positions = self.position_bias.positions();
        let start = self.recurrent_size() + head * positions;
        let kept = &mut kept[start..start + positions];
        kept.fill(0.0);
        for (frame, weight) in weights.iter().enumerate() {
            let place = self.position_bias.place(sight.offset(frame));
            if let Some(slot) = usize::try_from(place).ok().and_then(|place| kept.get_mut(place)) {
                *slot = *weight;
            }
        }
    }

    /// Fills `scratch.by_place` with what the recurrent net makes of the energies of all heads.
    fn modulate(
        &self,
        row: &Row<'_>,
        sight: &Sight<'_>,
        scratch: &mut AttentionScratch,
        kept: &mut [f32],
    ) {
        let Mix::Recurrent(net) = &self.mix else { return };
        let positions = self.position_bias.positions();
        let mut by_place = std::mem::take(&mut scratch.by_place);
        by_place.clear();
        by_place.resize(self.num_heads * positions, 0.0);
        for head in 0..self.num_heads {
            self.energies(head, row, sight, scratch);
            for (frame, energy) in scratch.energies.iter().enumerate() {
                by_place[head * positions + self.place(sight, frame)] = *energy;
            }
        }
        let size = self.recurrent_size();
        if let Some((old, _)) = row.old {
            let AttentionScratch { hidden, activations, .. } = scratch;
            net.run(&mut by_place, &old[..size], &mut kept[..size], hidden, activations);
        }
        scratch.by_place = by_place;
    }

    fn weights_by_place(&self, head: usize, sight: &Sight<'_>, scratch: &mut AttentionScratch) {
        let positions = self.position_bias.positions();
        let AttentionScratch { energies, by_place, .. } = scratch;
        let place = |frame| by_place[head * positions + self.place(sight, frame)];
        energies.clear();
        energies.extend((0..sight.count).map(place));
    }

    /// Place of a frame in sight; the configuration has seen to it that there is one.
    fn place(&self, sight: &Sight<'_>, frame: usize) -> usize {
        let last = self.position_bias.positions() as isize - 1;
        self.position_bias.place(sight.offset(frame)).clamp(0, last) as usize
    }

    /// The head's context over runs of frames.
    fn area_into(
        &self,
        areas: &Areas,
        head: usize,
        row: &Row<'_>,
        sight: &Sight<'_>,
        scratch: &mut AttentionScratch,
        context: &mut [f32],
    ) {
        let AttentionScratch { energies, key, hidden, centres, watched, activations, .. } = scratch;
        let query = self.part(head, row.query);
        let key_dim = sight.keys.len() / sight.count;
        let runs = |width: usize| sight.count.saturating_sub(width - 1);
        energies.clear();
        for width in 1..=areas.max_area {
            for first in 0..runs(width) {
                let rows = sight.keys[first * key_dim..(first + width) * key_dim]
                    .chunks_exact(key_dim)
                    .map(|k| self.key_part(head, k));
                areas.key_into(&rows, key, hidden, activations);
                let energy = self.score.energy(head, query, key, &[0.0; LOCATION_TAPS]);
                let bias = areas.bias[head * areas.max_area + width - 1];
                let end = sight.offset(first + width - 1);
                energies.push(energy + bias + self.position_bias.at(head, end));
            }
        }
        kernels().softmax(energies);
        context.fill(0.0);
        let mut by_frame = vec![0.0; if watched.is_some() { sight.count } else { 0 }];
        let mut centre = 0.0;
        let mut weights = energies.iter();
        for width in 1..=areas.max_area {
            let share = if areas.sum { 1.0 } else { 1.0 / width as f32 };
            for (first, weight) in (0..runs(width)).zip(weights.by_ref()) {
                centre += weight * sight.centre(first, std::iter::repeat_n(1.0, width));
                for seen in by_frame.iter_mut().skip(first).take(width) {
                    *seen += weight / width as f32;
                }
                for value in sight.values.chunks_exact(self.dim()).skip(first).take(width) {
                    kernels().add_scaled(weight * share, self.part(head, value), context);
                }
            }
        }
        centres.push(centre);
        if let Some(watched) = watched {
            watched.weights.extend_from_slice(&by_frame);
        }
    }
}
