//! Sentence ends, question marks and capitals (docs/model-format.md, `punctuation.bin`): a logistic regression over hashed words
//! around a gap and over the pause there.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::binary::Reader;
use crate::error::Result;

const FILE: &str = "punctuation.bin";
const MAGIC: [u8; 4] = *b"VVPU";
const VERSION: u32 = 1;
/// Borders of the classes of pauses, in seconds.
const PAUSES_S: [f32; 5] = [0.05, 0.15, 0.3, 0.5, 0.8];
const NUM_PAUSES: usize = PAUSES_S.len() + 1;
/// Stands before the first word and after the last.
const BORDER: &str = "\n";

/// What is looked at.
#[derive(Clone, Copy)]
enum Feature {
    Left,
    Right,
    Lefts,
    Rights,
    Across,
    First,
    Firsts,
    Last,
}

/// A word of a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpokenWord<'a> {
    /// As search found it.
    pub word: &'a str,
    /// Seconds from the start of the stream.
    pub start_s: f64,
    /// Seconds from the start of the stream.
    pub end_s: f64,
}

/// A model of marks and capitals. Cheap to share, no state: a segment is shaped when it is over.
#[derive(Debug, Clone)]
pub struct Punctuator {
    data: Cow<'static, [u8]>,
    table_at: usize,
    mask: u32,
    scale: f32,
    end_bias: f32,
    question_bias: f32,
    pauses: [f32; NUM_PAUSES],
    capitals: HashMap<String, String>,
}

/// FNV-1a, 32 bits.
fn hash(word: &str) -> u32 {
    word.bytes().fold(0x811c_9dc5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

impl Punctuator {
    /// Reads the bytes of a `punctuation.bin`.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) if the bytes are no such file or damaged.
    pub fn from_bytes(data: impl Into<Cow<'static, [u8]>>) -> Result<Self> {
        let data = data.into();
        let mut reader = Reader::new(FILE, &data, MAGIC, VERSION)?;
        let table = reader.u32()?;
        let (scale, end_bias, question_bias) = (reader.f32()?, reader.f32()?, reader.f32()?);
        let mut pauses = [0.0; NUM_PAUSES];
        for pause in &mut pauses {
            *pause = reader.f32()?;
        }
        let numbers = [scale, end_bias, question_bias];
        if !table.is_power_of_two() || !numbers.iter().chain(&pauses).all(|x| x.is_finite()) {
            return Err(reader.damaged("size of the table, or a number"));
        }
        let text_bytes = reader.count()?;
        let table_at = reader.take(table as usize, 1)?;
        let text = reader.bytes(text_bytes, 1)?;
        reader.end()?;
        let text = std::str::from_utf8(text).map_err(|_| reader.damaged("not UTF-8"))?;
        let pair = |line: &str| line.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
        let capitals: Option<_> = text.lines().map(pair).collect();
        let capitals = capitals.ok_or_else(|| reader.damaged("a word without its written form"))?;
        let mask = table - 1;
        Ok(Self { data, table_at, mask, scale, end_bias, question_bias, pauses, capitals })
    }

    fn weight(&self, feature: Feature, a: u32, b: u32) -> f32 {
        let mut x = a.wrapping_mul(0x9e37_79b1)
            ^ b.rotate_left(15).wrapping_mul(0x85eb_ca77)
            ^ (feature as u32).wrapping_mul(0xc2b2_ae3d);
        x = (x ^ (x >> 15)).wrapping_mul(0x2c1b_3c6d);
        x = (x ^ (x >> 12)).wrapping_mul(0x297a_2d39);
        x ^= x >> 15;
        let value = self.data[self.table_at + (x & self.mask) as usize];
        f32::from(value.cast_signed()) * self.scale
    }

    /// Log-odds of a sentence end after each word but the last.
    pub fn ends(&self, words: &[SpokenWord<'_>]) -> Vec<f32> {
        let border = hash(BORDER);
        let hashes: Vec<u32> = words.iter().map(|w| hash(w.word)).collect();
        let at = |i: usize| hashes.get(i).copied().unwrap_or(border);
        let gap = |i: usize| {
            let l2 = i.checked_sub(1).map_or(border, at);
            let (l1, r1, r2) = (at(i), at(i + 1), at(i + 2));
            let pause = (words[i + 1].start_s - words[i].end_s) as f32;
            let class = PAUSES_S.iter().take_while(|border| pause >= **border).count();
            self.weight(Feature::Left, l1, 0)
                + self.weight(Feature::Right, r1, 0)
                + self.weight(Feature::Lefts, l2, l1)
                + self.weight(Feature::Rights, r1, r2)
                + self.weight(Feature::Across, l1, r1)
                + self.end_bias
                + self.pauses[class]
        };
        (1..words.len()).map(|i| gap(i - 1)).collect()
    }

    /// Log-odds that a sentence is a question.
    pub fn question(&self, words: &[SpokenWord<'_>]) -> f32 {
        let hash_at = |i: usize| words.get(i).map_or(hash(BORDER), |w| hash(w.word));
        self.weight(Feature::First, hash_at(0), 0)
            + self.weight(Feature::Firsts, hash_at(0), hash_at(1))
            + self.weight(Feature::Last, hash_at(words.len().saturating_sub(1)), 0)
            + self.question_bias
    }

    /// The words of a segment that is over as sentences: each begins with a capital and ends with its mark. `write` says how the
    /// words of a sentence read before that, such as with digits for numbers; it gets them with known capitals.
    pub fn shape(&self, words: &[SpokenWord<'_>], write: impl Fn(&str) -> String) -> String {
        let mut out = String::new();
        let ends = self.ends(words);
        let mut start = 0;
        for i in 0..words.len() {
            if ends.get(i).is_some_and(|odds| *odds <= 0.0) {
                continue;
            }
            let sentence = &words[start..=i];
            start = i + 1;
            let written: Vec<&str> = sentence
                .iter()
                .map(|w| self.capitals.get(w.word).map_or(w.word, String::as_str))
                .collect();
            if !out.is_empty() {
                out.push(' ');
            }
            let written = write(&written.join(" "));
            let mut letters = written.chars();
            out.extend(letters.next().into_iter().flat_map(char::to_uppercase));
            out.push_str(letters.as_str());
            out.push(if self.question(sentence) > 0.0 { '?' } else { '.' });
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &[u8] = include_bytes!("../../tests/golden/punctuation-tiny.bin");

    fn spoken<'a>(line: &'a str, gaps: &str) -> Vec<SpokenWord<'a>> {
        let mut gaps = gaps.split_whitespace().map(|gap| gap.parse::<f64>().unwrap());
        let mut now = 0.0;
        line.split(' ')
            .map(|word| {
                let (start_s, end_s) = (now, now + 0.25);
                now = end_s + gaps.next().unwrap_or(0.0);
                SpokenWord { word, start_s, end_s }
            })
            .collect()
    }

    #[test]
    fn shapes_text_as_the_recipe_does() {
        let model = Punctuator::from_bytes(TINY).unwrap();
        let lines = include_str!("../../tests/golden/punctuation-tiny.tsv");
        assert!(lines.lines().count() >= 20);
        for line in lines.lines() {
            let columns: Vec<_> = line.split('\t').collect();
            let words = spoken(columns[0], columns[1]);
            let expected: Vec<f32> =
                columns[2].split_whitespace().map(|odds| odds.parse().unwrap()).collect();
            let ends = model.ends(&words);
            assert_eq!(ends.len(), expected.len());
            for (got, expected) in ends.iter().zip(expected) {
                assert!((got - expected).abs() < 1e-3, "{line}: {got}");
            }
            assert_eq!(model.shape(&words, str::to_owned), columns[3]);
        }
    }

    #[test]
    fn a_segment_without_words_stays_empty() {
        let model = Punctuator::from_bytes(TINY).unwrap();
        assert_eq!(model.shape(&[], str::to_owned), "");
        let one = spoken("dogs", "");
        assert_eq!(model.shape(&one, |s| s.replace("dogs", "2 dogs")), "2 dogs.");
    }

    #[test]
    fn damaged_bytes_are_refused_or_harmless() {
        for n in 0..TINY.len().min(200) {
            assert!(Punctuator::from_bytes(&TINY[..n]).is_err());
        }
        let longer = [TINY, &[0]].concat();
        assert!(Punctuator::from_bytes(longer).is_err());
        for i in 0..28 + 4 * NUM_PAUSES {
            let mut bad = TINY.to_vec();
            bad[i] ^= 0x41;
            if let Ok(model) = Punctuator::from_bytes(bad) {
                assert!(!model.shape(&spoken("a b", "0.1"), str::to_owned).is_empty());
            }
        }
    }
}
