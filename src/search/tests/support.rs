use super::*;

/// The table of `n_best_of_a_table_computed_by_hand`: of .792 in all, "a", "aa", "ab" and "ba" have the best word "a", .4752 of it;
/// it is seen at the end of the second block and of the stream.
#[test]
fn a_word_is_supported_by_all_hypotheses_that_have_it() {
    let mut search = BeamSearch::new(&config(16), Constraint::Free, 0);
    run(&mut search, BY_HAND, 2);
    let mut words = Vec::new();
    search.take_confirmed(&mut words);
    close(f64::from(words[0].support), 0.6);
    close(f64::from(words[0].lowest_support), 0.6);
    assert_eq!(words[0].num_tokens, 1);
    close(f64::from(words[0].lowest_log_prob), 0.5_f64.ln());
}

#[test]
fn words_have_the_evidence_of_their_tokens() {
    let t = phones();
    // "c" or "d": S, then `I_E`.
    let rows = [(3, 0.5), (8, 0.25), (0, 1.0)].map(|likely| row(&[likely], t.len()));
    let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    let mut search = BeamSearch::new(&config(8), golden(), 0);
    run(&mut search, &[&rows], 4);
    let mut words = Vec::new();
    search.take_confirmed(&mut words);
    let word = words[0];
    assert_eq!((words.len(), word.num_tokens), (1, 2));
    // Its first token is the first of the block and its last one the second.
    assert_eq!((word.start_place, word.end_place), (-1.0, -1.75));
    close(f64::from(word.log_prob), 0.125_f64.ln());
    close(f64::from(word.lowest_log_prob), 0.25_f64.ln());
    let Constraint::Lexicon(lexicon) = golden() else { panic!("a lexicon") };
    assert_eq!(lexicon.word(word.id).len(), 1);
    let lm = golden();
    let lm = lm.lm().unwrap();
    close(f64::from(word.lm_log_prob), f64::from(lm.score(lm.start(), word.id).0));
    assert!(word.support > 0.0 && word.support <= 1.0 && word.lowest_support <= word.support);
}

/// A beam that may keep few states keeps the hypotheses that share them, homophones here, and no others.
#[test]
fn hypotheses_may_outnumber_states() {
    let t = phones();
    // S, then `I_E`: "c" or "d"; or B, then `I_E`: "b".
    let likely: [&[(usize, f32)]; 3] = [&[(3, 0.5), (2, 0.4)], &[(8, 0.9)], &[(0, 1.0)]];
    let rows = likely.map(|likely| row(likely, t.len()));
    let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    let found = |max_states| {
        let settings = SearchConfig { max_states, ..config(16) };
        let mut search = BeamSearch::new(&settings, golden(), 0);
        run(&mut search, &[&rows], 3);
        let mut found: Vec<_> = search.n_best(9).iter().map(|h| ids(&h.words)).collect();
        found.sort();
        found
    };
    let all = found(0);
    assert!([[1_u32], [2], [3]].iter().all(|words| all.contains(&words.to_vec())), "{all:?}");
    assert_eq!(found(1), [[2], [3]]);
}
