//! Which words are settled.

use super::super::hypothesis::{History, Path};
use super::BeamSearch;

/// More unconfirmed words than this are never kept: the best hypothesis decides about the older half.
const MAX_PENDING_WORDS: u32 = 64;

impl BeamSearch {
    /// Confirms the words that all hypotheses share.
    pub(super) fn confirm(&mut self, best: &mut Vec<(u32, u32)>) {
        let Some(first) = self.closed.first() else { return };
        let base = self.history.base();
        best.clear();
        best.extend(self.history.back_from(first.history).map(|(at, _, word)| (at, word.id)));
        best.reverse();
        if best.len() as u32 > MAX_PENDING_WORDS {
            let decided = base + best.len() as u32 - MAX_PENDING_WORDS / 2;
            let (history, pool) = (&self.history, &mut self.pool);
            self.closed.retain(|path| {
                let agrees = shared_words(history, path, best) >= decided;
                if !agrees {
                    pool.release(path.state);
                }
                agrees
            });
        }
        let shared = self.closed.iter().map(|path| shared_words(&self.history, path, best)).min();
        let shared = shared.unwrap_or(base);
        let entries = &best[..(shared - base) as usize];
        let start = self.confirmed.len();
        self.confirmed.extend(entries.iter().filter_map(|(at, _)| self.history.word(*at)));
        self.history.confirm(shared, &self.confirmed[start..]);
        if self.history.wants_sweep() {
            self.closed.iter().for_each(|path| self.history.mark(path.history));
            self.history.sweep();
            self.closed.iter_mut().for_each(|path| path.history = self.history.moved(path.history));
            self.history.swept();
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
