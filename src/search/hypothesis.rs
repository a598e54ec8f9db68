//! What a hypothesis remembers: its words in a shared arena, its recurrent state in a shared pool.

use super::{Emitted, NUM_PLACES, Word};
use crate::lexicon::{NodeId, ROOT};
use crate::lm::LmState;
use crate::tokens::TokenId;

pub(super) const NONE: u32 = u32::MAX;

/// Of those, as many as the token prior looks at.
const PRIOR_TOKENS: usize = 2;

/// Tokens that [`Path::recent`] holds.
const MAX_MERGE_TOKENS: usize = 8;

/// Bits of each token that [`Path::tokens_hash`] holds where the network knows only the last few.
const KNOWN_TOKEN_BITS: u32 = 16;

/// A hypothesis at work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    /// Natural logarithm, relative to the search's offset.
    pub score: f32,
    /// Slot in [`StatePool`] of the state before `token` is read.
    pub state: u32,
    /// The token before.
    pub token: TokenId,
    /// Place in the prefix tree; the root between words.
    pub node: NodeId,
    pub lm: LmState,
    /// Slot of its words in [`Recall`](super::recall::Recall), or `NONE`.
    pub recall: u32,
    /// Where it stands in the hotwords, the grammar or the text.
    pub cursor: u32,
    /// Its last word, an index into [`History`]; `NONE` before the first.
    pub history: u32,
    pub num_words: u32,
    /// Without the ends of blocks.
    pub num_tokens: u32,
    /// Of the words. Equal hashes are taken for equal words: at 64 bits a mistake is out of reach.
    pub words_hash: u64,
    /// Of the tokens, the ends of blocks among them, that the network knows, so equal hashes mean equal network states.
    pub tokens_hash: u64,
    /// So many tokens are all that the network knows; 0: all.
    pub known_tokens: u32,
    /// The last eight tokens without the ends of blocks, 16 bits each, the newest lowest.
    pub recent: u128,
    /// Of the unfinished word.
    pub first_block: u32,
    /// Of the newest token; `NONE` before the first.
    pub last_block: u32,
    /// Where the unfinished word begins and the newest token ends, see [`Word`].
    pub places: [f32; NUM_PLACES],
    /// Of the unfinished word.
    pub word_log_prob: f32,
    pub word_lowest: f32,
    pub word_tokens: u32,
    /// Of the word that has just ended.
    pub word_lm: f32,
    /// Of the unfinished word, or the last one.
    pub emitted: Emitted,
}

impl Path {
    /// The hypothesis before anything was said.
    pub fn first(state: u32, end_of_block: TokenId, known_tokens: u32, lm: LmState) -> Self {
        Self {
            known_tokens,
            score: 0.0,
            state,
            token: end_of_block,
            node: ROOT,
            lm,
            recall: NONE,
            cursor: 0,
            history: NONE,
            num_words: 0,
            num_tokens: 0,
            words_hash: 0,
            tokens_hash: 0,
            recent: 0,
            first_block: 0,
            last_block: NONE,
            places: [0.0; NUM_PLACES],
            word_log_prob: 0.0,
            word_lowest: 0.0,
            word_tokens: 0,
            word_lm: 0.0,
            emitted: Emitted::default(),
        }
    }

    pub fn same_words(&self, other: &Self) -> bool {
        self.words_hash == other.words_hash && self.node == other.node
    }

    /// Whether all that can follow is scored alike, so that the better of both stays the better: exactly so for homophones, once
    /// out of the language model's sight, and nearly so where the last `merge_tokens` tokens are the same (0: exact only), as
    /// the network hardly remembers more (Prabhavalkar et al. 2021, "Less is more").
    pub fn same_future(&self, other: &Self, merge_tokens: usize) -> bool {
        let recent = self.recent ^ other.recent;
        let alike = match merge_tokens {
            0 => false,
            n => recent << (128 - 16 * n.min(MAX_MERGE_TOKENS)) == 0,
        };
        self.node == other.node
            && self.lm == other.lm
            && self.cursor == other.cursor
            && (alike || self.tokens_hash == other.tokens_hash)
            && (self.known_tokens == 0 || recent << (128 - 16 * PRIOR_TOKENS) == 0)
    }

    /// Reads `token` with its log-probability; `same_future` and `same_words` see it.
    pub fn emit(&mut self, token: TokenId, log_prob: f32, block: u32) {
        if self.node == ROOT {
            self.first_block = block;
            self.emitted.begin(block);
            (self.word_log_prob, self.word_lowest, self.word_tokens) = (0.0, 0.0, 0);
        }
        self.last_block = block;
        self.read(token);
        // One more than the token, so that nothing differs from token 0.
        self.recent = self.recent << 16 | u128::from((token as u16).wrapping_add(1));
        self.emitted.push(token, block);
        self.emitted.add(log_prob);
        self.word_log_prob += log_prob;
        self.word_lowest = self.word_lowest.min(log_prob);
        self.word_tokens += 1;
        self.num_tokens += 1;
    }

    /// Reads where the newest token begins and ends, the last values of the state that it was emitted from.
    pub fn locate(&mut self, state: &[f32]) {
        if let [.., start, end] = *state {
            let start = if self.word_tokens == 1 { start } else { self.places[0] };
            self.places = [start, end];
        }
    }

    /// The word that has just ended, with its newest token in `block`.
    pub fn ended_word(&self, id: u32, block: u32) -> Word {
        Word {
            first_block: self.first_block,
            log_prob: self.word_log_prob,
            lowest_log_prob: self.word_lowest,
            num_tokens: self.word_tokens,
            lm_log_prob: self.word_lm,
            emitted: self.emitted,
            ..Word::of_token(id, block, 0.0, self.places)
        }
    }

    /// Reads the end-of-block symbol with its log-probability.
    pub fn close(&mut self, end_of_block: TokenId, log_prob: f32) {
        self.emitted.add(log_prob);
        self.read(end_of_block);
    }

    fn read(&mut self, token: TokenId) {
        self.token = token;
        self.tokens_hash = match self.known_tokens {
            0 => hash(self.tokens_hash, token),
            // The tokens themselves, the newest lowest.
            known => {
                let all = self.tokens_hash << KNOWN_TOKEN_BITS | u64::from(token);
                all & u64::MAX >> (u64::BITS - KNOWN_TOKEN_BITS * known)
            }
        };
    }

    /// Ends the unfinished word; it is `word`.
    pub fn end_word(&mut self, word: u32) {
        self.node = ROOT;
        self.num_words += 1;
        self.words_hash = hash(self.words_hash, word);
    }
}

pub(super) fn hash(seed: u64, value: u32) -> u64 {
    let mut x = (seed ^ u64::from(value)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// By so many entries the arena grows.
const ENTRIES_MORE: usize = 32;
/// So many that nothing needs any more are worth a sweep.
const ENTRIES_IDLE: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Entry {
    parent: u32,
    /// Words up to and with this one since the start of the stream.
    depth: u32,
    word: Word,
}

/// Word sequences that share their beginnings. Entries at or below `base` words are gone for all.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: Vec<Entry>,
    base: u32,
    /// Block in which the last confirmed word ends.
    base_block: u32,
    live: usize,
}

impl History {
    pub fn clear(&mut self) {
        self.entries.clear();
        self.base = 0;
        self.base_block = 0;
        self.live = 0;
    }

    /// Number of words that are confirmed.
    pub fn base(&self) -> u32 {
        self.base
    }

    /// Marks the words up to `base`, of which `words` are new, as confirmed.
    pub fn confirm(&mut self, base: u32, words: &[Word]) {
        self.base = base;
        self.base_block = words.last().map_or(self.base_block, |word| word.last_block);
    }

    /// `word` with times that do not precede those of confirmed words, which may stem from another hypothesis.
    fn in_order(&self, word: Word) -> Word {
        let first_block = word.first_block.max(self.base_block);
        Word { first_block, last_block: word.last_block.max(first_block), ..word }
    }

    /// Adds `word` after `parent` and gives its index.
    pub fn push(&mut self, parent: u32, num_words: u32, word: Word) -> u32 {
        if self.entries.len() == self.entries.capacity() {
            // A stream holds little else: no more than is needed.
            self.entries.reserve_exact(ENTRIES_MORE);
        }
        self.entries.push(Entry { parent, depth: num_words, word });
        self.entries.len() as u32 - 1
    }

    /// The unconfirmed words up to `at`, last first: (index, number of words up to it, word).
    pub fn back_from(&self, at: u32) -> impl Iterator<Item = (u32, u32, Word)> + '_ {
        let mut next = at;
        std::iter::from_fn(move || {
            let index = next;
            let entry = self.entries.get(index as usize)?;
            next = entry.parent;
            (entry.depth > self.base).then(|| (index, entry.depth, self.in_order(entry.word)))
        })
    }

    /// The word at entry `at`.
    pub fn word(&self, at: u32) -> Option<Word> {
        self.entries.get(at as usize).map(|entry| self.in_order(entry.word))
    }

    /// Appends the unconfirmed words up to `at`, first word first.
    pub fn words_into(&self, at: u32, out: &mut Vec<Word>) {
        let start = out.len();
        out.extend(self.back_from(at).map(|(_, _, word)| word));
        out[start..].reverse();
    }

    /// Drops what no path needs any more, if enough has gathered to be worth it. `moved` is room for where entries go.
    pub fn sweep(&mut self, paths: &mut [Path], moved: &mut Vec<u32>) {
        if self.entries.len() <= 2 * self.live + ENTRIES_IDLE {
            return;
        }
        moved.clear();
        moved.resize(self.entries.len(), NONE);
        for path in paths.iter() {
            let mut at = path.history;
            while let Some(entry) = self.entries.get(at as usize) {
                if entry.depth <= self.base || moved[at as usize] != NONE {
                    break;
                }
                moved[at as usize] = at;
                at = entry.parent;
            }
        }
        let place = |moved: &[u32], at: u32| moved.get(at as usize).copied().unwrap_or(NONE);
        let mut live = 0;
        for at in 0..moved.len() {
            if moved[at] != NONE {
                let entry = self.entries[at];
                // Parents stand before their children and have moved already; those not marked are confirmed.
                self.entries[live] = Entry { parent: place(moved, entry.parent), ..entry };
                moved[at] = live as u32;
                live += 1;
            }
        }
        self.entries.truncate(live);
        self.live = live;
        for path in paths {
            path.history = place(moved, path.history);
        }
    }

    /// Bytes held.
    pub fn num_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}
