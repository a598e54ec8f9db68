//! Which words are settled.

use super::super::hypothesis::{History, NONE, Path};
use super::super::recall::Recall;
use super::super::{Constraint, UNKNOWN_ID};
use super::{BeamSearch, SearchScratch};

/// More unconfirmed words than this are never kept: the best hypothesis decides about the older half.
pub(super) const MAX_PENDING_WORDS: u32 = 64;

/// More paths than this are sorted with memory from the heap.
const SORTED_IN_PLACE: usize = 64;

fn sort(paths: &mut [Path]) {
    // Stable, so that ties keep the order of generation.
    if paths.len() > SORTED_IN_PLACE {
        paths.sort_by(|a, b| b.score.total_cmp(&a.score));
        return;
    }
    for i in 1..paths.len() {
        let score = paths[i].score;
        let place = paths[..i].partition_point(|path| path.score.total_cmp(&score).is_ge());
        paths[place..=i].rotate_right(1);
    }
}

impl BeamSearch {
    /// Confirms the words that all hypotheses share.
    pub(super) fn confirm(&mut self, scratch: &mut SearchScratch) {
        let SearchScratch { best, moved, .. } = scratch;
        let Some(first) = self.closed.first() else { return };
        let base = self.history.base();
        best.clear();
        best.extend(self.history.back_from(first.history).map(|(at, _, word)| (at, word.id)));
        best.reverse();
        if matches!(self.constraint, Constraint::Grammar(_)) {
            // A phrase is not known before its end.
            best.clear();
        }
        if best.len() as u32 > MAX_PENDING_WORDS {
            let decided = base + best.len() as u32 - MAX_PENDING_WORDS / 2;
            let (history, pool, recall) = (&self.history, &mut self.pool, &mut self.recall);
            self.closed.retain(|path| {
                let agrees = shared_words(history, path, best) >= decided;
                if !agrees {
                    pool.release(path.state);
                    if let Some(recall) = recall {
                        recall.release(path.recall);
                    }
                }
                agrees
            });
        }
        self.support.observe(&self.history, &self.closed);
        let shared = self.closed.iter().map(|path| shared_words(&self.history, path, best)).min();
        let shared = shared.unwrap_or(base);
        let entries = &best[..(shared - base) as usize];
        let start = self.confirmed.len();
        self.confirmed.extend(entries.iter().filter_map(|(at, _)| self.history.word(*at)));
        self.support.take(&mut self.confirmed[start..]);
        self.history.confirm(shared, &self.confirmed[start..]);
        self.history.sweep(&mut self.closed, moved);
    }

    /// The stream is over: the best complete hypothesis wins.
    pub(super) fn settle(&mut self) {
        let any_complete = self.closed.iter().any(|path| self.constraint.is_complete(path));
        if let (Constraint::Grammar(_), false) = (&self.constraint, any_complete) {
            self.settle_for_unknown();
        }
        self.closed.retain(|path| self.constraint.is_complete(path) || !any_complete);
        if let Some(lm) = self.constraint.lm() {
            for path in &mut self.closed {
                let ngram = lm.end(path.lm);
                let mix = |recall: &Recall| recall.mix_end(path.recall, ngram);
                path.score += self.config.lm_weight * self.recall.as_ref().map_or(ngram, mix);
            }
        }
        if let Some(hotwords) = &self.hotwords {
            self.closed.iter_mut().for_each(|path| path.score -= hotwords.held(path.cursor));
        }
        if let Constraint::Grammar(grammar) = &self.constraint {
            self.closed.iter_mut().for_each(|path| path.score -= grammar.end_cost(path));
        }
        self.rank();
        if let Some(best) = self.closed.first() {
            let start = self.confirmed.len();
            self.history.words_into(best.history, &mut self.confirmed);
            self.support.observe(&self.history, &self.closed);
            self.support.tell(&mut self.confirmed[start..]);
        }
    }

    /// Sorts the hypotheses, what was said first.
    pub(super) fn rank(&mut self) {
        sort(&mut self.closed);
        if let Constraint::Grammar(grammar) = &self.constraint
            && let Some(said) = grammar.said(&self.closed)
        {
            self.closed[..=said].rotate_right(1);
        }
    }

    /// No hypothesis is a phrase: the best one becomes none.
    fn settle_for_unknown(&mut self) {
        self.closed.truncate(1);
        if let Some(path) = self.closed.first_mut() {
            let word = path.ended_word(UNKNOWN_ID, path.last_block);
            path.num_words = 1;
            path.history = self.history.push(NONE, 1, word);
        }
    }
}

/// How many words from the start of the stream `path` has in common with `best`, its unconfirmed (entry, word id) in order.
fn shared_words(history: &History, path: &Path, best: &[(u32, u32)]) -> u32 {
    let base = history.base();
    let mut shared = path.num_words.min(base + best.len() as u32);
    for (at, depth, word) in history.back_from(path.history) {
        match best.get((depth - base - 1) as usize) {
            Some((same, _)) if *same == at => break,
            Some((_, id)) if *id == word.id => {}
            _ => shared = shared.min(depth - 1),
        }
    }
    shared
}

#[cfg(test)]
impl BeamSearch {
    /// (history entries, state slots, slots in use, hypotheses)
    pub(in crate::search) fn memory(&self) -> (usize, usize, usize, usize) {
        (self.history.len(), self.pool.num_slots(), self.pool.num_used(), self.closed.len())
    }

    /// Slots of the neural language model: those in use, and all.
    pub(in crate::search) fn recalled(&self) -> (usize, usize) {
        self.recall.as_ref().map_or((0, 0), Recall::slots)
    }

    /// Of every hypothesis: the hash of all its words since the start, and those not yet confirmed.
    pub(in crate::search) fn alive(
        &self,
    ) -> impl Iterator<Item = (u64, Vec<super::super::Word>)> + '_ {
        self.closed.iter().map(|path| {
            let mut words = Vec::new();
            self.history.words_into(path.history, &mut words);
            (path.words_hash, words)
        })
    }
}
