//! What comes of networks that are tables, computed by hand.

use super::*;

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
    let row = |likely| row(likely, 9);
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
    let (begun, end) = (row(&[(2, 1.0)], 9), row(&[(0, 1.0)], 9));
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
    let begun = row(&[(2, 0.9), (0, 0.1)], 9);
    let rows: &[&[&[f32]]] = &[&[&begun, &end]];
    let mut search = BeamSearch::new(&config(4), golden(), 0);
    run(&mut search, rows, 4);
    assert!(search.n_best(1)[0].words.is_empty());
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
