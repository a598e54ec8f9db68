//! Which hypotheses stay.

use super::{BeamSearch, SearchScratch};
use crate::search::candidate::Candidate;
use crate::search::log_add;

/// A number that is the smaller the higher the score and, of equal scores, the smaller the index, which its lower half is.
fn rank(score: f32, index: u32) -> u64 {
    let bits = score.to_bits();
    // As whole numbers, negative scores fall as they rise, below all positive ones once the sign is turned.
    let rising = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(!rising) << 32 | u64::from(index)
}

impl BeamSearch {
    /// Keeps the best of the candidates and of the hypotheses that closed earlier, equal ones merged.
    pub(super) fn select(&self, scratch: &mut SearchScratch) {
        let SearchScratch { candidates, ranked, accepted, wanted, .. } = scratch;
        let earlier = self.closed.len();
        let scores = || {
            let closed = self.closed.iter().map(|path| path.score);
            closed.chain(candidates.iter().map(|candidate| candidate.path.score))
        };
        let best = scores().fold(f32::NEG_INFINITY, f32::max);
        let kept =
            scores().zip(0..).filter(|(score, _)| *score >= best - self.config.prune_log_prob);
        ranked.clear();
        ranked.extend(kept.map(|(score, index)| rank(score, index)));
        let max_states = match self.config.max_states {
            0 => usize::MAX,
            n => n,
        };
        // Twice as many as are wanted, since some will be merged.
        let enough = 2 * self.config.beam_size;
        if ranked.len() > enough {
            ranked.select_nth_unstable(enough);
            ranked.truncate(enough);
        }
        ranked.sort_unstable();
        accepted.clear();
        wanted.clear();
        for rank in ranked.iter() {
            let index = *rank as u32 as usize;
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

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn ranks_follow_scores_and_then_places() {
        let scores = [f32::INFINITY, 3.5, 1e-30, 0.0, -0.0, -1e-30, -2.0, -1e30, f32::NEG_INFINITY];
        let ranks: Vec<_> =
            scores.iter().flat_map(|score| [3, 7].map(|i| rank(*score, i))).collect();
        assert!(ranks.is_sorted());
        assert_eq!(
            ranks.iter().map(|r| *r as u32).collect::<Vec<_>>(),
            [3, 7].repeat(scores.len())
        );
    }
}
