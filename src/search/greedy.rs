//! The simplest search: the best token at every step.

use super::{Hypothesis, Search, StepScorer, Word, bias_gains, bounded};
use crate::config::SearchConfig;
use crate::tokens::TokenId;

/// Takes the best token at every step; every token is a word, and confirmed at once. Uses `end_of_block_bias` only.
#[derive(Debug)]
pub struct Greedy {
    end_of_block: TokenId,
    end_of_block_bias: f32,
    state: Vec<f32>,
    next: Vec<f32>,
    log_probs: Vec<f32>,
    token: TokenId,
    block: u32,
    last_token_block: Option<u32>,
    score: f64,
    confirmed: Vec<Word>,
    finished: bool,
}

impl Greedy {
    /// A search at the start of a stream.
    pub fn new(config: &SearchConfig, end_of_block: TokenId) -> Self {
        Self {
            end_of_block,
            end_of_block_bias: config.end_of_block_bias,
            state: Vec::new(),
            next: Vec::new(),
            log_probs: Vec::new(),
            token: end_of_block,
            block: 0,
            last_token_block: None,
            score: 0.0,
            confirmed: Vec::new(),
            finished: false,
        }
    }

    /// The best token, its log-probability and its score; the end of the block wins a tie, then the lower id.
    fn best(&self, may_emit: bool) -> (TokenId, f32, f32) {
        let closing = bounded(self.log_probs[self.end_of_block as usize]);
        let (closing_gain, gain) = bias_gains(closing, self.end_of_block_bias);
        let mut best = (self.end_of_block, closing, closing + closing_gain);
        for (token, log_prob) in (0..).zip(&self.log_probs) {
            let log_prob = bounded(*log_prob);
            if may_emit && token != self.end_of_block && log_prob + gain > best.2 {
                best = (token, log_prob, log_prob + gain);
            }
        }
        best
    }
}

impl Search for Greedy {
    fn advance_block(&mut self, scorer: &mut dyn StepScorer, max_tokens_per_block: usize) {
        if self.finished {
            return;
        }
        self.state.resize(scorer.state_size(), 0.0);
        self.next.resize(scorer.state_size(), 0.0);
        self.log_probs.resize(scorer.num_tokens(), 0.0);
        for emitted in 1..=max_tokens_per_block.max(1) {
            scorer.step_into(&self.state, &[self.token], &mut self.next, &mut self.log_probs);
            std::mem::swap(&mut self.state, &mut self.next);
            let (token, log_prob, score) = self.best(emitted < max_tokens_per_block);
            self.token = token;
            self.score += f64::from(score);
            if token == self.end_of_block {
                break;
            }
            self.last_token_block = Some(self.block);
            let (first_block, last_block) = (self.block, self.block);
            self.confirmed.push(Word { id: token, first_block, last_block, log_prob });
        }
        self.block += 1;
    }

    fn finish(&mut self) {
        self.finished = true;
    }

    fn reset(&mut self) {
        self.state.fill(0.0);
        self.token = self.end_of_block;
        self.block = 0;
        self.last_token_block = None;
        self.score = 0.0;
        self.confirmed.clear();
        self.finished = false;
    }

    fn take_confirmed(&mut self, out: &mut Vec<Word>) {
        out.append(&mut self.confirmed);
    }

    fn tentative(&self, _out: &mut Vec<Word>) {}

    fn n_best(&self, n: usize) -> Vec<Hypothesis> {
        let only = Hypothesis { words: Vec::new(), score: self.score };
        std::iter::once(only).take(n).collect()
    }

    fn num_blocks(&self) -> u32 {
        self.block
    }

    fn last_token_block(&self) -> Option<u32> {
        self.last_token_block
    }
}
