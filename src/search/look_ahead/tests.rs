use super::*;
use crate::lexicon::Entry;
use crate::tokens::TokenTable;

/// Every node of a tree over the words of tests/golden, after every word: the table against the definition, the best of the words
/// below, seen after that word or not; twice, as made and as kept.
#[test]
fn tables_equal_the_definition() {
    let tokens = TokenTable::parse("<e>\nA\nB\nS\nA_E\nB_E\nS_E\n").unwrap();
    let entries = [
        ("a", "A_E"),
        ("a", "A B_E"),
        ("b", "A B S_E"),
        ("c", "A B_E"),
        ("d", "S A_E"),
        ("e", "S S S_E"),
        ("f", "S S B_E"),
    ];
    let entries = entries.map(|(word, path)| Entry {
        word: word.to_owned(),
        tokens: path.split(' ').map(|t| tokens.id(t).unwrap()).collect(),
        cost: 0.0,
    });
    let lexicon = Lexicon::from_entries(&entries, &tokens).unwrap();
    let lm = include_bytes!("../../../tests/golden/lm-tiny.bin").as_slice();
    let lm = NgramLm::from_bytes(lm).unwrap();
    let tree = lexicon.tree();
    let boosts = HashMap::from([(4, 2.5)]);
    let boost = |word| boosts.get(&word).copied().unwrap_or(0.0);
    let value = |word| lm.unigram(word) + boost(word);
    let words = Arc::new(WordNodes::new(&lexicon, value, boosts.clone()));
    let mut look_ahead = LookAhead::default();
    let contexts = (0..6).map(|word| lm.score(lm.start(), word).1).chain([lm.start()]);
    for state in contexts.clone().chain(contexts) {
        let seen: HashMap<_, _> = lm.successors(state.last_word()).collect();
        let backoff = lm.word_backoff(state.last_word());
        for node in 1..tree.num_nodes() as NodeId {
            let below = (node..tree.end(node)).flat_map(|n| tree.words(n)).map(|w| w.word);
            let known = |word| seen.get(&word).map(|p| ((p + boost(word)) * PARTS).round() / PARTS);
            let each = below.map(|word| known(word).unwrap_or(f32::MIN).max(value(word) + backoff));
            let expected = each.fold(f32::NEG_INFINITY, f32::max);
            let found = look_ahead.after(&words, tree, Some(&lm), state);
            let found = found.within(node).best();
            assert!((found - expected).abs() < 1e-5, "{node}: {found} {expected}");
        }
        let expected = look_ahead.after(&words, tree, Some(&lm), state);
        assert!(expected.within(ROOT).best().abs() < 1e-9);
        // Of children, one after the other, each and every other.
        for node in 0..tree.num_nodes() as NodeId {
            for step in [1, 2] {
                let mut within = expected.within(node);
                for child in tree.children(node).step_by(step) {
                    let alone = expected.within(child).best();
                    assert!(within.best_of(child).total_cmp(&alone).is_eq(), "{child}");
                }
            }
        }
    }
    assert_eq!(look_ahead.tables.len(), 7);
}

/// A list of words that is dropped leaves its tables behind; no later list may be taken for it.
#[test]
fn tables_of_a_lexicon_that_is_gone_serve_no_other() {
    let tokens = TokenTable::parse("<e>\nA\nA_E\n").unwrap();
    let entry = Entry { word: "a".into(), tokens: vec![2], cost: 0.0 };
    let lexicon = Lexicon::from_entries(&[entry], &tokens).unwrap();
    let lm = include_bytes!("../../../tests/golden/lm-tiny.bin").as_slice();
    let lm = NgramLm::from_bytes(lm).unwrap();
    let mut look_ahead = LookAhead::default();
    for i in 0..100_u16 {
        let boost = f32::from(i);
        let boosts = HashMap::from([(0, boost)]);
        let words = Arc::new(WordNodes::new(&lexicon, |_| lm.unigram(0) + boost, boosts));
        let found = look_ahead.after(&words, lexicon.tree(), Some(&lm), lm.start());
        let found = found.within(1).best();
        assert!(found >= boost + lm.unigram(0) + lm.word_backoff(lm.start().last_word()));
        assert!(found <= boost, "{i}: {found}");
    }
    assert_eq!(look_ahead.tables.len(), 100);
}

/// Of many lists of words, one is wanted again and again: its table is made once, however many others come and go.
#[test]
fn a_table_that_is_wanted_stays() {
    let tokens = TokenTable::parse("<e>\nA\nA_E\n").unwrap();
    let entry = Entry { word: "a".into(), tokens: vec![2], cost: 0.0 };
    let lexicon = Lexicon::from_entries(&[entry], &tokens).unwrap();
    let lm = include_bytes!("../../../tests/golden/lm-tiny.bin").as_slice();
    let lm = NgramLm::from_bytes(lm).unwrap();
    let list = || Arc::new(WordNodes::new(&lexicon, |_| 0.0, HashMap::new()));
    let mut look_ahead = LookAhead::default();
    let mut want = |words: &Arc<WordNodes>| {
        look_ahead.after(words, lexicon.tree(), Some(&lm), lm.start());
        (look_ahead.num_made, look_ahead.tables.len())
    };
    let wanted = list();
    let mut others = Vec::new();
    for i in 0..MAX_TABLES as u64 * 2 {
        others.push(list());
        want(&others[i as usize]);
        let (num_made, num_tables) = want(&wanted);
        assert_eq!(num_made, i + 2);
        assert!(num_tables <= MAX_TABLES + 1);
    }
    // The latest of the others are still there, the first are not.
    let all = want(&wanted).0;
    assert_eq!(want(&others[others.len() - 100]).0, all);
    assert_eq!(want(&others[0]).0, all + 1);
}

#[test]
fn places_and_the_best_of_any_range_are_found_through_runs() {
    let tree = Lexicon::from_entries(&[], &TokenTable::parse("<e>\nA\nA_E\n").unwrap());
    let tree = tree.unwrap().tree().clone();
    // Two words end at each node; every other node has none.
    let entries: Vec<_> =
        (0..6 * RUN as u32 - 3).map(|i| (i / 2 * 2, -((i * 37 % 101) as i16))).collect();
    let (nodes, values): (Vec<_>, Vec<_>) = entries.iter().copied().unzip();
    let runs: Vec<_> = entries.chunks(RUN).map(|run| (run[0].0, of_runs(run))).collect();
    let (nodes, values, runs) = (&nodes[..], &values[..], &runs[..]);
    let expected = Expected { tree: &tree, nodes, values, runs, unigram: &[], backoff: 0.0 };
    for from in 0..=entries.len() {
        for to in from..=entries.len() {
            let plain = values[from..to].iter().copied().max().unwrap_or(i16::MIN);
            assert_eq!(expected.highest(from, to), plain, "{from}..{to}");
            for node in 0..100 {
                let plain = from + nodes[from..to].partition_point(|entry| *entry < node);
                assert_eq!(expected.place(node, (from, to)), plain, "{from}..{to} {node}");
            }
        }
    }
}
