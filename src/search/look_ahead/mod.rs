//! What the language model expects below a node of the lexicon's tree after a certain word: look-ahead of order 2
//! (Ortmanns, Ney and Eiden 1996, "Language-model look-ahead for large vocabulary speech recognition").

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;

use crate::lexicon::{Lexicon, NodeId, PrefixTree, ROOT, WordId};
use crate::lm::{LmState, NgramLm};

/// Entries of all tables together, and tables; when there are more, only those stay that were wanted last, half as many.
const MAX_ENTRIES: usize = 3 << 18;
const MAX_TABLES: usize = 1 << 16;
/// Entries whose first node and highest value are kept apart: nodes of a run fill a cache line.
const RUN: usize = 16;
/// Tables hold log-probabilities in parts of a nat, so many; what is nearer is the same to look-ahead.
const PARTS: f32 = 1024.0;

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
    /// Nodes at which words end, sorted.
    nodes: Box<[NodeId]>,
    /// The log-probabilities of these words, times [`PARTS`].
    values: Box<[i16]>,
    /// By run of entries: its first node, its best value.
    runs: Box<[(NodeId, i16)]>,
    backoff: f32,
    /// How many tables had been made when it was last wanted.
    wanted: u64,
}

impl Table {
    /// What may come after word `before`; `gathered` is room to work in.
    fn of(words: &WordNodes, lm: &NgramLm, before: u32, gathered: &mut Vec<(NodeId, i16)>) -> Self {
        gathered.clear();
        for (word, log_prob) in lm.successors(before) {
            let log_prob = log_prob + words.boosts.get(&word).copied().unwrap_or(0.0);
            let value = (log_prob * PARTS).round() as i16;
            gathered.extend(words.of(word).iter().map(|node| (*node, value)));
        }
        gathered.sort_unstable_by_key(|entry| entry.0);
        Self {
            nodes: gathered.iter().map(|entry| entry.0).collect(),
            values: gathered.iter().map(|entry| entry.1).collect(),
            runs: gathered.chunks(RUN).map(|run| (run[0].0, of_runs(run))).collect(),
            backoff: lm.word_backoff(before),
            wanted: 0,
        }
    }
}

/// The highest value, or the lowest there is.
fn highest(values: impl Iterator<Item = i16>) -> i16 {
    values.fold(i16::MIN, i16::max)
}

fn of_runs(runs: &[(NodeId, i16)]) -> i16 {
    highest(runs.iter().map(|run| run.1))
}

/// Tables by lexicon and the word before, made when they are first wanted. One serves any number of streams.
#[derive(Debug, Default)]
pub(super) struct LookAhead {
    tables: HashMap<Key, Box<Table>, RandomState>,
    /// Tables made so far, those that are gone among them.
    num_made: u64,
    /// The lexicons of the tables. Held on to, though not kept alive, so that no other takes the address of one.
    lexicons: HashMap<usize, Weak<WordNodes>>,
    /// Entries of all tables.
    num_entries: usize,
    /// Those of the table that is being made.
    gathered: Vec<(NodeId, i16)>,
}

/// Address of a lexicon's nodes, and the word before.
type Key = (usize, u32);

/// What may come after a word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    tree: &'a PrefixTree,
    nodes: &'a [NodeId],
    values: &'a [i16],
    runs: &'a [(NodeId, i16)],
    unigram: &'a [f32],
    backoff: f32,
}

impl Expected<'_> {
    /// What is expected below `node`.
    pub fn within(&self, node: NodeId) -> Within<'_> {
        let (from, to) = match node {
            ROOT => (0, self.nodes.len()),
            _ => self.range(node, (0, self.nodes.len())),
        };
        Within { expected: self, node, from, to, next: from }
    }

    /// The entries below `node`, which are among `from..to`.
    fn range(&self, node: NodeId, (from, to): (usize, usize)) -> (usize, usize) {
        let first = self.place(node, (from, to));
        (first, self.place(self.tree.end(node), (first, to)))
    }

    /// How many entries, of which `from` are known to be, have smaller nodes; `to` are the most.
    fn place(&self, node: NodeId, (from, to): (usize, usize)) -> usize {
        let first_run = from / RUN;
        let runs = &self.runs[first_run..to.div_ceil(RUN)];
        let Some(before) = runs.partition_point(|run| run.0 < node).checked_sub(1) else {
            return from;
        };
        let start = (first_run + before) * RUN;
        let (start, end) = (start.max(from), (start + RUN).min(to));
        start + self.nodes[start..end].partition_point(|entry| *entry < node)
    }

    /// The best log-probability of the words below `node`, of which entries `from..to` were seen.
    fn best(&self, node: NodeId, (from, to): (usize, usize)) -> f32 {
        let unseen = self.unigram[node as usize] + self.backoff;
        if from == to { unseen } else { unseen.max(f32::from(self.highest(from, to)) / PARTS) }
    }

    /// The highest value of entries `from..to`.
    fn highest(&self, from: usize, to: usize) -> i16 {
        let high = |values: &[i16]| highest(values.iter().copied());
        let (whole, rest) = (from.next_multiple_of(RUN), to / RUN * RUN);
        if whole >= rest {
            return high(&self.values[from..to]);
        }
        let inner = of_runs(&self.runs[whole / RUN..rest / RUN]);
        inner.max(high(&self.values[from..whole])).max(high(&self.values[rest..to]))
    }
}

/// What may come after a word, below one node.
#[derive(Debug)]
pub(super) struct Within<'a> {
    expected: &'a Expected<'a>,
    node: NodeId,
    /// The entries below the node.
    from: usize,
    to: usize,
    /// Where those of the children begin that were not asked for.
    next: usize,
}

impl Within<'_> {
    /// The best log-probability of the words below; 0 at the root, where all is open.
    pub fn best(&self) -> f32 {
        if self.node == ROOT { 0.0 } else { self.expected.best(self.node, (self.from, self.to)) }
    }

    /// The same of a child. Children must be asked for by rising number.
    pub fn best_of(&mut self, child: NodeId) -> f32 {
        let (from, to) = self.expected.range(child, (self.next, self.to));
        self.next = to;
        self.expected.best(child, (from, to))
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
            return Expected { tree, nodes: &[], values: &[], runs: &[], unigram, backoff: 0.0 };
        };
        self.make_room();
        let key = (Arc::as_ptr(words).addr(), state.last_word());
        let Self { tables, num_made, lexicons, num_entries, gathered } = self;
        let table = tables.entry(key).or_insert_with(|| {
            lexicons.entry(key.0).or_insert_with(|| Arc::downgrade(words));
            let table = Box::new(Table::of(words, lm, key.1, gathered));
            *num_entries += table.nodes.len();
            *num_made += 1;
            table
        });
        table.wanted = *num_made;
        let Table { nodes, values, runs, backoff, .. } = &**table;
        Expected { tree, nodes, values, runs, unigram, backoff: *backoff }
    }

    /// If there are too many tables, drops those that were not wanted for longest, until half of what may be is left.
    fn make_room(&mut self) {
        if self.num_entries <= MAX_ENTRIES && self.tables.len() <= MAX_TABLES {
            return;
        }
        let tables = self.tables.values().map(|table| (table.wanted, table.nodes.len()));
        let mut tables: Vec<_> = tables.collect();
        tables.sort_unstable_by_key(|(wanted, _)| std::cmp::Reverse(*wanted));
        let mut left = 0;
        let fits = |(place, (_, entries)): (usize, &(u64, usize))| {
            left += entries;
            left <= MAX_ENTRIES / 2 && place < MAX_TABLES / 2
        };
        let num_left = tables.iter().enumerate().map(fits).take_while(|fits| *fits).count();
        let first_to_go = tables.get(num_left).map_or(0, |(wanted, _)| *wanted);
        self.tables.retain(|_, table| table.wanted > first_to_go);
        self.num_entries = self.tables.values().map(|table| table.nodes.len()).sum();
        let used: HashSet<_> = self.tables.keys().map(|key| key.0).collect();
        self.lexicons.retain(|lexicon, _| used.contains(lexicon));
    }
}

#[cfg(test)]
mod tests;
