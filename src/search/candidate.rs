//! What a hypothesis can become, and what it becomes that of.

use super::hotwords::HotwordTrie;
use super::hypothesis::{NONE, Path};
use super::recall::Recall;
use crate::tokens::TokenId;

/// What a hypothesis can become by one step of the network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// `state`, `history` and `recall` are still those of the parent.
    pub path: Path,
    pub parent: u32,
    /// Word that ends here.
    pub word: Option<u32>,
    /// Whether the block ends here.
    pub closed: bool,
}

impl Candidate {
    /// A hypothesis that closed the block earlier and stays.
    pub fn kept(path: Path) -> Self {
        Self { path, parent: NONE, word: None, closed: true }
    }
}

/// Collects candidates, those far below the best seen so far left out.
pub(super) struct Sink<'a> {
    pub candidates: &'a mut Vec<Candidate>,
    pub best: f32,
    pub margin: f32,
}

impl Sink<'_> {
    pub fn admits(&self, score: f32) -> bool {
        score >= self.best - self.margin
    }

    pub fn push(&mut self, candidate: Candidate) {
        self.offer(candidate.path.score, || candidate);
    }

    /// Makes the candidate, which has this score, only if it is admitted.
    pub fn offer(&mut self, score: f32, candidate: impl FnOnce() -> Candidate) {
        if self.admits(score) {
            self.best = self.best.max(score);
            self.candidates.push(candidate());
        }
    }
}

/// A hypothesis and the network's opinion about its next token.
pub(super) struct Step<'a> {
    pub path: &'a Path,
    pub parent: u32,
    /// `[num_tokens]`
    pub log_probs: &'a [f32],
    /// The same had nothing been heard, `[num_tokens]`, or nothing.
    pub internal_lm: &'a [f32],
    pub block: u32,
    pub end_of_block: TokenId,
    /// Added to the score of the end-of-block symbol.
    pub closing: f32,
    /// Added to the score of every other token.
    pub gain: f32,
    pub hotwords: Option<&'a HotwordTrie>,
    pub recall: Option<&'a Recall>,
}
