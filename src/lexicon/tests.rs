use super::*;

const TINY: &[u8] = include_bytes!("../../tests/golden/lexicon-tiny.bin");

pub(super) fn table() -> TokenTable {
    let phones = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH";
    let mut text = String::from("<e>\n");
    for suffix in ["", "_E"] {
        for phone in phones.split(' ') {
            text.extend([phone, suffix, "\n"]);
        }
    }
    TokenTable::parse(&text).unwrap()
}

/// `word: tokens (cost)` of the whole tree.
fn listing(lexicon: &Lexicon, tokens: &TokenTable) -> Vec<String> {
    let mut out = Vec::new();
    lexicon.tree().for_each(|path, p| {
        let path: Vec<_> = path.iter().map(|t| tokens.text(*t).unwrap()).collect();
        out.push(format!("{}: {} ({})", lexicon.word(p.word).unwrap(), path.join(" "), p.cost));
    });
    out
}

fn entry(tokens: &TokenTable, word: &str, path: &str, cost: f32) -> Entry {
    let path = path.split_whitespace().map(|t| tokens.id(t).unwrap()).collect();
    Entry { word: word.to_owned(), tokens: path, cost }
}

#[test]
fn reads_what_the_recipe_writes() {
    let tokens = table();
    let lexicon = Lexicon::from_bytes(TINY, &tokens).unwrap();
    assert_eq!(
        listing(&lexicon, &tokens),
        [
            "b: B IY_E (0)",
            "d: D IY_E (0)",
            "f: EH F_E (0)",
            "c: S IY_E (0)",
            "a: AH_E (0)",
            "a: EY_E (0.5)",
            "e: IY_E (0)"
        ]
    );
    assert_eq!(
        (lexicon.word_id("c"), lexicon.word_id("g"), lexicon.word(6)),
        (Some(2), None, None)
    );
    assert_eq!(lexicon.fingerprint(), fingerprint(["a", "b", "c", "d", "e", "f"]));
}

#[test]
fn tree_shares_prefixes_and_keeps_homophones_at_one_leaf() {
    let t = table();
    let entries = [
        entry(&t, "see", "S IY_E", 0.0),
        entry(&t, "sea", "S IY_E", 0.0),
        entry(&t, "seat", "S IY T_E", 0.0),
        entry(&t, "i", "AY_E", 0.0),
    ];
    let lexicon = Lexicon::from_entries(&entries, &t).unwrap();
    let tree = lexicon.tree();
    // root, AY_E and S; below S: IY (with T_E) and IY_E.
    assert_eq!(tree.num_nodes(), 6);
    let s = tree.children(ROOT).find(|n| tree.token(*n) == t.id("S").unwrap()).unwrap();
    let below: Vec<_> = tree.children(s).collect();
    assert_eq!(
        below.iter().map(|n| t.text(tree.token(*n)).unwrap()).collect::<Vec<_>>(),
        ["IY", "IY_E"]
    );
    let words: Vec<_> =
        tree.words(below[1]).iter().map(|w| lexicon.word(w.word).unwrap()).collect();
    assert_eq!(words, ["sea", "see"]);
    let best = tree.best_below(|w| -(w as f32));
    assert_eq!((best[ROOT as usize], best[s as usize]), (0.0, -1.0));
    assert_eq!((best[below[0] as usize], best[below[1] as usize]), (-2.0, -1.0));
}

#[test]
fn added_words_follow_and_nothing_moves() {
    let t = table();
    let lexicon = Lexicon::from_bytes(TINY, &t).unwrap();
    let more = [
        entry(&t, "aa", "AA_E", 0.0),
        entry(&t, "b", "B IH_E", 1.0),
        entry(&t, "aa", "AA AA_E", 0.0),
    ];
    let longer = lexicon.with_words(&more, &t).unwrap();
    assert_eq!(
        (longer.word_id("aa"), longer.word_id("f"), longer.num_words()),
        (Some(6), Some(5), 7)
    );
    assert_eq!(longer.fingerprint(), lexicon.fingerprint());
    let all = listing(&longer, &t);
    assert_eq!(all.len(), 10);
    assert_eq!(all[0], "aa: AA AA_E (0)");
}

#[test]
fn bad_entries_are_refused() {
    let t = table();
    for (word, path) in [
        ("", "AA_E"),
        ("a b", "AA_E"),
        ("a", ""),
        ("a", "AA"),
        ("a", "AA_E AA_E"),
        ("a", "<e> AA_E"),
    ] {
        assert!(Lexicon::from_entries(&[entry(&t, word, path, 0.0)], &t).is_err(), "{word} {path}");
    }
    assert!(Lexicon::from_entries(&[entry(&t, "a", "AA_E", f32::NAN)], &t).is_err());
}

#[test]
fn damaged_bytes_are_refused_or_harmless() {
    let t = table();
    for n in 0..TINY.len() {
        assert!(Lexicon::from_bytes(&TINY[..n], &t).is_err());
    }
    for (i, value) in (0..TINY.len()).flat_map(|i| (0..=255).map(move |v| (i, v))) {
        let mut bad = TINY.to_vec();
        bad[i] = value;
        if let Ok(lexicon) = Lexicon::from_bytes(&bad, &t) {
            assert_eq!(listing(&lexicon, &t).len(), 7);
            assert!(lexicon.tree().best_below(|_| -1.0).iter().all(|v| v.is_finite()));
        }
    }
    let other = TokenTable::parse("<e>\nA\nA_E\n").unwrap();
    assert!(Lexicon::from_bytes(TINY, &other).unwrap_err().to_string().contains("79 tokens"));
}
