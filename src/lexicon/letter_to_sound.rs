//! How a word that the lexicon lacks is spoken: an n-gram model of pairs of a letter and its phones, learnt from a dictionary
//! (docs/model-format.md, `g2p.bin`; Bisani and Ney 2008, "Joint-sequence models for grapheme-to-phoneme conversion").

use std::borrow::Cow;

use super::Entry;
use crate::error::{Error, Result};
use crate::tokens::{TokenId, TokenTable};

const FILE: &str = "g2p.bin";
const MAGIC: &[u8; 4] = b"VVGP";
const VERSION: u32 = 1;
const HEADER: usize = 16;
/// Bytes of a pair: its letter, how many phones, and those.
const PAIR: usize = 4;
const MAX_ORDER: usize = 8;
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
    backoffs: Option<usize>,
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

fn damaged(reason: impl Into<String>) -> Error {
    Error::model(FILE, reason)
}

impl LetterToSound {
    /// Reads the bytes of a `g2p.bin`.
    ///
    /// # Errors
    /// [`Error::Model`] if the bytes are no such file or damaged, or `tokens` has no phones.
    pub fn from_bytes(data: impl Into<Cow<'static, [u8]>>, tokens: &TokenTable) -> Result<Self> {
        let data = data.into();
        if data.len() < HEADER || &data[..4] != MAGIC {
            return Err(damaged("not a letter-to-sound model of this program"));
        }
        let word = |at: usize| {
            data.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)
        };
        let field = |i: usize| word(4 + 4 * i).unwrap_or_default();
        let (version, order, num_pairs) = (field(0), field(1), field(2));
        if version != VERSION as usize {
            return Err(damaged(format!("version {version}, expected {VERSION}")));
        }
        if !(1..=MAX_ORDER).contains(&order)
            || !(1..=usize::from(u16::MAX) - 3).contains(&num_pairs)
        {
            return Err(damaged("order or number of pairs"));
        }
        let mut at = HEADER + PAIR * num_pairs;
        let rows = data.get(HEADER..at).ok_or_else(|| damaged("truncated"))?;
        // Phones are numbered from 1 in the order of their tokens.
        let phones: Vec<TokenId> = (0..tokens.len() as TokenId)
            .filter(|t| *t != tokens.end_of_block() && !tokens.is_word_final(*t))
            .collect();
        let pairs = rows.chunks_exact(PAIR).map(|row| {
            let spoken = row.get(2..2 + usize::from(row[1])).ok_or_else(|| damaged("a pair"))?;
            let token = |p: &u8| phones.get(usize::from(*p).wrapping_sub(1)).copied();
            let spoken: Option<Vec<_>> = spoken.iter().map(token).collect();
            Ok((row[0], spoken.ok_or_else(|| damaged("phones that the model lacks"))?))
        });
        let pairs = pairs.collect::<Result<Vec<_>>>()?;
        let mut levels = Vec::with_capacity(order);
        for k in 0..order {
            let num = word(at).ok_or_else(|| damaged("truncated"))?;
            let symbols = at + 4;
            let inner = k + 1 < order;
            let costs = num.checked_mul(2).and_then(|n| n.checked_add(symbols));
            let costs = costs.ok_or_else(|| damaged("truncated"))?;
            let after = costs.checked_add(num).ok_or_else(|| damaged("truncated"))?;
            let backoffs = inner.then_some(after);
            at = if inner {
                after.saturating_add(num.saturating_mul(4)).saturating_add(3)
            } else {
                after
            };
            if at > data.len() || k == 0 && num != pairs.len() + 3 {
                return Err(damaged("truncated"));
            }
            levels.push(Level { num, symbols, costs, backoffs });
        }
        if at != data.len() {
            return Err(damaged("bytes after the last n-gram"));
        }
        let model = Self { data, pairs, levels };
        for (level, next) in model.levels.iter().zip(&model.levels[1..]) {
            let rises = (0..level.num).all(|i| model.first(level, i) <= model.first(level, i + 1));
            if !rises || model.first(level, level.num) != next.num {
                return Err(damaged("n-grams are not in order"));
            }
        }
        Ok(model)
    }

    fn symbol(&self, level: &Level, at: usize) -> u16 {
        let at = level.symbols + 2 * at;
        u16::from_le_bytes([self.data[at], self.data[at + 1]])
    }

    /// First n-gram of the next order that continues n-gram `at`.
    fn first(&self, level: &Level, at: usize) -> usize {
        let Some(backoffs) = level.backoffs else { return 0 };
        let at = backoffs + level.num + 3 * at;
        u32::from_le_bytes([self.data[at], self.data[at + 1], self.data[at + 2], 0]) as usize
    }

    /// N-gram of order `k + 1` that is `parent`, one of order `k`, and `symbol`.
    fn find(&self, k: usize, parent: usize, symbol: u16) -> Option<usize> {
        let level = &self.levels[k];
        let (mut low, mut high) = match k.checked_sub(1).map(|below| &self.levels[below]) {
            Some(below) => (self.first(below, parent), self.first(below, parent + 1)),
            None => (0, level.num),
        };
        while low < high {
            let middle = low + (high - low) / 2;
            match self.symbol(level, middle).cmp(&symbol) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Cost of `symbol` after `context`, which is shorter than the order, in steps.
    fn cost(&self, context: &[u16], symbol: u16) -> u32 {
        let mut total = 0;
        for start in 0..=context.len() {
            let context = &context[start..];
            let node =
                context.iter().enumerate().try_fold(0, |node, (k, s)| self.find(k, node, *s));
            let Some(node) = node else { continue };
            if let Some(found) = self.find(context.len(), node, symbol) {
                return total + u32::from(self.data[self.levels[context.len()].costs + found]);
            }
            let backoffs = context.len().checked_sub(1).and_then(|k| self.levels[k].backoffs);
            total += backoffs.map_or(0, |at| u32::from(self.data[at + node]));
        }
        total + WORST
    }

    fn spell(&self, word: &str) -> Vec<Spelt> {
        let keep = self.levels.len() - 1;
        let start = self.pairs.len() as u16 + 1;
        let mut beam = vec![Spelt { cost: 0, context: vec![start], tokens: Vec::new() }];
        beam[0].context.truncate(keep);
        for letter in word.bytes() {
            let mut longer: Vec<Spelt> = Vec::new();
            for spelt in &beam {
                for (pair, (_, phones)) in
                    (0..).zip(&self.pairs).filter(|(_, (own, _))| *own == letter)
                {
                    let mut next = spelt.clone();
                    next.cost += self.cost(&spelt.context, pair);
                    next.context.push(pair);
                    let old = next.context.len().saturating_sub(keep);
                    next.context.drain(..old);
                    next.tokens.extend_from_slice(phones);
                    longer.push(next);
                }
            }
            // Stable: ties keep the order of generation.
            longer.sort_by_key(|spelt| spelt.cost);
            beam.clear();
            for spelt in longer {
                let same = |b: &Spelt| b.context == spelt.context && b.tokens == spelt.tokens;
                if beam.len() < BEAM && !beam.iter().any(same) {
                    beam.push(spelt);
                }
            }
        }
        let end = self.pairs.len() as u16 + 2;
        for spelt in &mut beam {
            spelt.cost += self.cost(&spelt.context, end);
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
