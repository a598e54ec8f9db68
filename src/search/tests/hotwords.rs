//! Hotwords and grammars.

use super::*;

fn sure(rows: &[&[usize]], num_tokens: usize) -> Vec<Vec<f32>> {
    let likely = |tokens: &&[usize]| {
        let share = |(i, token): (usize, &usize)| (*token, 0.6 / (1 + i) as f32);
        row(&tokens.iter().enumerate().map(share).collect::<Vec<_>>(), num_tokens)
    };
    rows.iter().map(likely).collect()
}

/// Words that a search finds in one block of `rows`.
fn words_of(search: &mut dyn Search, rows: &[Vec<f32>]) -> Vec<u32> {
    let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    run(search, &[&rows], rows.len());
    let mut words = Vec::new();
    search.take_confirmed(&mut words);
    ids(&words)
}

/// The table of `n_best_of_a_table_computed_by_hand`, where "b" has .104 and "a" .296; every string with "b" gains 1.5 nats a "b".
#[test]
fn a_hotword_token_gains_what_it_is_worth() {
    let hotword = Hotword { symbols: vec![2], boost: 1.5 };
    let hotwords = Arc::new(HotwordTrie::new(&[hotword], Vec::new()));
    let mut search =
        BeamSearch::new(&config(16), Constraint::Free, 0).with_hotwords(Some(hotwords));
    run(&mut search, BY_HAND, 2);
    let best = search.n_best(1).remove(0);
    assert_eq!(ids(&best.words), [2]);
    close(best.score, 0.104_f64.ln() + 1.5);
}

/// As before, but "b a a" is hotword: it cannot be said in two blocks, so nothing is gained in the end.
#[test]
fn what_an_unfinished_sequence_gained_is_taken_back_at_the_end() {
    let hotword = Hotword { symbols: vec![2, 1, 1], boost: 1.5 };
    let hotwords = Arc::new(HotwordTrie::new(&[hotword], Vec::new()));
    let mut search =
        BeamSearch::new(&config(16), Constraint::Free, 0).with_hotwords(Some(hotwords));
    run(&mut search, BY_HAND, 2);
    let all = search.n_best(9);
    assert_eq!(
        all.iter().map(|h| ids(&h.words)).collect::<Vec<_>>()[..3],
        [vec![1], vec![], vec![2]]
    );
    close(all[2].score, 0.104_f64.ln());
}

#[test]
fn greedy_search_favours_tokens_and_takes_back_what_breaks_off() {
    // Token 2 comes second in both steps; 2 then 3 is hotword, but 1 follows for sure.
    let rows = [vec![0.1, 0.5, 0.4, 0.0], vec![0.05, 0.9, 0.03, 0.02], vec![0.9, 0.1, 0.0, 0.0]];
    let greedy = |step: f32| {
        let hotword = Hotword { symbols: vec![2, 3], boost: step };
        let hotwords = Arc::new(HotwordTrie::new(&[hotword], Vec::new()));
        let mut greedy = Greedy::new(&config(1), 0).with_hotwords(Some(hotwords));
        let words = words_of(&mut greedy, &rows);
        (words, greedy.n_best(1).remove(0).score)
    };
    assert_eq!(greedy(0.1).0, [1, 1]);
    let (words, score) = greedy(0.5);
    assert_eq!(words, [2, 1]);
    close(score, (0.4_f64 * 0.9 * 0.9).ln());
}

/// "c" and its rarer homophone "d": the model has no opinion, and the lexicon prefers "c" by 0.5 * 0.2 nats.
#[test]
fn a_hotword_word_wins_over_its_homophone_and_a_new_word_can_be_found() {
    let t = phones();
    let rows = sure(&[&[3], &[8], &[0]], t.len());
    let Constraint::Lexicon(plain) = golden() else { panic!("a lexicon") };
    let with = |entries: &[Entry], word: &str, step: f32| {
        let lexicon = plain.lexicon().with_words(entries, &t).unwrap();
        let id = lexicon.word_id(word).unwrap();
        let hotwords = HotwordTrie::new(&[Hotword { symbols: vec![id], boost: step }], Vec::new());
        let constraint = plain.with_hotwords(lexicon, &hotwords.boosts(), 0.5);
        let mut search = BeamSearch::new(&config(8), constraint.clone(), 0)
            .with_hotwords(Some(Arc::new(hotwords)));
        let words = words_of(&mut search, &rows);
        let Constraint::Lexicon(constraint) = constraint else { panic!("a lexicon") };
        words.iter().map(|id| constraint.word(*id).to_owned()).collect::<Vec<_>>()
    };
    let before = words_of(&mut BeamSearch::new(&config(8), golden(), 0), &rows);
    assert!(before == [2] || before == [3], "{before:?}");
    assert_eq!(with(&[], "c", 9.0), ["c"]);
    assert_eq!(with(&[], "d", 9.0), ["d"]);
    assert_eq!(with(&[entry(&t, "si", "S I_E", 0.0)], "si", 12.0), ["si"]);
}

fn grammar(text: &str) -> Constraint {
    let Constraint::Lexicon(plain) = golden() else { panic!("a lexicon") };
    let grammar = Grammar::parse("grammar", text).unwrap();
    Constraint::Grammar(grammar.over(Arc::clone(plain.lexicon())).unwrap())
}

fn said(text: &str, rows: &[Vec<f32>]) -> Vec<String> {
    let constraint = grammar(text);
    let words = words_of(&mut BeamSearch::new(&config(32), constraint.clone(), 0), rows);
    let Constraint::Grammar(grammar) = constraint else { panic!("a grammar") };
    words.iter().map(|id| grammar.word(*id).to_owned()).collect()
}

#[test]
fn a_stream_is_a_phrase_of_the_grammar_or_unknown() {
    // B `I_E`, then S `I_E`: "b c" or "b d".
    let n = phones().len();
    let rows = sure(&[&[2], &[8], &[3], &[8], &[0]], n);
    assert_eq!(said("b d\nb e", &rows), ["b", "d"]);
    assert_eq!(said("<x> = b [a] <y>;\n<y> = c | f;", &rows), ["b", "c"]);
    // Too little or too much of it.
    assert_eq!(said("b", &rows), ["[unk]"]);
    assert_eq!(said("b c b", &rows), ["[unk]"]);
    assert_eq!(said("a\nf", &rows), ["[unk]"]);
    // Nothing is said.
    assert_eq!(said("a\nf", &sure(&[&[0]], n)), [""; 0]);
}

fn score(text: &str, rows: &[Vec<f32>]) -> f64 {
    let mut search = BeamSearch::new(&config(32), grammar(text), 0);
    words_of(&mut search, rows);
    search.n_best(1).remove(0).score
}

/// "c" and "d" sound alike; the lexicon prefers "c" by 0.5 * 0.2 nats.
#[test]
fn weights_of_alternatives_cost_the_logarithm_of_the_greatest_over_their_own() {
    let n = phones().len();
    let both = sure(&[&[2], &[8], &[3], &[8], &[0]], n);
    assert_eq!(said("<x> = b (/1/ c | /1/ d);", &both), ["b", "c"]);
    assert_eq!(said("<x> = b (/1/ c | /1.2/ d);", &both), ["b", "d"]);
    assert_eq!(said("<x> = /9/ b c | /1/ b [a] d;", &both), ["b", "c"]);
    // The price of a longer phrase falls due where it parts from the shorter, that of the shorter at its end.
    let short = sure(&[&[2], &[8], &[0]], n);
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 2e-3, "{found}");
    for (plain, weighted, rows, ratio) in [
        ("b c\na", "<x> = /1/ b c | /4/ a;", &both, 4.0_f64),
        ("b\nb c", "<x> = /1/ b | /4/ b c;", &short, 4.0),
        ("b\nb c", "<x> = /4/ b | /1/ b c;", &both, 4.0),
        ("b\nb c", "<x> = /4/ b | /1/ b c;", &short, 1.0),
        // Of two ways to the same phrase the cheaper counts.
        ("b c", "<x> = /1/ (b | a) c | /3/ b c;", &both, 1.0),
        // Within what is repeated it is paid every time.
        ("<x> = (b | c)+;", "<x> = (/1/ b | /5/ c | /1/ a)+;", &both, 5.0),
    ] {
        close(score(plain, rows) - score(weighted, rows), ratio.ln());
    }
}

#[test]
fn grammars_that_cannot_be_used_are_refused_with_the_line() {
    let Constraint::Lexicon(plain) = golden() else { panic!("a lexicon") };
    for (text, what) in [
        ("a\nzebra", "line 2: \"zebra\""),
        ("<x> = a <y>;\n<y> = b | <x>;", "line 2: <x> leads back"),
        ("<x> = a\n<z>;", "line 2: <z> is not there"),
        ("<x> = [a];", "nothing at all"),
    ] {
        let grammar = Grammar::parse("grammar", text).unwrap();
        let message = grammar.over(Arc::clone(plain.lexicon())).unwrap_err().to_string();
        assert!(message.contains(what), "{message}");
    }
}

/// What doubles with every line, refers to a chain of rules, or has ever more readings needs neither time nor memory without bound.
#[test]
fn grammars_without_bound_are_refused() {
    let Constraint::Lexicon(plain) = golden() else { panic!("a lexicon") };
    let lines = |n: usize, line: &dyn Fn(usize) -> String| (0..n).map(line).collect::<String>();
    let doubled = lines(60, &|i| format!("<r{i}> = <r{0}> | <r{0}>;\n", i + 1)) + "<r60> = a;";
    let chain = lines(5000, &|i| format!("<r{i}> = <r{}>;\n", i + 1)) + "<r5000> = a;";
    let readings = "[a] [b] ".repeat(20_000);
    for (text, what) in [
        (doubled, "too many phrases"),
        (chain, "comes after too many other rules"),
        (format!("<a> = {readings} a;"), "too many phrases"),
    ] {
        let grammar = Grammar::parse("grammar", &text).unwrap();
        let message = grammar.over(Arc::clone(plain.lexicon())).unwrap_err().to_string();
        assert!(message.contains(what), "{message}");
    }
}
