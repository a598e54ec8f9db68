//! Which hypotheses stay.

use super::{BeamSearch, SearchScratch};
use crate::search::candidate::Candidate;
use crate::search::log_add;

impl BeamSearch {
    /// Keeps the best of the candidates and of the hypotheses that closed earlier, equal ones merged.
    pub(super) fn select(&self, scratch: &mut SearchScratch) {
        let SearchScratch { candidates, ranked, accepted, wanted, .. } = scratch;
        let earlier = self.closed.len();
        let closed = self.closed.iter().map(|p| p.score);
        ranked.clear();
        ranked.extend(closed.chain(candidates.iter().map(|c| c.path.score)).zip(0..));
        let best = ranked.iter().map(|r| r.0).fold(f32::NEG_INFINITY, f32::max);
        ranked.retain(|r| r.0 >= best - self.config.prune_log_prob);
        let max_states = match self.config.max_states {
            0 => usize::MAX,
            n => n,
        };
        let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        // Twice as many as are wanted, since some will be merged.
        let enough = 2 * self.config.beam_size;
        if ranked.len() > enough {
            ranked.select_nth_unstable_by(enough, order);
            ranked.truncate(enough);
        }
        ranked.sort_unstable_by(order);
        accepted.clear();
        wanted.clear();
        for (_, index) in ranked.iter() {
            let index = *index as usize;
            let candidate = match index.checked_sub(earlier) {
                Some(index) => candidates[index],
                None => Candidate::kept(self.closed[index]),
            };
            let new = &candidate.path;
            let peer = accepted.iter().position(|a| {
                a.closed == candidate.closed
                    && (a.path.same_words(new) || a.path.same_future(new, self.config.merge_tokens))
            });
            match peer {
                Some(peer) if accepted[peer].path.same_words(new) => {
                    let score = &mut accepted[peer].path.score;
                    *score = log_add(*score, new.score);
                }
                None if accepted.len() < self.config.beam_size => {
                    let state = match self.rows.get(candidate.parent as usize) {
                        Some(row) => (true, *row),
                        None => (false, candidate.path.state),
                    };
                    if !wanted.contains(&state) {
                        if wanted.len() == max_states {
                            continue;
                        }
                        wanted.push(state);
                    }
                    accepted.push(candidate);
                }
                _ => {}
            }
        }
    }
}
