//! What holds for any network.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

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
        network(block).step_into(&state, &[token], StepOutput::new(&mut next, &mut log_probs));
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
