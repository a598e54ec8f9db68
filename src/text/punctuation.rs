//! Sentence ends, commas, question marks and capitals (docs/model-format.md, `punctuation.bin`): logistic regressions over hashed
//! words around a gap and over the pause there.

use std::borrow::Cow;
use std::collections::HashMap;

use super::digits::{Unit, units};
use super::months::is_month;
use super::{Around, SpokenWord, Written, write};
use crate::binary::Reader;
use crate::error::Result;

const FILE: &str = "punctuation.bin";
const MAGIC: [u8; 4] = *b"VVPU";
const VERSION: u32 = 2;
/// Borders of the classes of pauses, in seconds.
const PAUSES_S: [f32; 5] = [0.05, 0.15, 0.3, 0.5, 0.8];
const NUM_PAUSES: usize = PAUSES_S.len() + 1;
/// Stands before the first word and after the last.
const BORDER: &str = "\n";
/// Stands for any number.
const NUMBER: &str = "#";

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
    AcrossBefore,
    AcrossAfter,
}

/// What a regression adds to the words around a gap.
#[derive(Debug, Clone)]
struct Regression {
    table_at: usize,
    bias: f32,
    pauses: [f32; NUM_PAUSES],
}

/// A model of marks and capitals. Cheap to share, no state: a segment is shaped when it is over.
#[derive(Debug, Clone)]
pub struct Punctuator {
    data: Cow<'static, [u8]>,
    mask: u32,
    scale: f32,
    ends: Regression,
    commas: Regression,
    question_bias: f32,
    capitals: HashMap<String, String>,
}

/// A word or a number, as the regressions see it.
struct Token {
    hash: u32,
    start_s: f64,
    end_s: f64,
}

/// FNV-1a, 32 bits.
fn hash(word: &str) -> u32 {
    word.bytes().fold(0x811c_9dc5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

/// Of two words.
fn pair(a: u32, b: u32) -> u32 {
    a.wrapping_mul(0x0100_0193) ^ b
}

fn tokens(words: &[SpokenWord<'_>], units: &[Unit]) -> Vec<Token> {
    let mut at = 0;
    let mut out = Vec::with_capacity(units.len());
    for unit in units {
        let own = &words[at..at + unit.words];
        at += unit.words;
        let (Some(first), Some(last)) = (own.first(), own.last()) else { continue };
        let word = if unit.digits.is_some() { NUMBER } else { first.word };
        out.push(Token { hash: hash(word), start_s: first.start_s, end_s: last.end_s });
    }
    out
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
        let scale = reader.f32()?;
        let (end_bias, comma_bias, question_bias) = (reader.f32()?, reader.f32()?, reader.f32()?);
        let mut pauses = [[0.0; NUM_PAUSES]; 2];
        for pause in pauses.as_flattened_mut() {
            *pause = reader.f32()?;
        }
        let numbers = [scale, end_bias, comma_bias, question_bias];
        let finite = numbers.iter().chain(pauses.as_flattened()).all(|x| x.is_finite());
        if !table.is_power_of_two() || !finite {
            return Err(reader.damaged("size of the table, or a number"));
        }
        let text_bytes = reader.count()?;
        let ends_at = reader.take(table as usize, 1)?;
        let commas_at = reader.take(table as usize, 1)?;
        let text = reader.bytes(text_bytes, 1)?;
        reader.end()?;
        let text = std::str::from_utf8(text).map_err(|_| reader.damaged("not UTF-8"))?;
        let pair = |line: &str| line.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
        let capitals: Option<_> = text.lines().map(pair).collect();
        let capitals = capitals.ok_or_else(|| reader.damaged("a word without its written form"))?;
        let [of_ends, of_commas] = pauses;
        Ok(Self {
            data,
            mask: table - 1,
            scale,
            ends: Regression { table_at: ends_at, bias: end_bias, pauses: of_ends },
            commas: Regression { table_at: commas_at, bias: comma_bias, pauses: of_commas },
            question_bias,
            capitals,
        })
    }

    fn weight(&self, table_at: usize, feature: Feature, a: u32, b: u32) -> f32 {
        let mut x = a.wrapping_mul(0x9e37_79b1)
            ^ b.rotate_left(15).wrapping_mul(0x85eb_ca77)
            ^ (feature as u32).wrapping_mul(0xc2b2_ae3d);
        x = (x ^ (x >> 15)).wrapping_mul(0x2c1b_3c6d);
        x = (x ^ (x >> 12)).wrapping_mul(0x297a_2d39);
        x ^= x >> 15;
        let value = self.data[table_at + (x & self.mask) as usize];
        f32::from(value.cast_signed()) * self.scale
    }

    /// Log-odds of a mark behind each token but the last.
    fn odds(&self, of: &Regression, tokens: &[Token]) -> Vec<f32> {
        let border = hash(BORDER);
        let at = |i: usize| tokens.get(i).map_or(border, |token| token.hash);
        let gap = |i: usize| {
            let l2 = i.checked_sub(1).map_or(border, at);
            let (l1, r1, r2) = (at(i), at(i + 1), at(i + 2));
            let pause = (tokens[i + 1].start_s - tokens[i].end_s) as f32;
            let class = PAUSES_S.iter().take_while(|border| pause >= **border).count();
            let weight = |feature, a, b| self.weight(of.table_at, feature, a, b);
            weight(Feature::Left, l1, 0)
                + weight(Feature::Right, r1, 0)
                + weight(Feature::Lefts, l2, l1)
                + weight(Feature::Rights, r1, r2)
                + weight(Feature::Across, l1, r1)
                + weight(Feature::AcrossBefore, pair(l2, l1), r1)
                + weight(Feature::AcrossAfter, pair(l1, r1), r2)
                + of.bias
                + of.pauses[class]
        };
        (1..tokens.len()).map(|i| gap(i - 1)).collect()
    }

    /// Log-odds that a sentence is a question.
    fn question(&self, words: &[SpokenWord<'_>]) -> f32 {
        let hash_at = |i: usize| words.get(i).map_or(hash(BORDER), |w| hash(w.word));
        let weight = |feature, a, b| self.weight(self.ends.table_at, feature, a, b);
        weight(Feature::First, hash_at(0), 0)
            + weight(Feature::Firsts, hash_at(0), hash_at(1))
            + weight(Feature::Last, hash_at(words.len().saturating_sub(1)), 0)
            + self.question_bias
    }

    /// The words of a segment as sentences: each begins with a capital and ends with its mark; and whether the last one goes on.
    pub(super) fn shape(
        &self,
        words: &[SpokenWord<'_>],
        own: &[Unit],
        around: Around<'_>,
        digits: bool,
    ) -> (Vec<Written>, bool) {
        let mut seen = tokens(words, own);
        let next: Vec<&str> = around.after.iter().map(|w| w.word).collect();
        seen.extend(tokens(around.after, &units(&next)));
        let (ends, commas) = (self.odds(&self.ends, &seen), self.odds(&self.commas, &seen));
        let mut out: Vec<Written> = Vec::with_capacity(words.len());
        let (mut at, mut sentence, mut begins) = (0, 0, !around.goes_on);
        for (i, unit) in own.iter().enumerate() {
            let first = out.len();
            let form = |w: &str| self.capitals.get(w).map_or(w, String::as_str).to_owned();
            write(unit, &words[at..], digits, form, &mut out);
            if begins || is_month(own, words, i, at) {
                out[first].text = capitalised(&out[first].text);
            }
            at += unit.words;
            let is_over = ends.get(i).is_none_or(|odds| *odds > 0.0);
            begins = is_over;
            let mark = if is_over {
                if self.question(&words[sentence..at]) > 0.0 { '?' } else { '.' }
            } else if commas[i] > 0.0 {
                ','
            } else {
                continue;
            };
            if is_over {
                sentence = at;
            }
            if let Some(last) = out.last_mut() {
                last.text.push(mark);
            }
        }
        (out, !begins)
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Shaping;

    const TINY: &[u8] = include_bytes!("../../tests/golden/punctuation-tiny.bin");
    const SHAPING: Shaping = Shaping { digits: false, punctuate: true };

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

    fn text(written: &[Written]) -> String {
        written.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn shapes_text_as_the_recipe_does() {
        let model = Punctuator::from_bytes(TINY).unwrap();
        let lines = include_str!("../../tests/golden/punctuation-tiny.tsv");
        assert!(lines.lines().count() >= 20);
        assert!(lines.contains(','));
        for line in lines.lines() {
            let columns: Vec<_> = line.split('\t').collect();
            let words = spoken(columns[0], columns[1]);
            let names: Vec<_> = words.iter().map(|w| w.word).collect();
            let tokens = tokens(&words, &units(&names));
            for (of, column) in [(&model.ends, 2), (&model.commas, 3)] {
                let expected: Vec<f32> =
                    columns[column].split_whitespace().map(|odds| odds.parse().unwrap()).collect();
                let got = model.odds(of, &tokens);
                assert_eq!(got.len(), expected.len());
                for (got, expected) in got.iter().zip(expected) {
                    assert!((got - expected).abs() < 1e-3, "{line}: {got}");
                }
            }
            let (written, goes_on) = SHAPING.shape(&words, Around::default(), Some(&model));
            assert_eq!((text(&written).as_str(), goes_on), (columns[4], false));
            assert_eq!(written.iter().map(|w| w.words).sum::<usize>(), words.len());
        }
    }

    #[test]
    fn a_segment_without_words_stays_empty() {
        let model = Punctuator::from_bytes(TINY).unwrap();
        assert_eq!(SHAPING.shape(&[], Around::default(), Some(&model)).0, []);
        let two = spoken("twenty dogs", "0");
        let digits = Shaping { digits: true, ..SHAPING };
        let (written, _) = digits.shape(&two, Around::default(), Some(&model));
        assert!(text(&written).starts_with("20") && text(&written).contains("ogs"), "{written:?}");
    }

    #[test]
    fn a_cut_segment_ends_as_its_sentence_does() {
        let model = Punctuator::from_bytes(TINY).unwrap();
        let words = spoken("you like dogs we see cats home today not run do who", "");
        let (whole, _) = SHAPING.shape(&words, Around::default(), Some(&model));
        for cut in 1..words.len() {
            let around = Around { after: &words[cut..], ..Around::default() };
            let (first, goes_on) = SHAPING.shape(&words[..cut], around, Some(&model));
            let ended = first.last().unwrap().text.ends_with(['.', '?']);
            assert_eq!(goes_on, !ended, "{first:?}");
            // The mark behind the last word is that of the whole; questions may differ, as they need whole sentences.
            let bare = |w: &Written| w.text.replace('?', ".");
            assert_eq!(bare(&first[cut - 1]), bare(&whole[cut - 1]));
            let around = Around { goes_on, ..Around::default() };
            let (second, _) = SHAPING.shape(&words[cut..], around, Some(&model));
            let upper = |text: &str| text.starts_with(char::is_uppercase);
            assert_eq!(upper(&second[0].text), upper(&whole[cut].text));
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_harmless() {
        for n in 0..TINY.len().min(200) {
            assert!(Punctuator::from_bytes(&TINY[..n]).is_err());
        }
        let longer = [TINY, &[0]].concat();
        assert!(Punctuator::from_bytes(longer).is_err());
        for i in 0..28 + 8 * NUM_PAUSES {
            let mut bad = TINY.to_vec();
            bad[i] ^= 0x41;
            if let Ok(model) = Punctuator::from_bytes(bad) {
                let words = spoken("a b", "0.1");
                assert!(!SHAPING.shape(&words, Around::default(), Some(&model)).0.is_empty());
            }
        }
    }
}
