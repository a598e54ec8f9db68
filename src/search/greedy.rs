//! The simplest search: the best token at every step.

use std::sync::Arc;

use super::hotwords::{Cursor, HotwordTrie, START};
use super::{
    Emitted, Hypothesis, Search, SearchScratch, StepBatch, StepRows, Word, bias_gains, bounded,
};
use crate::config::SearchConfig;
use crate::tokens::TokenId;

/// Takes the best token at every step; every token is a word, and confirmed at once. Uses `end_of_block_bias` only.
#[derive(Debug)]
pub struct Greedy {
    end_of_block: TokenId,
    end_of_block_bias: f32,
    hotwords: Option<Arc<HotwordTrie>>,
    cursor: Cursor,
    state: Vec<f32>,
    token: TokenId,
    block: u32,
    last_token_block: Option<u32>,
    /// Steps of the network that this block may still take.
    steps_left: usize,
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
            hotwords: None,
            cursor: START,
            state: Vec::new(),
            token: end_of_block,
            block: 0,
            last_token_block: None,
            steps_left: 0,
            score: 0.0,
            confirmed: Vec::new(),
            finished: false,
        }
    }

    /// Favours sequences of tokens.
    #[must_use]
    pub fn with_hotwords(self, hotwords: Option<Arc<HotwordTrie>>) -> Self {
        Self { hotwords, ..self }
    }

    /// The best token, its log-probability and its score; the end of the block wins a tie, then the lower id. Going on with a
    /// hotword sequence counts; that one breaks off does not, since all else would break it off alike.
    fn best(&self, log_probs: &[f32], may_emit: bool) -> (TokenId, f32, f32) {
        let closing = bounded(log_probs[self.end_of_block as usize]);
        let (closing_gain, gain) = bias_gains(closing, self.end_of_block_bias);
        let mut best = (self.end_of_block, closing, closing + closing_gain);
        for (token, log_prob) in (0..).zip(log_probs) {
            if !may_emit || token == self.end_of_block {
                continue;
            }
            let log_prob = bounded(*log_prob);
            let boost =
                self.hotwords.as_ref().map_or(0.0, |b| b.advance(self.cursor, token).1.max(0.0));
            let score = log_prob + gain + boost;
            if score > best.2 {
                best = (token, log_prob, score);
            }
        }
        best
    }
}

impl Search for Greedy {
    fn begin_block(&mut self, state_size: usize, max_tokens_per_block: usize) {
        if !self.finished {
            self.state.resize(state_size, 0.0);
            self.steps_left = max_tokens_per_block.max(1);
        }
    }

    fn num_pending(&self) -> usize {
        usize::from(self.steps_left > 0)
    }

    fn pending_into(&self, batch: &mut StepBatch) {
        if self.steps_left > 0 {
            batch.states.extend_from_slice(&self.state);
            batch.tokens.push(self.token);
        }
    }

    fn absorb(&mut self, rows: StepRows<'_>, _: &mut SearchScratch) {
        let StepRows { next, log_probs, .. } = rows;
        self.state.copy_from_slice(next);
        self.steps_left -= 1;
        let (token, log_prob, score) = self.best(log_probs, self.steps_left > 0);
        self.token = token;
        self.score += f64::from(score);
        if token == self.end_of_block {
            self.steps_left = 0;
            self.block += 1;
        } else {
            if let Some(hotwords) = &self.hotwords {
                let (cursor, gained) = hotwords.advance(self.cursor, token);
                // Nothing was taken off above.
                self.score += f64::from(gained.min(0.0));
                self.cursor = cursor;
            }
            self.last_token_block = Some(self.block);
            let places = [next[next.len() - 2], next[next.len() - 1]];
            self.confirmed.push(Word::of_token(token, self.block, log_prob, places));
        }
    }

    fn num_bytes(&self) -> usize {
        self.state.capacity() * size_of::<f32>()
    }

    fn finish(&mut self) {
        if let Some(hotwords) = self.hotwords.as_ref().filter(|_| !self.finished) {
            self.score -= f64::from(hotwords.held(self.cursor));
        }
        self.finished = true;
    }

    fn reset(&mut self) {
        self.state.fill(0.0);
        self.token = self.end_of_block;
        self.block = 0;
        self.last_token_block = None;
        self.cursor = START;
        self.score = 0.0;
        self.confirmed.clear();
        self.finished = false;
    }

    fn take_confirmed(&mut self, out: &mut Vec<Word>) {
        out.append(&mut self.confirmed);
    }

    fn tentative(&self, _out: &mut Vec<Word>) {}

    fn n_best(&self, n: usize) -> Vec<Hypothesis> {
        let only = Hypothesis { words: Vec::new(), score: self.score, emitted: Emitted::default() };
        std::iter::once(only).take(n).collect()
    }

    fn num_blocks(&self) -> u32 {
        self.block
    }

    fn last_token_block(&self) -> Option<u32> {
        self.last_token_block
    }
}
