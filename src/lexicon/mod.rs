//! The lexicon: which words there are and how they are pronounced, as a prefix tree (docs/model-format.md, `lexicon.bin`).

mod letter_to_sound;
mod tree;

use std::collections::HashMap;

use crate::binary::Reader;
use crate::error::{Error, Result};
use crate::tokens::{TokenId, TokenTable};
pub use letter_to_sound::{Guess, LetterToSound, spelt};
use tree::TreeBuilder;
pub use tree::{NodeId, PrefixTree, ROOT};

/// A word of the lexicon, and of the language model made with it.
pub type WordId = u32;

const FILE: &str = "lexicon.bin";
const MAGIC: [u8; 4] = *b"VVLX";
const VERSION: u32 = 1;
const COST_STEP: f32 = 1.0 / 16.0;
const MAX_TOKENS: usize = 255;

/// A word that ends at a node of the tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pronounced {
    /// The word.
    pub word: WordId,
    /// Negative natural logarithm of how often the word is spoken so, relative to its commonest pronunciation; 0 or more.
    pub cost: f32,
}

/// A pronunciation to be added with [`Lexicon::with_words`].
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Spelling.
    pub word: String,
    /// Tokens; the last one, and no other, in word-final form.
    pub tokens: Vec<TokenId>,
    /// As [`Pronounced::cost`].
    pub cost: f32,
}

/// Words and their pronunciations.
#[derive(Debug, Clone)]
pub struct Lexicon {
    text: String,
    /// Word i is `text[starts[i]..starts[i + 1] - 1]`; a line feed ends it.
    starts: Vec<u32>,
    /// Words below this are in byte order.
    num_sorted: usize,
    /// The numbers of the others.
    added: HashMap<String, WordId>,
    tree: PrefixTree,
    fingerprint: u64,
}

/// FNV-1a (64 bits) of the words, each followed by a line feed.
pub fn fingerprint<'a>(words: impl IntoIterator<Item = &'a str>) -> u64 {
    words.into_iter().fold(FNV_OFFSET, |hash, word| fnv1a(fnv1a(hash, word.as_bytes()), b"\n"))
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

fn damaged(reason: impl Into<String>) -> Error {
    Error::model(FILE, reason)
}

impl Lexicon {
    /// Reads the bytes of a `lexicon.bin`.
    ///
    /// # Errors
    /// [`Error::Model`] if the bytes are no such file, damaged, or made for other tokens than `tokens`.
    pub fn from_bytes(data: &[u8], tokens: &TokenTable) -> Result<Self> {
        let mut reader = Reader::new(FILE, data, MAGIC, VERSION)?;
        let (num_tokens, num_words, num_rows) = (reader.count()?, reader.count()?, reader.count()?);
        let (text_bytes, row_bytes) = (reader.count()?, reader.count()?);
        if num_tokens != tokens.len() {
            return Err(damaged(format!("made for {num_tokens} tokens, not {}", tokens.len())));
        }
        let (text, rows) = (reader.bytes(text_bytes, 1)?, reader.bytes(row_bytes, 1)?);
        reader.end()?;
        let text = std::str::from_utf8(text).map_err(|_| damaged("words are not UTF-8"))?;
        let mut starts = vec![0];
        starts.extend(text.bytes().zip(1_u32..).filter(|(b, _)| *b == b'\n').map(|(_, end)| end));
        if starts.len() != num_words + 1 || starts.last() != Some(&(text_bytes as u32)) {
            return Err(damaged("number of words"));
        }
        let lexicon = Self {
            text: text.to_owned(),
            starts,
            num_sorted: num_words,
            added: HashMap::new(),
            tree: read_rows(rows, num_rows, num_words, tokens)?,
            fingerprint: fnv1a(FNV_OFFSET, text.as_bytes()),
        };
        let sorted = (1..num_words as WordId).all(|i| lexicon.slice(i - 1) < lexicon.slice(i));
        if !sorted || num_words > 0 && lexicon.slice(0).is_empty() {
            return Err(damaged("words are not sorted"));
        }
        Ok(lexicon)
    }

    /// A lexicon of `entries` alone.
    ///
    /// # Errors
    /// As [`Lexicon::with_words`].
    pub fn from_entries(entries: &[Entry], tokens: &TokenTable) -> Result<Self> {
        let mut words: Vec<&str> = entries.iter().map(|e| e.word.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        let mut lexicon = Self {
            text: String::new(),
            starts: vec![0],
            num_sorted: words.len(),
            added: HashMap::new(),
            tree: TreeBuilder::new(0).finish(),
            fingerprint: fingerprint(words.iter().copied()),
        };
        for word in words {
            lexicon.append(word)?;
        }
        lexicon.with_words(entries, tokens)
    }

    /// A copy with more words or pronunciations. Words keep their numbers; new ones follow, and a language model made with
    /// the original lexicon takes them for unknown words.
    ///
    /// # Errors
    /// [`Error::Usage`] if a word is empty or has white space, or if its tokens are not a pronunciation.
    pub fn with_words(&self, entries: &[Entry], tokens: &TokenTable) -> Result<Self> {
        let mut lexicon = self.clone();
        let mut rows: Vec<(Vec<TokenId>, Pronounced)> = Vec::new();
        self.tree.for_each(|path, word| rows.push((path.to_vec(), word)));
        for Entry { word, tokens: path, cost } in entries {
            let is_final: Vec<bool> = path.iter().map(|t| tokens.is_word_final(*t)).collect();
            let ends_once = is_final.iter().position(|f| *f) == path.len().checked_sub(1);
            let known =
                path.iter().all(|t| (*t as usize) < tokens.len() && *t != tokens.end_of_block());
            if path.is_empty()
                || path.len() > MAX_TOKENS
                || !ends_once
                || !known
                || !cost.is_finite()
                || *cost < 0.0
            {
                return Err(Error::Usage { reason: format!("{word:?}: not a pronunciation") });
            }
            let word = match lexicon.word_id(word) {
                Some(id) => id,
                None => lexicon.append(word)?,
            };
            rows.push((path.clone(), Pronounced { word, cost: *cost }));
        }
        rows.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.word.cmp(&b.1.word)));
        rows.dedup_by(|b, a| a.0 == b.0 && a.1.word == b.1.word);
        lexicon.tree = tree_of(rows.iter().map(|(path, word)| (path.as_slice(), *word)));
        Ok(lexicon)
    }

    fn append(&mut self, word: &str) -> Result<WordId> {
        if word.is_empty() || word.contains(char::is_whitespace) {
            return Err(Error::Usage { reason: format!("{word:?} is not one word") });
        }
        let id = self.num_words() as WordId;
        if id as usize >= self.num_sorted {
            self.added.insert(word.to_owned(), id);
        }
        self.text.push_str(word);
        self.text.push('\n');
        self.starts.push(self.text.len() as u32);
        Ok(id)
    }

    fn slice(&self, word: WordId) -> &str {
        let word = word as usize;
        &self.text[self.starts[word] as usize..self.starts[word + 1] as usize - 1]
    }

    /// Number of words.
    pub fn num_words(&self) -> usize {
        self.starts.len() - 1
    }

    /// Spelling of `word`, `None` if there is no such word.
    pub fn word(&self, word: WordId) -> Option<&str> {
        ((word as usize) < self.num_words()).then(|| self.slice(word))
    }

    /// The word spelt so.
    pub fn word_id(&self, text: &str) -> Option<WordId> {
        let (mut low, mut high) = (0, self.num_sorted as WordId);
        high = high.min(self.num_words() as WordId);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.slice(middle).cmp(text) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        self.added.get(text).copied()
    }

    /// The pronunciations.
    pub fn tree(&self) -> &PrefixTree {
        &self.tree
    }

    /// For every one of `words` a tree of its pronunciations alone.
    pub fn trees_of(&self, words: &[WordId]) -> Vec<PrefixTree> {
        self.trees_of_sets(&words.iter().map(|word| vec![*word]).collect::<Vec<_>>())
    }

    /// For every set of words a tree of their pronunciations.
    pub fn trees_of_sets(&self, sets: &[Vec<WordId>]) -> Vec<PrefixTree> {
        let rows = self.rows_of(sets.iter().flatten());
        let tree = |set: &Vec<WordId>| {
            let mut rows: Vec<_> = set.iter().flat_map(|word| &rows[word]).collect();
            rows.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.word.cmp(&b.1.word)));
            tree_of(rows.into_iter().map(|(path, word)| (path.as_slice(), *word)))
        };
        sets.iter().map(tree).collect()
    }

    /// The pronunciations of `words`, with which others may go into a lexicon of its own.
    pub fn entries_of(&self, words: &[WordId]) -> Vec<Entry> {
        let rows = self.rows_of(words);
        let entry = |(tokens, said): &(Vec<TokenId>, Pronounced)| Entry {
            word: self.slice(said.word).to_owned(),
            tokens: tokens.clone(),
            cost: said.cost,
        };
        words.iter().flat_map(|word| rows[word].iter().map(entry)).collect()
    }

    /// For every one of `words` its pronunciations, the commonest first.
    pub fn pronunciations_of(&self, words: &[WordId]) -> Vec<Vec<Vec<TokenId>>> {
        let mut rows = self.rows_of(words);
        for ways in rows.values_mut() {
            ways.sort_by(|a, b| a.1.cost.total_cmp(&b.1.cost));
        }
        let ways = |word| rows[word].iter().map(|way| way.0.clone()).collect();
        words.iter().map(ways).collect()
    }

    /// By word: its pronunciations in the order of the tree.
    fn rows_of<'a>(
        &self,
        words: impl IntoIterator<Item = &'a WordId>,
    ) -> HashMap<WordId, Vec<(Vec<TokenId>, Pronounced)>> {
        let mut rows: HashMap<_, Vec<_>> =
            words.into_iter().map(|word| (*word, Vec::new())).collect();
        self.tree.for_each(|path, word| {
            if let Some(rows) = rows.get_mut(&word.word) {
                rows.push((path.to_vec(), word));
            }
        });
        rows
    }

    /// Ties a language model to the words it was made with ([`fingerprint`]); words added later do not change it.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

/// The tree of sorted pronunciations.
fn tree_of<'a>(rows: impl ExactSizeIterator<Item = (&'a [TokenId], Pronounced)>) -> PrefixTree {
    let mut builder = TreeBuilder::new(rows.len());
    let mut previous: &[TokenId] = &[];
    for (path, word) in rows {
        let shared = path.iter().zip(previous).take_while(|(a, b)| a == b).count();
        builder.push(shared, path[shared..].iter().copied(), word);
        previous = path;
    }
    builder.finish()
}

fn read_rows(
    rows: &[u8],
    num_rows: usize,
    num_words: usize,
    tokens: &TokenTable,
) -> Result<PrefixTree> {
    let mut builder = TreeBuilder::new(num_rows.min(rows.len()));
    let mut rest = rows;
    for _ in 0..num_rows {
        let truncated = || damaged("truncated pronunciation");
        let (&[shared, new], tail) = rest.split_first_chunk::<2>().ok_or_else(truncated)?;
        let (path, tail) = tail.split_at_checked(usize::from(new)).ok_or_else(truncated)?;
        let (&[w0, w1, w2, cost], tail) = tail.split_first_chunk::<4>().ok_or_else(truncated)?;
        rest = tail;
        let (shared, depth) = (usize::from(shared), builder.depth());
        let word = u32::from_le_bytes([w0, w1, w2, 0]);
        if word as usize >= num_words {
            return Err(damaged("pronunciation of a word that is not there"));
        }
        // The tree's invariants: paths rise, only leaves carry words, and only word-final tokens are leaves.
        let is_final = |token: &u8| tokens.is_word_final(TokenId::from(*token));
        let known = |token: &u8| {
            usize::from(*token) < tokens.len() && TokenId::from(*token) != tokens.end_of_block()
        };
        let fits = match path.split_last() {
            None => shared == depth && depth > 0,
            Some((last, inner)) => {
                let rises = match builder.token_at(shared) {
                    Some(previous) => previous < TokenId::from(path[0]),
                    None => depth == 0 && shared == 0,
                };
                rises
                    && shared + path.len() <= MAX_TOKENS
                    && is_final(last)
                    && !inner.iter().any(is_final)
            }
        };
        if !fits || !path.iter().all(known) {
            return Err(damaged("pronunciations are not sorted or not word-final"));
        }
        let word = Pronounced { word, cost: f32::from(cost) * COST_STEP };
        builder.push(shared, path.iter().map(|t| TokenId::from(*t)), word);
    }
    if !rest.is_empty() {
        return Err(damaged("bytes after the last pronunciation"));
    }
    Ok(builder.finish())
}

#[cfg(test)]
mod tests;
