//! The layout of `lm.bin`: a trie of sorted arrays. Nothing in it is aligned; values are little-endian.

use std::borrow::Cow;

use super::{MAX_ORDER, NgramLm};
use crate::binary::{Reader, find_u16, u16_at, u32_at};
use crate::error::{Error, Result};

const FILE: &str = "lm.bin";
const MAGIC: [u8; 4] = *b"VVLM";
const VERSION: u32 = 1;
/// The unknown word and the two sentence marks follow the words.
const MARKS: usize = 3;
/// N-grams that share one absolute child offset.
const ANCHOR: usize = 32;
const BOOK: usize = 256;
const STEP: f32 = 1.0 / 2048.0;
/// Log-probabilities and back-offs beyond this are damage; it keeps every sum finite.
const LIMIT: f32 = 1e4;

/// Single words. Fields are offsets into the file.
#[derive(Debug)]
pub(super) struct Unigrams {
    log_probs: usize,
    backoffs: usize,
    /// `None` in a model of order 1.
    children: Option<usize>,
}

impl Unigrams {
    pub fn log_prob(&self, data: &[u8], word: u32) -> f32 {
        -f32::from(u16_at(data, self.log_probs, word as usize)) * STEP
    }

    pub fn backoff(&self, data: &[u8], word: u32) -> f32 {
        (f32::from(u16_at(data, self.backoffs, word as usize)) - 32768.0) * STEP
    }

    pub fn children(&self, data: &[u8], word: u32) -> (u32, u32) {
        self.children.map_or((0, 0), |at| {
            (u32_at(data, at, word as usize), u32_at(data, at, word as usize + 1))
        })
    }
}

/// Where the n-grams of the next order lie that continue one of this order.
#[derive(Debug)]
struct Children {
    backoff_book: Vec<f32>,
    backoffs: usize,
    anchors: usize,
    offsets: usize,
}

impl Children {
    fn begin(&self, data: &[u8], node: usize) -> u64 {
        u64::from(u32_at(data, self.anchors, node / ANCHOR))
            + u64::from(u16_at(data, self.offsets, node))
    }
}

/// N-grams of one order above 1. Offsets into the file.
#[derive(Debug)]
pub(super) struct Level {
    count: usize,
    log_prob_book: Vec<f32>,
    words: usize,
    log_probs: usize,
    /// `None` in the highest order.
    children: Option<Children>,
}

impl Level {
    pub fn find(&self, data: &[u8], begin: u32, end: u32, word: u32) -> Option<u32> {
        let word = u16::try_from(word).ok()?;
        let range = begin as usize..end as usize;
        find_u16(data, self.words, range, word).map(|found| found as u32)
    }

    pub fn word(&self, data: &[u8], node: u32) -> u32 {
        u32::from(u16_at(data, self.words, node as usize))
    }

    pub fn log_prob(&self, data: &[u8], node: u32) -> f32 {
        self.log_prob_book[usize::from(data[self.log_probs + node as usize])]
    }

    pub fn backoff(&self, data: &[u8], node: u32) -> f32 {
        let Some(children) = &self.children else { return 0.0 };
        children.backoff_book[usize::from(data[children.backoffs + node as usize])]
    }

    pub fn children(&self, data: &[u8], node: u32) -> (u32, u32) {
        let Some(children) = &self.children else { return (0, 0) };
        let node = node as usize;
        // Both fit: `parse` checked that they rise to the number of n-grams of the next order.
        (children.begin(data, node) as u32, children.begin(data, node + 1) as u32)
    }
}

/// A table of log-probabilities.
fn book(reader: &mut Reader<'_>) -> Result<Vec<f32>> {
    let book = (0..BOOK).map(|_| reader.f32()).collect::<Result<Vec<_>>>()?;
    match book.iter().find(|v| v.is_nan() || v.abs() > LIMIT) {
        Some(value) => Err(reader.damaged(format!("{value} in a table of log-probabilities"))),
        None => Ok(book),
    }
}

/// Checks that ranges rise from 0 to the number of `words` (u16 each) and that the words in each rise strictly below `vocabulary`.
fn check_children(
    begins: impl Iterator<Item = u64>,
    words: &[u8],
    vocabulary: usize,
) -> Result<()> {
    let total = words.len() as u64 / 2;
    let at = |i: u64| u16_at(words, 0, i as usize);
    // Words may fall only where a range begins: as many falls there as there are in all. This is much faster than range by range.
    let pairs = words.chunks_exact(2).zip(words.chunks_exact(2).skip(1));
    let value = |bytes: &[u8]| u16::from_le_bytes([bytes[0], bytes[1]]);
    let falls: u64 = pairs.map(|(a, b)| u64::from(value(b) <= value(a))).sum();
    let highest = words.chunks_exact(2).map(value).fold(0, u16::max);
    if total > 0 && usize::from(highest) >= vocabulary {
        return Err(Error::model(FILE, "n-gram of a word that is not there"));
    }
    let (mut previous, mut falls_at_borders) = (0, 0);
    let mut begins = begins.peekable();
    if begins.peek() != Some(&0) {
        return Err(Error::model(FILE, "n-grams without a context"));
    }
    for begin in begins {
        if begin < previous || begin > total {
            return Err(Error::model(FILE, "offsets do not rise"));
        }
        if begin > previous && begin < total {
            falls_at_borders += u64::from(at(begin) <= at(begin - 1));
        }
        previous = begin;
    }
    if previous != total {
        return Err(Error::model(FILE, "n-grams without a context"));
    }
    if falls != falls_at_borders {
        return Err(Error::model(FILE, "words are not sorted"));
    }
    Ok(())
}

pub(super) fn parse(data: Cow<'static, [u8]>) -> Result<NgramLm> {
    let mut reader = Reader::new(FILE, &data, MAGIC, VERSION)?;
    let order = reader.count()?;
    if !(1..=MAX_ORDER).contains(&order) {
        return Err(Error::model(FILE, format!("order {order} is not in 1..={MAX_ORDER}")));
    }
    let num_words = reader.u32()?;
    let fingerprint = u64::from(reader.u32()?) | u64::from(reader.u32()?) << 32;
    let mut counts = [0; MAX_ORDER];
    for count in &mut counts {
        *count = reader.count()?;
    }
    let vocabulary = num_words as usize + MARKS;
    if vocabulary > 1 << 16 || counts[0] != vocabulary || counts[order..].iter().any(|c| *c != 0) {
        return Err(Error::model(FILE, "numbers of n-grams do not fit together"));
    }

    let log_probs = reader.take(vocabulary, 2)?;
    let backoffs = reader.take(vocabulary, 2)?;
    let children = if order > 1 { Some(reader.take(vocabulary + 1, 4)?) } else { None };
    let unigrams = Unigrams { log_probs, backoffs, children };
    let mut levels = Vec::with_capacity(order - 1);
    for k in 2..=order {
        let count = counts[k - 1];
        let log_prob_book = book(&mut reader)?;
        let words = reader.take(count, 2)?;
        let log_probs = reader.take(count, 1)?;
        let children = if k < order {
            let backoff_book = book(&mut reader)?;
            let backoffs = reader.take(count, 1)?;
            let anchors = reader.take(count / ANCHOR + 1, 4)?;
            let offsets = reader.take(count + 1, 2)?;
            Some(Children { backoff_book, backoffs, anchors, offsets })
        } else {
            None
        };
        levels.push(Level { count, log_prob_book, words, log_probs, children });
    }
    reader.end()?;
    for (k, level) in levels.iter().enumerate() {
        let words = &data[level.words..level.words + 2 * level.count];
        if let (0, Some(at)) = (k, unigrams.children) {
            let begins = (0..=vocabulary).map(|i| u64::from(u32_at(&data, at, i)));
            check_children(begins, words, vocabulary)?;
        } else if let Some(below) = k.checked_sub(1).map(|k| &levels[k])
            && let Some(children) = &below.children
        {
            let offsets = &data[children.offsets..children.offsets + 2 * (below.count + 1)];
            let begins = offsets.chunks(2 * ANCHOR).zip(0..).flat_map(|(offsets, i)| {
                let anchor = u64::from(u32_at(&data, children.anchors, i));
                offsets.chunks_exact(2).map(move |bytes| anchor + u64::from(u16_at(bytes, 0, 0)))
            });
            check_children(begins, words, vocabulary)?;
        }
    }
    Ok(NgramLm { data, order, num_words, fingerprint, unigrams, levels })
}
