//! What the language model expects below a node of the lexicon's tree after a certain word: look-ahead of order 2
//! (Ortmanns, Ney and Eiden 1996, "Language-model look-ahead for large vocabulary speech recognition").

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::lexicon::{Lexicon, NodeId, PrefixTree, ROOT, WordId};
use crate::lm::{LmState, NgramLm};

/// Entries of all tables together, and tables; when there are more, all are made anew as they are wanted.
const MAX_ENTRIES: usize = 1 << 19;
const MAX_TABLES: usize = 1 << 16;
/// Entries whose maximum is kept.
const RUN: usize = 16;

/// Where the words of a tree end, and what they are worth without context.
#[derive(Debug)]
pub(super) struct WordNodes {
    /// `nodes[starts[w]..starts[w + 1]]` are those of word w.
    starts: Vec<u32>,
    nodes: Vec<NodeId>,
    /// By node: the best log-probability, without context, of the words below; 0 at the root.
    unigram: Vec<f32>,
    /// Added to the log-probabilities of hotwords.
    boosts: HashMap<WordId, f32>,
}

impl WordNodes {
    /// `value` is the log-probability of a word without context, boost included.
    pub fn new(
        lexicon: &Lexicon,
        value: impl Fn(WordId) -> f32,
        boosts: HashMap<WordId, f32>,
    ) -> Self {
        let tree = lexicon.tree();
        let (starts, nodes) = words_of(tree, lexicon.num_words());
        Self { starts, nodes, unigram: tree.best_below(value), boosts }
    }

    /// Where `word` ends; nowhere, if a language model knows words that the lexicon lacks.
    fn of(&self, word: WordId) -> &[NodeId] {
        match self.starts.get(word as usize..).unwrap_or_default() {
            [start, end, ..] => &self.nodes[*start as usize..*end as usize],
            _ => &[],
        }
    }
}

/// The nodes at which each word ends, as (where those of a word begin, nodes).
fn words_of(tree: &PrefixTree, num_words: usize) -> (Vec<u32>, Vec<NodeId>) {
    let mut starts = vec![0; num_words + 1];
    let nodes = || 0..tree.num_nodes() as NodeId;
    for ending in nodes().flat_map(|node| tree.words(node)) {
        starts[ending.word as usize + 1] += 1;
    }
    for word in 0..num_words {
        starts[word + 1] += starts[word];
    }
    let mut filled = starts.clone();
    let mut out = vec![ROOT; starts[num_words] as usize];
    for node in nodes() {
        for ending in tree.words(node) {
            let place = &mut filled[ending.word as usize];
            out[*place as usize] = node;
            *place += 1;
        }
    }
    (starts, out)
}

/// What may come after one word.
#[derive(Debug)]
struct Table {
    /// (node at which a word ends, its log-probability), sorted by node.
    entries: Box<[(NodeId, f32)]>,
    /// By run of entries: the best of them.
    best: Box<[f32]>,
    backoff: f32,
}

/// Tables by lexicon and the word before, made when they are first wanted. One serves any number of streams.
#[derive(Debug, Default)]
pub(super) struct LookAhead {
    tables: Vec<Table>,
    /// Where they stand.
    places: HashMap<Key, usize>,
    /// The lexicons of the tables. Held on to, though not kept alive, so that no other takes the address of one.
    lexicons: HashMap<usize, Weak<WordNodes>>,
    /// Entries of all tables.
    num_entries: usize,
    /// Those of the table that is being made.
    gathered: Vec<(NodeId, f32)>,
}

/// Address of a lexicon's nodes, and the word before.
type Key = (usize, u32);

/// What may come after a word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    tree: &'a PrefixTree,
    entries: &'a [(NodeId, f32)],
    best: &'a [f32],
    unigram: &'a [f32],
    backoff: f32,
}

impl Expected<'_> {
    /// The best log-probability of the words below `node`; 0 at the root, where all is open.
    pub fn below(&self, node: NodeId) -> f32 {
        if node == ROOT {
            return 0.0;
        }
        let unseen = self.unigram[node as usize] + self.backoff;
        let first = self.entries.partition_point(|entry| entry.0 < node);
        let end = self.tree.end(node);
        let count = self.entries[first..].partition_point(|entry| entry.0 < end);
        self.highest(first, first + count).max(unseen)
    }

    /// The highest log-probability of entries `from..to`.
    fn highest(&self, from: usize, to: usize) -> f32 {
        let high = |range: &[(NodeId, f32)]| {
            range.iter().map(|entry| entry.1).fold(f32::NEG_INFINITY, f32::max)
        };
        let (whole, rest) = (from.next_multiple_of(RUN), to / RUN * RUN);
        if whole >= rest {
            return high(&self.entries[from..to]);
        }
        let runs = self.best[whole / RUN..rest / RUN].iter().copied();
        let inner = runs.fold(f32::NEG_INFINITY, f32::max);
        inner.max(high(&self.entries[from..whole])).max(high(&self.entries[rest..to]))
    }
}

impl LookAhead {
    /// What follows after `state`; without language model all words are alike.
    pub fn after<'a>(
        &'a mut self,
        words: &'a Arc<WordNodes>,
        tree: &'a PrefixTree,
        lm: Option<&NgramLm>,
        state: LmState,
    ) -> Expected<'a> {
        let unigram = &words.unigram;
        let Some(lm) = lm else {
            return Expected { tree, entries: &[], best: &[], unigram, backoff: 0.0 };
        };
        let key = (Arc::as_ptr(words).addr(), state.last_word());
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => self.make(words, lm, key),
        };
        let Table { entries, best, backoff } = &self.tables[place];
        Expected { tree, entries, best, unigram, backoff: *backoff }
    }

    fn make(&mut self, words: &Arc<WordNodes>, lm: &NgramLm, key: Key) -> usize {
        if self.num_entries > MAX_ENTRIES || self.tables.len() > MAX_TABLES {
            self.tables.clear();
            self.places.clear();
            self.lexicons.clear();
            self.num_entries = 0;
        }
        let entries = &mut self.gathered;
        entries.clear();
        for (word, log_prob) in lm.successors(key.1) {
            let log_prob = log_prob + words.boosts.get(&word).copied().unwrap_or(0.0);
            entries.extend(words.of(word).iter().map(|node| (*node, log_prob)));
        }
        entries.sort_unstable_by_key(|entry| entry.0);
        let best = |run: &[(NodeId, f32)]| {
            run.iter().map(|entry| entry.1).fold(f32::NEG_INFINITY, f32::max)
        };
        let best = entries.chunks(RUN).map(best).collect();
        self.num_entries += entries.len();
        self.lexicons.entry(key.0).or_insert_with(|| Arc::downgrade(words));
        let (entries, backoff) = (entries.as_slice().into(), lm.word_backoff(key.1));
        self.tables.push(Table { entries, best, backoff });
        self.places.insert(key, self.tables.len() - 1);
        self.tables.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexicon::Entry;
    use crate::tokens::TokenTable;

    /// Every node of a tree over the words of tests/golden, after every word: the table against the definition, the best of the words
    /// below, seen after that word or not; twice, as made and as kept.
    #[test]
    fn tables_equal_the_definition() {
        let tokens = TokenTable::parse("<e>\nA\nB\nS\nA_E\nB_E\nS_E\n").unwrap();
        let entries = [
            ("a", "A_E"),
            ("a", "A B_E"),
            ("b", "A B S_E"),
            ("c", "A B_E"),
            ("d", "S A_E"),
            ("e", "S S S_E"),
            ("f", "S S B_E"),
        ];
        let entries = entries.map(|(word, path)| Entry {
            word: word.to_owned(),
            tokens: path.split(' ').map(|t| tokens.id(t).unwrap()).collect(),
            cost: 0.0,
        });
        let lexicon = Lexicon::from_entries(&entries, &tokens).unwrap();
        let lm = include_bytes!("../../tests/golden/lm-tiny.bin").as_slice();
        let lm = NgramLm::from_bytes(lm).unwrap();
        let tree = lexicon.tree();
        let boosts = HashMap::from([(4, 2.5)]);
        let boost = |word| boosts.get(&word).copied().unwrap_or(0.0);
        let value = |word| lm.unigram(word) + boost(word);
        let words = Arc::new(WordNodes::new(&lexicon, value, boosts.clone()));
        let mut look_ahead = LookAhead::default();
        let contexts = (0..6).map(|word| lm.score(lm.start(), word).1).chain([lm.start()]);
        for state in contexts.clone().chain(contexts) {
            let seen: HashMap<_, _> = lm.successors(state.last_word()).collect();
            let backoff = lm.word_backoff(state.last_word());
            for node in 1..tree.num_nodes() as NodeId {
                let below = (node..tree.end(node)).flat_map(|n| tree.words(n)).map(|w| w.word);
                let known = |word| seen.get(&word).map(|p| p + boost(word));
                let each =
                    below.map(|word| known(word).unwrap_or(f32::MIN).max(value(word) + backoff));
                let expected = each.fold(f32::NEG_INFINITY, f32::max);
                let found = look_ahead.after(&words, tree, Some(&lm), state).below(node);
                assert!((found - expected).abs() < 1e-5, "{node}: {found} {expected}");
            }
            assert!(look_ahead.after(&words, tree, Some(&lm), state).below(ROOT).abs() < 1e-9);
        }
        assert_eq!(look_ahead.tables.len(), 7);
    }

    /// A list of words that is dropped leaves its tables behind; no later list may be taken for it.
    #[test]
    fn tables_of_a_lexicon_that_is_gone_serve_no_other() {
        let tokens = TokenTable::parse("<e>\nA\nA_E\n").unwrap();
        let entry = Entry { word: "a".into(), tokens: vec![2], cost: 0.0 };
        let lexicon = Lexicon::from_entries(&[entry], &tokens).unwrap();
        let lm = include_bytes!("../../tests/golden/lm-tiny.bin").as_slice();
        let lm = NgramLm::from_bytes(lm).unwrap();
        let mut look_ahead = LookAhead::default();
        for i in 0..100_u16 {
            let boost = f32::from(i);
            let boosts = HashMap::from([(0, boost)]);
            let words = Arc::new(WordNodes::new(&lexicon, |_| lm.unigram(0) + boost, boosts));
            let found = look_ahead.after(&words, lexicon.tree(), Some(&lm), lm.start()).below(1);
            assert!(found >= boost + lm.unigram(0) + lm.word_backoff(lm.start().last_word()));
            assert!(found <= boost, "{i}: {found}");
        }
        assert_eq!(look_ahead.tables.len(), 100);
    }

    #[test]
    fn the_best_of_any_range_is_found_through_runs() {
        let tree = Lexicon::from_entries(&[], &TokenTable::parse("<e>\nA\nA_E\n").unwrap());
        let tree = tree.unwrap().tree().clone();
        let value = |i: u32| -((i * 37 % 101) as f32);
        let entries: Vec<_> = (0..6 * RUN as u32).map(|i| (i, value(i))).collect();
        let best: Vec<_> = entries
            .chunks(RUN)
            .map(|run| run.iter().map(|e| e.1).fold(f32::NEG_INFINITY, f32::max))
            .collect();
        let (entries, best) = (&entries[..], &best[..]);
        let expected = Expected { tree: &tree, entries, best, unigram: &[], backoff: 0.0 };
        for from in 0..entries.len() {
            for to in from..=entries.len() {
                let plain = entries[from..to].iter().map(|e| e.1).fold(f32::NEG_INFINITY, f32::max);
                assert!(expected.highest(from, to).total_cmp(&plain).is_eq(), "{from}..{to}");
            }
        }
    }
}
