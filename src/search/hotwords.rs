//! Hotwords, sequences that are given a boost: a trie whose failure arcs take back what an unfinished match was given
//! (Aho and Corasick 1975, "Efficient string matching"), one step for every word, or for every token where search has no words.

use std::collections::HashMap;

/// Where a hypothesis stands in a [`HotwordTrie`].
pub type Cursor = u32;

/// Between words, nothing matched.
pub const START: Cursor = 0;
/// Inside a word that no sequence begins with.
const OUTSIDE: Cursor = 1;

#[derive(Debug, Clone, Default)]
struct Node {
    /// By rising symbol.
    children: Vec<(u32, Cursor)>,
    /// Where the longest other match goes on.
    fail: Cursor,
    /// Given for reaching this node from its parent.
    boost: f32,
    /// Given since the last end of a sequence on the way here, to be taken back if the match breaks off.
    held: f32,
    /// What the sequence that ends here is worth, from the last end before it.
    earned: Option<f32>,
}

/// Sequences of symbols and what each is worth.
#[derive(Debug, Clone)]
pub struct HotwordTrie {
    nodes: Vec<Node>,
    /// By symbol: whether a word goes on after it; false beyond the end.
    inner: Vec<bool>,
    max_boost: f32,
}

/// A sequence that is given a boost.
#[derive(Debug, Clone, PartialEq)]
pub struct Hotword {
    /// Words or tokens.
    pub symbols: Vec<u32>,
    /// Nats for every symbol.
    pub boost: f32,
}

impl HotwordTrie {
    /// A trie of `sequences`. A match begins at the start or after a symbol that ends a word, as all do but those marked in
    /// `inner` `[symbols]`.
    pub fn new(sequences: &[Hotword], inner: Vec<bool>) -> Self {
        let mut nodes = vec![Node::default(), Node::default()];
        let mut index: HashMap<(Cursor, u32), Cursor> = HashMap::new();
        let mut ends = vec![0.0_f32; 2];
        for Hotword { symbols, boost } in sequences {
            let mut at = START;
            for symbol in symbols {
                let new = nodes.len() as Cursor;
                let next = *index.entry((at, *symbol)).or_insert(new);
                if next == new {
                    nodes.push(Node::default());
                    ends.push(0.0);
                    nodes[at as usize].children.push((*symbol, next));
                }
                let node = &mut nodes[next as usize];
                node.boost = node.boost.max(*boost);
                at = next;
            }
            if at != START {
                ends[at as usize] = ends[at as usize].max(*boost);
            }
        }
        let max_boost = nodes.iter().map(|node| node.boost).fold(0.0, f32::max);
        let mut trie = Self { nodes, inner, max_boost };
        trie.nodes.iter_mut().for_each(|node| node.children.sort_unstable());
        trie.link(&ends);
        trie
    }

    /// Failure arcs and sums, parents before children.
    fn link(&mut self, ends: &[f32]) {
        let mut queue = std::collections::VecDeque::from([(START, 0_u32)]);
        while let Some((parent, depth)) = queue.pop_front() {
            let Node { held, fail, .. } = self.nodes[parent as usize];
            for (symbol, child) in self.nodes[parent as usize].children.clone() {
                let fail = match depth {
                    0 => self.between(symbol),
                    _ => self.step_from(fail, symbol),
                };
                let node = &mut self.nodes[child as usize];
                let held = held + node.boost;
                node.fail = fail;
                let own = ends[child as usize] > 0.0;
                (node.held, node.earned) = if own { (0.0, Some(held)) } else { (held, None) };
                if !own {
                    self.nodes[child as usize].earned = self.nodes[fail as usize].earned;
                }
                queue.push_back((child, depth + 1));
            }
        }
    }

    fn child(&self, at: Cursor, symbol: u32) -> Option<Cursor> {
        let children = &self.nodes[at as usize].children;
        let found = children.binary_search_by_key(&symbol, |child| child.0).ok()?;
        Some(children[found].1)
    }

    /// Where a symbol leads that nothing matches.
    fn between(&self, symbol: u32) -> Cursor {
        if self.inner.get(symbol as usize) == Some(&true) { OUTSIDE } else { START }
    }

    fn step_from(&self, mut at: Cursor, symbol: u32) -> Cursor {
        loop {
            if let Some(next) = self.child(at, symbol) {
                return next;
            }
            if at == START || at == OUTSIDE {
                return self.between(symbol);
            }
            at = self.nodes[at as usize].fail;
        }
    }

    /// Where `symbol` leads from `at`, and what it adds to the score: below 0 where a match breaks off.
    pub fn advance(&self, at: Cursor, symbol: u32) -> (Cursor, f32) {
        let next = self.step_from(at, symbol);
        let node = &self.nodes[next as usize];
        (next, node.earned.unwrap_or(0.0) + node.held - self.nodes[at as usize].held)
    }

    /// What an unfinished match was given.
    pub fn held(&self, at: Cursor) -> f32 {
        self.nodes[at as usize].held
    }

    /// The most that one symbol adds.
    pub fn max_boost(&self) -> f32 {
        self.max_boost
    }

    /// The most that `symbol` adds anywhere; 0 if no sequence has it.
    pub fn boosts(&self) -> HashMap<u32, f32> {
        let mut steps = HashMap::new();
        for (symbol, child) in self.nodes.iter().flat_map(|node| &node.children) {
            let best: &mut f32 = steps.entry(*symbol).or_default();
            *best = best.max(self.nodes[*child as usize].boost);
        }
        steps
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "small sums are exact")]
mod tests {
    use super::*;

    fn hotword(symbols: &[u32], boost: f32) -> Hotword {
        Hotword { symbols: symbols.to_vec(), boost }
    }

    fn walk(trie: &HotwordTrie, symbols: &[u32]) -> (Vec<f32>, f32) {
        let mut at = START;
        let gains: Vec<f32> = symbols
            .iter()
            .map(|symbol| {
                let (next, gain) = trie.advance(at, *symbol);
                at = next;
                gain
            })
            .collect();
        let total = gains.iter().sum::<f32>() - trie.held(at);
        (gains, total)
    }

    // Sequences 1 2 3 (1 nat a word) and 2 4 (2 nats a word).
    #[test]
    fn what_an_unfinished_match_was_given_is_taken_back() {
        let trie = HotwordTrie::new(&[hotword(&[1, 2, 3], 1.0), hotword(&[2, 4], 2.0)], Vec::new());
        assert_eq!(walk(&trie, &[1, 2, 3]), (vec![1.0, 1.0, 1.0], 3.0));
        assert_eq!(walk(&trie, &[1, 2, 9]), (vec![1.0, 1.0, -2.0], 0.0));
        assert_eq!(walk(&trie, &[1, 2]), (vec![1.0, 1.0], 0.0));
        // The match of 1 2 3 breaks off but goes on as 2 4, which is worth 4 in all.
        assert_eq!(walk(&trie, &[1, 2, 4]), (vec![1.0, 1.0, 2.0], 4.0));
        assert_eq!(walk(&trie, &[1, 1, 2, 3, 2, 4]), (vec![1.0, 0.0, 1.0, 1.0, 2.0, 2.0], 7.0));
        assert_eq!(trie.boosts()[&2], 2.0);
    }

    #[test]
    fn a_sequence_inside_another_is_worth_something_by_itself() {
        let trie = HotwordTrie::new(&[hotword(&[1], 1.0), hotword(&[1, 2], 3.0)], Vec::new());
        assert_eq!(walk(&trie, &[1]).1, 3.0);
        assert_eq!(walk(&trie, &[1, 2]).1, 6.0);
        assert_eq!(walk(&trie, &[1, 9]).1, 3.0);
    }

    // Even symbols end words: 1 2 is favoured at the start of a word only.
    #[test]
    fn tokens_match_at_the_start_of_a_word_only() {
        let inner = vec![false, true, false, true, false];
        let trie = HotwordTrie::new(&[hotword(&[1, 2], 1.0)], inner);
        for (symbols, expected) in
            [(&[1, 2][..], 2.0), (&[3, 1, 2], 0.0), (&[3, 4, 1, 2, 1, 2], 4.0), (&[1, 1, 2], 0.0)]
        {
            assert_eq!(walk(&trie, symbols).1, expected, "{symbols:?}");
        }
    }
}
