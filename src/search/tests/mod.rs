use std::sync::Arc;

use super::*;
use crate::config::SearchConfig;
use crate::lexicon::{Entry, Lexicon};
use crate::lm::NgramLm;
use crate::tokens::TokenTable;

mod hotwords;
mod language;
mod laws;
mod support;
mod tables;

fn config(beam_size: usize) -> SearchConfig {
    SearchConfig {
        beam_size,
        max_states: 0,
        lm_weight: 0.5,
        word_bonus: 1.0,
        end_of_block_bias: 0.0,
        prune_log_prob: 1e6,
        prior_weight: 0.0,
        internal_lm_weight: 0.0,
        neural_weight: 0.0,
        pronunciation_weight: 0.5,
        merge_tokens: 0,
    }
}

/// A row of a table: the probabilities of some tokens; the others have next to none.
fn row(likely: &[(usize, f32)], num_tokens: usize) -> Vec<f32> {
    let mut row = vec![1e-9; num_tokens];
    for (token, p) in likely {
        row[*token] = *p;
    }
    row
}

/// What [`Table`] thinks of a token, had nothing been heard, before the block's token number `count`, from 1.
fn unheard(token: usize, count: usize) -> f32 {
    -(0.125 * token as f32 + 0.5 * count as f32)
}

/// A network as a table: `rows[block][n][token]` is the probability of `token` after n tokens in the block. The state counts them.
struct Table<'a> {
    rows: &'a [&'a [&'a [f32]]],
    block: usize,
}

impl StepScorer for Table<'_> {
    fn num_tokens(&self) -> usize {
        self.rows[0][0].len()
    }

    fn state_size(&self) -> usize {
        1 + NUM_PLACES
    }

    fn step_into(&mut self, states: &[f32], tokens: &[TokenId], out: StepOutput<'_>) {
        let StepOutput { next, log_probs, internal_lm } = out;
        let rows = log_probs.chunks_exact_mut(self.num_tokens());
        let size = self.state_size();
        let states = states.chunks_exact(size).zip(next.chunks_exact_mut(size));
        for (((state, next), token), out) in states.zip(tokens).zip(rows) {
            let emitted = if *token == 0 { 0.0 } else { state[0] };
            // The token to come begins as many frames before the end of the block as there are tokens, and lasts a quarter frame.
            next.copy_from_slice(&[emitted + 1.0, -emitted - 1.0, -emitted - 0.75]);
            let row = self.rows[self.block][emitted as usize];
            out.iter_mut().zip(row).for_each(|(out, p)| *out = p.ln());
        }
        // Had nothing been heard, all tokens but the end of the block are less likely the higher they are and the more were read.
        if let Some((end_of_block, internal_lm)) = internal_lm {
            let rows = internal_lm.chunks_exact_mut(self.num_tokens());
            for (row, next) in rows.zip(next.chunks_exact(size)) {
                let count = next[0] as usize;
                (0..).zip(row.iter_mut()).for_each(|(token, out)| *out = unheard(token, count));
                row[end_of_block as usize] = f32::NEG_INFINITY;
            }
        }
    }
}

fn run(search: &mut dyn Search, rows: &[&[&[f32]]], max_tokens_per_block: usize) {
    for block in 0..rows.len() {
        search.advance_block(&mut Table { rows, block }, max_tokens_per_block);
    }
    search.finish();
}

/// A network without a table: the state mixes what was read, the log-probabilities are smooth functions of it and of the block.
struct Noise {
    num_tokens: usize,
    block: u32,
    seed: f32,
    /// Whether the end of a block changes the state.
    sees_blocks: bool,
    steps: usize,
}

impl StepScorer for Noise {
    fn num_tokens(&self) -> usize {
        self.num_tokens
    }

    fn state_size(&self) -> usize {
        2 + NUM_PLACES
    }

    fn step_into(&mut self, states: &[f32], tokens: &[TokenId], out: StepOutput<'_>) {
        let StepOutput { next, log_probs, .. } = out;
        self.steps += tokens.len();
        let rows = log_probs.chunks_exact_mut(self.num_tokens);
        for (((state, token), next), out) in
            states.chunks(4).zip(tokens).zip(next.chunks_mut(4)).zip(rows)
        {
            next.copy_from_slice(state);
            if *token != 0 || self.sees_blocks {
                next[0] = (state[0] * 1.7 + *token as f32 * 0.37 + 0.11).fract();
                next[1] = (state[1] + state[0] * 0.77 + *token as f32 * 0.13).fract();
            }
            for (t, out) in out.iter_mut().enumerate() {
                let x = 40.0 * next[0]
                    + 13.0 * next[1]
                    + 7.3 * t as f32
                    + 3.1 * self.block as f32
                    + self.seed;
                *out = 3.0 * x.sin();
            }
            out[0] += 1.5;
            let total = out.iter().map(|v| v.exp()).sum::<f32>().ln();
            for v in out.iter_mut() {
                *v -= total;
            }
        }
    }
}

fn phones() -> TokenTable {
    TokenTable::parse("<e>\nA\nB\nS\nI\nA_E\nB_E\nS_E\nI_E\n").unwrap()
}

fn entry(table: &TokenTable, word: &str, path: &str, cost: f32) -> Entry {
    let tokens = path.split(' ').map(|t| table.id(t).unwrap()).collect();
    Entry { word: word.to_owned(), tokens, cost }
}

/// Words a .. f with the 4-gram model of tests/golden over phones of this module.
fn golden() -> Constraint {
    let t = phones();
    let entries = [
        entry(&t, "a", "A_E", 0.0),
        entry(&t, "a", "A I_E", 0.7),
        entry(&t, "b", "B I_E", 0.0),
        entry(&t, "c", "S I_E", 0.0),
        entry(&t, "d", "S I_E", 0.2),
        entry(&t, "e", "I_E", 0.0),
        entry(&t, "f", "A S B_E", 0.0),
    ];
    let lm = NgramLm::from_bytes(include_bytes!("../../../tests/golden/lm-tiny.bin").as_slice())
        .unwrap();
    Constraint::lexicon(Arc::new(Lexicon::from_entries(&entries, &t).unwrap()), Some(Arc::new(lm)))
        .unwrap()
}

fn ids(words: &[Word]) -> Vec<u32> {
    words.iter().map(|w| w.id).collect()
}

fn close(got: f64, expected: f64) {
    assert!((got - expected).abs() < 1e-4, "got {got}, expected {expected}");
}

/// Two blocks, M = 2, tokens `<e>`, a, b. Probabilities of the first token: block 0 (.5 .3 .2), block 1 (.4 .5 .1); after a token
/// `<e>` has .8. Sums over the ways to spread a string over the blocks:
///
/// ```text
/// ""  .5*.4                          = .2
/// a   .3*.8*.4 + .5*.5*.8 = .096+.2  = .296     b   .2*.8*.4 + .5*.1*.8 = .064+.04 = .104
/// aa  .3*.8*.5*.8                    = .096     ab  .3*.8*.1*.8                    = .0192
/// ba  .2*.8*.5*.8                    = .064     bb  .2*.8*.1*.8                    = .0128
/// ```
const AFTER: &[f32] = &[0.8, 0.1, 0.1];
const BY_HAND: &[&[&[f32]]] = &[&[&[0.5, 0.3, 0.2], AFTER], &[&[0.4, 0.5, 0.1], AFTER]];
