//! How much of the beam agrees with the words of its best hypothesis.

use super::super::hypothesis::{History, Path};
use super::Word;
use super::confirm::MAX_PENDING_WORDS;

/// Equal words count as the same if they end within so many blocks of each other.
const NEAR_BLOCKS: u32 = 2;

#[derive(Debug, Clone, Copy)]
struct Share {
    id: u32,
    sum: f32,
    blocks: u32,
    lowest: f32,
}

/// Of the best hypothesis' unconfirmed words, first word first: the shares of the beam's probability that had them, block by block.
#[derive(Debug)]
pub(super) struct Support {
    shares: Vec<Share>,
    /// Unconfirmed words of the best hypothesis: (entry, word, last block).
    best: Vec<(u32, u32, u32)>,
    now: Vec<f32>,
}

impl Default for Support {
    fn default() -> Self {
        // A stream allocates nothing once it runs.
        let room = MAX_PENDING_WORDS as usize + 16;
        Self {
            shares: Vec::with_capacity(room),
            best: Vec::with_capacity(room),
            now: Vec::with_capacity(room),
        }
    }
}

impl Support {
    pub fn clear(&mut self) {
        self.shares.clear();
    }

    /// Bytes held.
    pub fn num_bytes(&self) -> usize {
        self.shares.capacity() * size_of::<Share>()
            + self.best.capacity() * size_of::<(u32, u32, u32)>()
            + self.now.capacity() * size_of::<f32>()
    }

    /// Counts a block; the best of `paths` is the first.
    pub fn observe(&mut self, history: &History, paths: &[Path]) {
        let Some(first) = paths.first() else { return };
        self.best.clear();
        self.best
            .extend(history.back_from(first.history).map(|(at, _, w)| (at, w.id, w.last_block)));
        self.best.reverse();
        self.now.clear();
        self.now.resize(self.best.len(), 0.0);
        let mut total = 0.0;
        for path in paths {
            let mass = (path.score - first.score).exp();
            total += mass;
            self.add(history, path, mass);
        }
        self.shares.truncate(self.best.len());
        for (i, (_, id, _)) in self.best.iter().enumerate() {
            let share = self.now[i] / total;
            let fresh = Share { id: *id, sum: 0.0, blocks: 0, lowest: 1.0 };
            match self.shares.get(i) {
                None => self.shares.push(fresh),
                Some(old) if old.id != *id => self.shares[i] = fresh,
                Some(_) => {}
            }
            let entry = &mut self.shares[i];
            entry.sum += share;
            entry.blocks += 1;
            entry.lowest = entry.lowest.min(share);
        }
    }

    /// Adds the mass of `path` to the words of the best hypothesis that it has.
    fn add(&mut self, history: &History, path: &Path, mass: f32) {
        let mut open = self.best.len();
        for (at, _, word) in history.back_from(path.history) {
            // Words of the best that end later than this one and any before it can.
            while open > 0 && self.best[open - 1].2 > word.last_block + NEAR_BLOCKS {
                open -= 1;
            }
            let mut i = open;
            while i > 0 && self.best[i - 1].2 + NEAR_BLOCKS >= word.last_block {
                i -= 1;
                let (entry, id, _) = self.best[i];
                if entry == at {
                    // All before is shared.
                    self.now[..=i].iter_mut().for_each(|now| *now += mass);
                    return;
                }
                if id == word.id {
                    self.now[i] += mass;
                    open = i;
                    break;
                }
            }
        }
    }

    /// Writes what is known into the best hypothesis' unconfirmed words, of which `words` are the first.
    pub fn tell(&self, words: &mut [Word]) {
        for (word, share) in words.iter_mut().zip(&self.shares).filter(|(w, s)| w.id == s.id) {
            word.support = share.sum / share.blocks as f32;
            word.lowest_support = share.lowest;
        }
    }

    /// The same, for words that are now confirmed.
    pub fn take(&mut self, words: &mut [Word]) {
        self.tell(words);
        self.shares.drain(..words.len().min(self.shares.len()));
    }
}
