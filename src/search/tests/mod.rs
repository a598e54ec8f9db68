use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config::SearchConfig;
use crate::lexicon::{Entry, Lexicon};
use crate::lm::NgramLm;
use crate::tokens::TokenTable;

mod hotwords;
mod language;
mod support;

fn config(beam_size: usize) -> SearchConfig {
    SearchConfig {
        beam_size,
        max_states: 0,
        lm_weight: 0.5,
        word_bonus: 1.0,
        end_of_block_bias: 0.0,
        prune_log_prob: 1e6,
        prior_weight: 0.0,
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

    fn step_into(
        &mut self,
        states: &[f32],
        tokens: &[TokenId],
        next: &mut [f32],
        log_probs: &mut [f32],
    ) {
        let rows = log_probs.chunks_exact_mut(self.num_tokens());
        let size = self.state_size();
        let (states, next) = (states.chunks_exact(size), next.chunks_exact_mut(size));
        for (((state, token), next), out) in states.zip(tokens).zip(next).zip(rows) {
            let emitted = if *token == 0 { 0.0 } else { state[0] };
            // The token to come begins as many frames before the end of the block as there are tokens, and lasts a quarter frame.
            next.copy_from_slice(&[emitted + 1.0, -emitted - 1.0, -emitted - 0.75]);
            let row = self.rows[self.block][emitted as usize];
            out.iter_mut().zip(row).for_each(|(out, p)| *out = p.ln());
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

    fn step_into(
        &mut self,
        states: &[f32],
        tokens: &[TokenId],
        next: &mut [f32],
        log_probs: &mut [f32],
    ) {
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

#[test]
fn n_best_of_a_table_computed_by_hand() {
    let mut search = BeamSearch::new(&config(16), Constraint::Free, 0);
    run(&mut search, BY_HAND, 2);
    let got: Vec<_> =
        search.n_best(9).into_iter().map(|h| (ids(&h.words), h.score.exp())).collect();
    let expected: [(&[u32], f64); 7] = [
        (&[1], 0.296),
        (&[], 0.2),
        (&[2], 0.104),
        (&[1, 1], 0.096),
        (&[2, 1], 0.064),
        (&[1, 2], 0.0192),
        (&[2, 2], 0.0128),
    ];
    assert_eq!(got.len(), expected.len());
    for ((words, p), (expected_words, expected_p)) in got.iter().zip(expected) {
        assert_eq!(words, expected_words);
        close(*p, expected_p);
    }
    let mut words = Vec::new();
    search.take_confirmed(&mut words);
    // Of the two ways to say "a" the likelier one gives the time.
    assert_eq!((words.len(), words[0].id, words[0].first_block, words[0].last_block), (1, 1, 1, 1));
    close(f64::from(words[0].log_prob), 0.5_f64.ln());
}

#[test]
fn greedy_takes_the_best_token_and_honours_the_bias_and_the_limit() {
    let mut greedy = Greedy::new(&config(1), 0);
    run(&mut greedy, BY_HAND, 2);
    let mut words = Vec::new();
    greedy.take_confirmed(&mut words);
    assert_eq!((ids(&words), words[0].first_block), (vec![1], 1));
    let eager = SearchConfig { end_of_block_bias: -3.0, ..config(1) };
    let mut greedy = Greedy::new(&eager, 0);
    run(&mut greedy, BY_HAND, 2);
    words.clear();
    greedy.take_confirmed(&mut words);
    assert_eq!(ids(&words), [1, 1]);
    let mut greedy = Greedy::new(&eager, 0);
    run(&mut greedy, BY_HAND, 1);
    words.clear();
    greedy.take_confirmed(&mut words);
    assert!(words.is_empty());
}

/// The table above with -ln 2 on `<e>`'s logit, that is with half its odds: ("a" in block 0, in block 1) are
/// .3/.75 * .4/.6 * .2/.8 and .25/.75 * .5/.8 * .4/.6, "" is .25/.75 * .2/.8.
#[test]
fn bias_keeps_probabilities_normalised_and_favours_speaking() {
    let biased = SearchConfig { end_of_block_bias: -(2.0_f32.ln()), ..config(16) };
    let mut search = BeamSearch::new(&biased, Constraint::Free, 0);
    run(&mut search, BY_HAND, 2);
    let n_best = search.n_best(9);
    let p = |words: &[u32]| n_best.iter().find(|h| ids(&h.words) == words).unwrap().score.exp();
    close(p(&[]), 0.25 / 0.75 * 0.2 / 0.8);
    close(p(&[1]), 0.3 / 0.75 * 0.4 / 0.6 * 0.2 / 0.8 + 0.25 / 0.75 * 0.5 / 0.8 * 0.4 / 0.6);
}

/// Homophones c and d (`S I_E`), said over two blocks with nothing else possible: score = log-probabilities of the tokens and of both
/// `<e>`, + bonus, + weight * (bigram, then sentence end), - weight * cost.
#[test]
fn a_word_across_blocks_gets_exactly_its_language_model_score() {
    let constraint = golden();
    let lm = constraint.lm().unwrap();
    let zero = 1e-9;
    let row = |pairs: &[(usize, f32)]| {
        let mut row = vec![zero; 9];
        for (token, p) in pairs {
            row[*token] = *p;
        }
        row
    };
    let (s, e, i) = (row(&[(3, 0.9), (0, 0.1)]), row(&[(0, 1.0)]), row(&[(8, 0.7), (0, 0.3)]));
    let rows: &[&[&[f32]]] = &[&[&s, &e], &[&i, &e]];
    let settings = SearchConfig { prune_log_prob: 12.0, ..config(8) };
    let mut search = BeamSearch::new(&settings, constraint.clone(), 0);
    run(&mut search, rows, 2);
    let n_best = search.n_best(8);
    for (word, cost) in [(2, 0.0), (3, 0.2)] {
        let (bigram, state) = lm.score(lm.start(), word);
        let expected =
            0.9_f32.ln() + 0.7_f32.ln() + 1.0 + 0.5 * (bigram + lm.end(state)) - 0.5 * cost;
        let found = n_best.iter().find(|h| ids(&h.words) == [word]).unwrap();
        close(found.score, f64::from(expected));
        assert_eq!((found.words[0].first_block, found.words[0].last_block), (0, 1));
        close(f64::from(found.words[0].log_prob), f64::from(0.9_f32.ln() + 0.7_f32.ln()));
    }
}

#[test]
fn an_unfinished_word_is_not_shown_and_is_dropped_only_if_nothing_else_is_left() {
    let mut begun = vec![1e-9; 9];
    begun[2] = 1.0;
    let mut end = vec![1e-9; 9];
    end[0] = 1.0;
    let rows: &[&[&[f32]]] = &[&[&begun, &end]];
    let mut words = Vec::new();
    let narrow = SearchConfig { prune_log_prob: 5.0, ..config(4) };
    let mut search = BeamSearch::new(&narrow, golden(), 0);
    search.advance_block(&mut Table { rows, block: 0 }, 4);
    search.tentative(&mut words);
    search.finish();
    search.take_confirmed(&mut words);
    assert!(words.is_empty() && search.n_best(3).len() == 1);
    // "b" begun in 90 %, nothing said in 10 %: the complete one is taken.
    begun[2] = 0.9;
    begun[0] = 0.1;
    let rows: &[&[&[f32]]] = &[&[&begun, &end]];
    let mut search = BeamSearch::new(&config(4), golden(), 0);
    run(&mut search, rows, 4);
    assert!(search.n_best(1)[0].words.is_empty());
}

/// With a state that only tokens change, every string's score must be its sum over all alignments.
#[test]
fn wide_beam_sums_over_all_alignments() {
    let (max_tokens, num_blocks) = (3, 3);
    let mut search = BeamSearch::new(&config(1000), Constraint::Free, 0);
    let network = |block| Noise { num_tokens: 3, block, seed: 0.3, sees_blocks: false, steps: 0 };
    for block in 0..num_blocks {
        search.advance_block(&mut network(block), max_tokens);
    }
    search.finish();
    let mut sums: BTreeMap<Vec<u32>, f64> = BTreeMap::new();
    let mut stack = vec![(0, 0, vec![0.0_f32; 2], 0, Vec::new(), 0.0_f64)];
    while let Some((block, emitted, state, token, string, score)) = stack.pop() {
        if block == num_blocks {
            *sums.entry(string).or_default() += score.exp();
            continue;
        }
        let (mut next, mut log_probs) = (vec![0.0; 2], vec![0.0; 3]);
        network(block).step_into(&state, &[token], &mut next, &mut log_probs);
        for (t, p) in (0_u32..).zip(&log_probs) {
            let score = score + f64::from(*p);
            let mut longer: Vec<u32> = string.clone();
            if t == 0 {
                stack.push((block + 1, 0, next.clone(), t, longer, score));
            } else if emitted + 1 < max_tokens {
                longer.push(t);
                stack.push((block, emitted + 1, next.clone(), t, longer, score));
            }
        }
    }
    let got = search.n_best(1000);
    assert_eq!(got.len(), sums.len());
    for hypothesis in got {
        close(hypothesis.score.exp(), sums[&ids(&hypothesis.words)]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn beam_of_one_equals_greedy(seed in 0.0_f32..100.0, bias in -2.0_f32..1.0, max_tokens in 1_usize..6) {
        let config = SearchConfig { end_of_block_bias: bias, ..config(1) };
        let mut searches: [Box<dyn Search>; 2] =
            [Box::new(Greedy::new(&config, 0)), Box::new(BeamSearch::new(&config, Constraint::Free, 0))];
        let results = searches.each_mut().map(|search| {
            let mut words = Vec::new();
            for block in 0..30 {
                search.advance_block(&mut Noise { num_tokens: 7, block, seed, sees_blocks: true, steps: 0 }, max_tokens);
            }
            search.finish();
            search.take_confirmed(&mut words);
            (words, search.n_best(1)[0].score)
        });
        prop_assert_eq!(&results[0].0, &results[1].0);
        prop_assert!((results[0].1 - results[1].1).abs() < 1e-2);
    }

    /// Every hypothesis alive begins with all that was ever handed out (hashes tell), so nothing of it can be taken back.
    #[test]
    fn confirmed_words_are_never_taken_back(seed in 0.0_f32..100.0, beam_size in 1_usize..24, merge_tokens in 0_usize..9, free in any::<bool>()) {
        let constraint = if free { Constraint::Free } else { golden() };
        let config = SearchConfig { prune_log_prob: 8.0, end_of_block_bias: -1.0, merge_tokens, ..config(beam_size) };
        let mut search = BeamSearch::new(&config, constraint, 0);
        let mut confirmed: Vec<Word> = Vec::new();
        for block in 0..60 {
            let mut scorer = Noise { num_tokens: 9, block, seed, sees_blocks: true, steps: 0 };
            search.advance_block(&mut scorer, 4);
            prop_assert!(scorer.steps <= 4 * beam_size);
            search.take_confirmed(&mut confirmed);
            for (words_hash, rest) in search.alive() {
                let all = confirmed.iter().chain(&rest);
                prop_assert_eq!(words_hash, all.fold(0, |h, w| hypothesis::hash(h, w.id)));
            }
            let mut tentative = Vec::new();
            search.tentative(&mut tentative);
            prop_assert_eq!(&tentative, &search.n_best(1)[0].words);
            let times = confirmed.iter().chain(&tentative);
            prop_assert!(times.clone().all(|w| w.first_block <= w.last_block && w.last_block <= block));
            prop_assert!(times.clone().zip(times.skip(1)).all(|(a, b)| a.last_block <= b.first_block));
        }
        let before = confirmed.clone();
        search.finish();
        search.take_confirmed(&mut confirmed);
        prop_assert_eq!(&confirmed[..before.len()], &before[..]);
        prop_assert_eq!(confirmed.len() - before.len(), search.n_best(1)[0].words.len());
    }
}

/// a (.6) or b (.4), then c in every block: after four c the two differ only in what is long past.
#[test]
fn hypotheses_that_differ_only_long_ago_are_merged_if_asked() {
    let (first, then, end): (&[f32], &[f32], &[f32]) =
        (&[1e-9, 0.6, 0.4, 1e-9], &[1e-9, 1e-9, 1e-9, 1.0], &[1.0, 1e-9, 1e-9, 1e-9]);
    let rows: &[&[&[f32]]] =
        &[&[first, end], &[then, end], &[then, end], &[then, end], &[then, end]];
    for (merge_tokens, blocks, confirmed) in [(0, 5, 0), (4, 4, 0), (4, 5, 5), (3, 4, 4)] {
        let settings = SearchConfig { merge_tokens, prune_log_prob: 10.0, ..config(8) };
        let mut search = BeamSearch::new(&settings, Constraint::Free, 0);
        for block in 0..blocks {
            search.advance_block(&mut Table { rows, block }, 2);
        }
        let mut words = Vec::new();
        search.take_confirmed(&mut words);
        assert_eq!(words.len(), confirmed);
        assert!(words.is_empty() || words[0].id == 1);
    }
}

#[test]
fn reset_gives_the_same_words_again() {
    let mut search = BeamSearch::new(&config(8), golden(), 0);
    let mut runs = [Vec::new(), Vec::new()];
    for words in &mut runs {
        for block in 0..40 {
            search.advance_block(
                &mut Noise { num_tokens: 9, block, seed: 4.0, sees_blocks: true, steps: 0 },
                4,
            );
        }
        search.finish();
        search.advance_block(
            &mut Noise { num_tokens: 9, block: 40, seed: 4.0, sees_blocks: true, steps: 0 },
            4,
        );
        search.take_confirmed(words);
        search.reset();
    }
    assert!(!runs[0].is_empty());
    assert_eq!(runs[0], runs[1]);
}

#[test]
fn memory_stays_bounded_over_many_blocks() {
    for constraint in [Constraint::Free, golden()] {
        let settings = SearchConfig { end_of_block_bias: -1.0, ..config(16) };
        let mut search = BeamSearch::new(&settings, constraint, 0);
        let (mut total, mut out) = (0, Vec::new());
        for block in 0..6000 {
            let mut scorer = Noise { num_tokens: 9, block, seed: 1.0, sees_blocks: true, steps: 0 };
            search.advance_block(&mut scorer, 4);
            search.take_confirmed(&mut out);
            total += out.len();
            out.clear();
            let (entries, slots, used, alive) = search.memory();
            assert!(entries < 8000 && slots <= 48 && used <= alive && alive <= 16);
        }
        assert!(total > 1000, "{total}");
    }
}

#[test]
fn a_network_that_gives_no_numbers_still_ends() {
    const NAN: &[f32] = &[f32::NAN; 9];
    const ZERO: &[f32] = &[0.0; 9];
    let rows: &[&[&[f32]]] = &[&[NAN, NAN, NAN, NAN], &[ZERO, ZERO, ZERO, ZERO]];
    for constraint in [Constraint::Free, golden()] {
        let mut search = BeamSearch::new(&config(4), constraint, 0);
        run(&mut search, rows, 3);
        assert!(search.n_best(4).iter().all(|h| h.score.is_finite()));
    }
    run(&mut Greedy::new(&config(4), 0), rows, 3);
}
