//! Prefix tree over pronunciations, in flat arrays in depth-first order.

use super::{Pronounced, WordId};
use crate::tokens::TokenId;

/// A node of the tree; [`ROOT`] stands between words.
pub type NodeId = u32;

/// Where every word begins.
pub const ROOT: NodeId = 0;

/// A node's subtree is the run of nodes after it, so its first child is the next node and a sibling follows at the end of a subtree.
#[derive(Debug, Clone)]
pub struct PrefixTree {
    /// Token that leads to the node; that of the root has no meaning.
    tokens: Vec<TokenId>,
    /// One past the last node of the subtree.
    ends: Vec<NodeId>,
    /// `words[first_word[n]..first_word[n + 1]]` end at node n.
    first_word: Vec<u32>,
    words: Vec<Pronounced>,
}

impl PrefixTree {
    /// Number of nodes, the root included.
    pub fn num_nodes(&self) -> usize {
        self.tokens.len()
    }

    /// The token that leads to `node`.
    pub fn token(&self, node: NodeId) -> TokenId {
        self.tokens[node as usize]
    }

    /// The nodes one token further, by rising token.
    pub fn children(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let end = self.ends[node as usize];
        let mut next = node + 1;
        std::iter::from_fn(move || {
            let child = next;
            (child < end).then(|| {
                next = self.ends[child as usize];
                child
            })
        })
    }

    /// The words that end at `node`.
    pub fn words(&self, node: NodeId) -> &[Pronounced] {
        let node = node as usize;
        &self.words[self.first_word[node] as usize..self.first_word[node + 1] as usize]
    }

    /// One past the last node of the subtree of `node`, which is a run of nodes.
    pub fn end(&self, node: NodeId) -> NodeId {
        self.ends[node as usize]
    }

    /// For every node the largest `value` of the words below it; the root has 0, as nothing is known there.
    pub fn best_below(&self, value: impl Fn(WordId) -> f32) -> Vec<f32> {
        let mut best = vec![f32::NEG_INFINITY; self.num_nodes()];
        for node in (0..self.num_nodes() as NodeId).rev() {
            let own = self.words(node).iter().map(|w| value(w.word));
            let below = self.children(node).map(|child| best[child as usize]);
            best[node as usize] = own.chain(below).fold(f32::NEG_INFINITY, f32::max);
        }
        best[ROOT as usize] = 0.0;
        best
    }

    /// Calls `visit` with every pronunciation, in the order of the tree.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&[TokenId], Pronounced)) {
        let (mut path, mut open) = (Vec::new(), Vec::new());
        for node in 1..self.num_nodes() as NodeId {
            while open.last().is_some_and(|end| *end <= node) {
                open.pop();
                path.pop();
            }
            open.push(self.ends[node as usize]);
            path.push(self.token(node));
            for word in self.words(node) {
                visit(&path, *word);
            }
        }
    }
}

/// Builds a tree from sorted pronunciations in one pass.
pub(super) struct TreeBuilder {
    tree: PrefixTree,
    path: Vec<NodeId>,
}

impl TreeBuilder {
    pub fn new(num_pronunciations: usize) -> Self {
        let capacity = 3 * num_pronunciations;
        let mut tree = PrefixTree {
            tokens: Vec::with_capacity(capacity),
            ends: Vec::with_capacity(capacity),
            first_word: Vec::with_capacity(capacity),
            words: Vec::with_capacity(num_pronunciations),
        };
        tree.tokens.push(TokenId::MAX);
        tree.ends.push(0);
        tree.first_word.push(0);
        Self { tree, path: Vec::new() }
    }

    /// Tokens of the pronunciation added last.
    pub fn depth(&self) -> usize {
        self.path.len()
    }

    /// The token at `depth` of the pronunciation added last.
    pub fn token_at(&self, depth: usize) -> Option<TokenId> {
        self.path.get(depth).map(|node| self.tree.token(*node))
    }

    /// Adds a pronunciation that shares `shared` tokens with the last one and goes on with `rest`.
    pub fn push(&mut self, shared: usize, rest: impl Iterator<Item = TokenId>, word: Pronounced) {
        self.close(shared);
        for token in rest {
            self.path.push(self.tree.tokens.len() as NodeId);
            self.tree.tokens.push(token);
            self.tree.ends.push(0);
            self.tree.first_word.push(self.tree.words.len() as u32);
        }
        self.tree.words.push(word);
    }

    fn close(&mut self, depth: usize) {
        let end = self.tree.tokens.len() as NodeId;
        for node in self.path.drain(depth..) {
            self.tree.ends[node as usize] = end;
        }
    }

    pub fn finish(mut self) -> PrefixTree {
        self.close(0);
        self.tree.ends[ROOT as usize] = self.tree.tokens.len() as NodeId;
        self.tree.first_word.push(self.tree.words.len() as u32);
        self.tree
    }
}
