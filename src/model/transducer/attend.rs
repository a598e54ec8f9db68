//! What attention gives each row, and where the token to come begins and ends.

use super::{StepScratch, Transducer};
use crate::attention::BlockView;
use crate::nn::{Rows, RowsMut};
use crate::search::NUM_PLACES;

impl Transducer {
    /// Contexts of the rows whose outputs of the state net stand in `s.queries`.
    pub(super) fn attend<'m>(
        &self,
        batch: usize,
        states: &[f32],
        views: &(impl Iterator<Item = BlockView<'m>> + Clone),
        s: &mut StepScratch,
        next: &mut [f32],
    ) {
        let size = self.state_size();
        let queries = Rows { data: &s.queries, stride: s.queries.len() / batch };
        let (contexts, scratch) = (&mut s.contexts, &mut s.attention);
        let (mut old, mut new): (&[f32], &mut [f32]) = (&[], &mut []);
        if self.is_marked() {
            let blocks = views.clone().flat_map(|view| std::iter::repeat_n(view.block, view.rows));
            for (row, block) in next.chunks_exact_mut(size).zip(blocks) {
                row[self.marker()] = (block + 1) as f32;
            }
            (old, new) = (&states[self.marker()..], &mut next[self.marker()..]);
        }
        let old = Rows { data: old, stride: size };
        let mut new = RowsMut { data: new, stride: size };
        self.attention.attend_into(batch, queries, views, old, &mut new, scratch, contexts);
        let blocks =
            views.clone().flat_map(|view| std::iter::repeat_n(view.window.block_frames, view.rows));
        let centres = s.attention.centres().chunks_exact(self.attention.num_heads);
        for ((row, block_frames), centres) in next.chunks_exact_mut(size).zip(blocks).zip(centres) {
            let middle = -(block_frames as f32) / 2.0;
            for (place, shares) in row[size - NUM_PLACES..].iter_mut().zip(&self.place_shares) {
                let moved =
                    shares.iter().zip(centres).map(|(share, centre)| share * (centre - middle));
                *place = middle + moved.sum::<f32>();
            }
        }
    }
}
