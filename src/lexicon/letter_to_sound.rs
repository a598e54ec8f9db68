//! How a word that the lexicon lacks is spoken: an n-gram model of pairs of a letter and its phones, learnt from a dictionary
//! (docs/model-format.md, `g2p.bin`; Bisani and Ney 2008, "Joint-sequence models for grapheme-to-phoneme conversion").

use std::borrow::Cow;

use super::Entry;
use crate::binary::{Reader, find_u16, u24_at};
use crate::error::Result;
use crate::tokens::{TokenId, TokenTable};

const FILE: &str = "g2p.bin";
const MAGIC: [u8; 4] = *b"VVGP";
const VERSION: u32 = 1;
/// Bytes of a pair: its letter, how many phones, and those.
const PAIR: usize = 4;
const MAX_ORDER: usize = 8;
/// More pairs than any language has; it keeps the search for a pronunciation short.
const MAX_PAIRS: usize = 4096;
/// Behind the pairs: none, the start and the end of a word.
const MARKS: usize = 3;
const COST_STEP: f32 = 1.0 / 16.0;
/// Of a pair that the model does not hold at all.
const WORST: u32 = 255;
/// Hypotheses kept; the recipe's search keeps as many.
const BEAM: usize = 24;
const LONGEST: usize = 64;

/// The n-grams of one order, as offsets into the file.
#[derive(Debug, Clone)]
struct Level {
    num: usize,
    symbols: usize,
    costs: usize,
    /// Absent in the highest order.
    inner: Option<Inner>,
}

/// What only n-grams have that others continue.
#[derive(Debug, Clone)]
struct Inner {
    backoffs: usize,
    first: usize,
}

impl Level {
    /// First n-gram of the next order that continues n-gram `at`.
    fn first(&self, data: &[u8], at: usize) -> usize {
        self.inner.as_ref().map_or(0, |inner| u24_at(data, inner.first, at) as usize)
    }
}

/// A letter-to-sound model. Costs are whole numbers, so every platform decides alike.
#[derive(Debug, Clone)]
pub struct LetterToSound {
    data: Cow<'static, [u8]>,
    /// By pair: its letter and tokens.
    pairs: Vec<(u8, Vec<TokenId>)>,
    levels: Vec<Level>,
}

/// A pronunciation and its price.
#[derive(Debug, Clone, PartialEq)]
pub struct Guess {
    /// Tokens, the last one in word-final form.
    pub tokens: Vec<TokenId>,
    /// Negative natural log-probability of word and pronunciation together.
    pub cost: f32,
}

#[derive(Clone)]
struct Spelt {
    cost: u32,
    context: Vec<u16>,
    tokens: Vec<TokenId>,
}

/// The words of `text` in small letters; hyphens part words.
///
/// # Errors
/// What is wrong, if a word has other characters than a to z and the apostrophe.
pub fn spelt(text: &str) -> std::result::Result<Vec<String>, String> {
    let text = text.replace('-', " ").to_ascii_lowercase();
    let letter = |c: char| c.is_ascii_lowercase() || c == '\'' || c.is_whitespace();
    match text.chars().find(|c| !letter(*c)) {
        Some(other) => Err(format!("{other:?} is no letter; write words with a to z and '")),
        None => Ok(text.split_whitespace().map(str::to_owned).collect()),
    }
}

impl LetterToSound {
    /// Reads the bytes of a `g2p.bin`.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) if the bytes are no such file or damaged, or `tokens` has no phones.
    pub fn from_bytes(data: impl Into<Cow<'static, [u8]>>, tokens: &TokenTable) -> Result<Self> {
        let data = data.into();
        let mut reader = Reader::new(FILE, &data, MAGIC, VERSION)?;
        let (order, num_pairs) = (reader.count()?, reader.count()?);
        if !(1..=MAX_ORDER).contains(&order) || !(1..=MAX_PAIRS).contains(&num_pairs) {
            return Err(reader.damaged("order or number of pairs"));
        }
        let rows = reader.bytes(num_pairs, PAIR)?;
        // Phones are numbered from 1 in the order of their tokens.
        let phones: Vec<TokenId> = (0..tokens.len() as TokenId)
            .filter(|t| *t != tokens.end_of_block() && !tokens.is_word_final(*t))
            .collect();
        let pairs = rows.chunks_exact(PAIR).map(|row| {
            let token = |p: &u8| phones.get(usize::from(*p).wrapping_sub(1)).copied();
            let spoken = row.get(2..2 + usize::from(row[1]))?.iter().map(token);
            Some((row[0], spoken.collect::<Option<Vec<_>>>()?))
        });
        let pairs: Option<Vec<_>> = pairs.collect();
        let pairs = pairs.ok_or_else(|| reader.damaged("phones that the model lacks"))?;
        let mut levels: Vec<Level> = Vec::with_capacity(order);
        for k in 0..order {
            let num = reader.count()?;
            if k == 0 && num != pairs.len() + MARKS {
                return Err(reader.damaged("number of pairs"));
            }
            let (symbols, costs) = (reader.take(num, 2)?, reader.take(num, 1)?);
            let inner = if k + 1 < order {
                Some(Inner { backoffs: reader.take(num, 1)?, first: reader.take(num + 1, 3)? })
            } else {
                None
            };
            levels.push(Level { num, symbols, costs, inner });
        }
        reader.end()?;
        for (level, next) in levels.iter().zip(&levels[1..]) {
            let first = |at| level.first(&data, at);
            if (0..level.num).any(|i| first(i) > first(i + 1)) || first(level.num) != next.num {
                return Err(reader.damaged("n-grams are not in order"));
            }
        }
        Ok(Self { data, pairs, levels })
    }

    /// N-gram of order `k + 1` that is `parent`, one of order `k`, and `symbol`.
    fn find(&self, k: usize, parent: usize, symbol: u16) -> Option<usize> {
        let level = &self.levels[k];
        let range = match k.checked_sub(1).map(|below| &self.levels[below]) {
            Some(below) => below.first(&self.data, parent)..below.first(&self.data, parent + 1),
            None => 0..level.num,
        };
        find_u16(&self.data, level.symbols, range, symbol)
    }

    /// The ends of `context`, which is shorter than the order, that the model has: the n-gram of each, its length, and what it costs
    /// to come to it, in steps; the longest first.
    fn places(&self, context: &[u16], out: &mut Vec<(usize, usize, u32)>) -> u32 {
        out.clear();
        let mut total = 0;
        for start in 0..=context.len() {
            let context = &context[start..];
            let node =
                context.iter().enumerate().try_fold(0, |node, (k, s)| self.find(k, node, *s));
            let Some(node) = node else { continue };
            out.push((node, context.len(), total));
            let inner = context.len().checked_sub(1).and_then(|k| self.levels[k].inner.as_ref());
            total += inner.map_or(0, |inner| u32::from(self.data[inner.backoffs + node]));
        }
        total + WORST
    }

    /// Cost of `symbol` after a context with these places, in steps.
    fn cost(&self, places: &[(usize, usize, u32)], worst: u32, symbol: u16) -> u32 {
        let found = places.iter().find_map(|(node, length, before)| {
            let found = self.find(*length, *node, symbol)?;
            Some(before + u32::from(self.data[self.levels[*length].costs + found]))
        });
        found.unwrap_or(worst)
    }

    fn spell(&self, word: &str) -> Vec<Spelt> {
        let keep = self.levels.len() - 1;
        let start = self.pairs.len() as u16 + 1;
        let mut beam = vec![Spelt { cost: 0, context: vec![start], tokens: Vec::new() }];
        beam[0].context.truncate(keep);
        let mut places = Vec::new();
        let mut longer: Vec<(u32, usize, u16)> = Vec::new();
        for letter in word.bytes() {
            longer.clear();
            for (i, spelt) in beam.iter().enumerate() {
                let worst = self.places(&spelt.context, &mut places);
                let pairs = (0..).zip(&self.pairs).filter(|(_, (own, _))| *own == letter);
                longer
                    .extend(pairs.map(|(p, _)| (spelt.cost + self.cost(&places, worst, p), i, p)));
            }
            // Stable: ties keep the order of generation.
            longer.sort_by_key(|(cost, ..)| *cost);
            let mut best: Vec<Spelt> = Vec::with_capacity(BEAM);
            for (cost, i, pair) in &longer {
                let mut next = Spelt { cost: *cost, ..beam[*i].clone() };
                next.context.push(*pair);
                let old = next.context.len().saturating_sub(keep);
                next.context.drain(..old);
                next.tokens.extend_from_slice(&self.pairs[usize::from(*pair)].1);
                let same = |b: &Spelt| b.context == next.context && b.tokens == next.tokens;
                if !best.iter().any(same) {
                    best.push(next);
                }
                if best.len() == BEAM {
                    break;
                }
            }
            beam = best;
        }
        let end = self.pairs.len() as u16 + 2;
        for spelt in &mut beam {
            let worst = self.places(&spelt.context, &mut places);
            spelt.cost += self.cost(&places, worst, end);
        }
        beam.sort_by_key(|spelt| spelt.cost);
        beam
    }

    /// Up to `n` distinct pronunciations of `word` (letters a to z and the apostrophe, at most 64), the likeliest first; none if it
    /// has other letters or the model knows no way to speak it.
    pub fn pronounce(&self, word: &str, tokens: &TokenTable, n: usize) -> Vec<Guess> {
        let mut guesses: Vec<Guess> = Vec::new();
        if word.is_empty() || word.len() > LONGEST {
            return guesses;
        }
        for Spelt { cost, tokens: mut path, .. } in self.spell(word) {
            let Some(last) = path.last_mut() else { continue };
            let Some(word_final) = tokens.word_final(*last) else { continue };
            *last = word_final;
            if guesses.len() < n && guesses.iter().all(|g| g.tokens != path) {
                guesses.push(Guess { tokens: path, cost: cost as f32 * COST_STEP });
            }
        }
        guesses
    }

    /// The same as entries for [`super::Lexicon::with_words`], costs relative to the likeliest one.
    pub fn entries(&self, word: &str, tokens: &TokenTable, n: usize) -> Vec<Entry> {
        let guesses = self.pronounce(word, tokens, n);
        let best = guesses.first().map_or(0.0, |g| g.cost);
        let entry = |g: Guess| Entry { word: word.into(), tokens: g.tokens, cost: g.cost - best };
        guesses.into_iter().map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::table;
    use super::*;

    const TINY: &[u8] = include_bytes!("../../tests/golden/g2p-tiny.bin");

    #[test]
    fn speaks_words_as_the_recipe_does() {
        let tokens = table();
        let model = LetterToSound::from_bytes(TINY, &tokens).unwrap();
        let mut spoken = 0;
        for line in include_str!("../../tests/golden/g2p-tiny.tsv").lines() {
            let (word, expected) = line.split_once('\t').unwrap_or((line, ""));
            let found: Vec<_> = model
                .pronounce(word, &tokens, 2)
                .iter()
                .map(|guess| {
                    let (last, inner) = guess.tokens.split_last().unwrap();
                    assert!(tokens.is_word_final(*last));
                    let mut names: Vec<_> =
                        inner.iter().map(|t| tokens.text(*t).unwrap()).collect();
                    names.push(tokens.text(tokens.plain(*last)).unwrap());
                    format!("{} {}", guess.cost / COST_STEP, names.join(" "))
                })
                .collect();
            assert_eq!(found.join("\t"), expected, "{word}");
            spoken += found.len();
        }
        assert!(spoken > 100);
    }

    #[test]
    fn entries_cost_what_they_are_less_likely_than_the_best() {
        let tokens = table();
        let model = LetterToSound::from_bytes(TINY, &tokens).unwrap();
        let entries = model.entries("ayt", &tokens, 2);
        let names = |entry: &Entry| -> Vec<_> {
            entry.tokens.iter().map(|t| tokens.text(*t).unwrap().to_owned()).collect()
        };
        assert_eq!((names(&entries[0]), entries[0].cost), (vec!["EY".into(), "T_E".into()], 0.0));
        assert_eq!(
            (names(&entries[1]), entries[1].cost),
            (vec!["EY".into(), "TH_E".into()], 6.125)
        );
        for word in ["", "a b", "caf\u{e9}", &"a".repeat(65)] {
            assert_eq!(model.entries(word, &tokens, 2), []);
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_harmless() {
        let tokens = table();
        for n in (0..TINY.len()).step_by(97) {
            assert!(LetterToSound::from_bytes(&TINY[..n], &tokens).is_err());
        }
        let longer = [TINY, &[0]].concat();
        assert!(LetterToSound::from_bytes(longer, &tokens).is_err());
        let mut loaded = 0;
        for i in (0..TINY.len()).step_by(53).chain(0..64) {
            let mut bad = TINY.to_vec();
            bad[i] ^= 0x55;
            if let Ok(model) = LetterToSound::from_bytes(bad, &tokens) {
                assert!(model.pronounce("baytooks", &tokens, 3).len() <= 3);
                loaded += 1;
            }
        }
        assert!(loaded > 50);
    }
}
