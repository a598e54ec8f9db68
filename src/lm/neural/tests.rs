use super::*;

const FILE: &str = "word_lm.safetensors";
const TINY: &[u8] = include_bytes!("../../../tests/golden/word-lm-tiny.safetensors");
const SENTENCES: &str = include_str!("../../../tests/golden/word-lm-tiny.tsv");

/// Numbers of the words of a sentence of `a` to `f`.
fn ids(sentence: &str) -> Vec<u32> {
    sentence.split(' ').map(|word| u32::from(word.as_bytes()[0] - b'a')).collect()
}

/// Log-probability of a sentence with its end, and all states on the way.
fn read(lm: &NeuralLm, words: &[u32]) -> (f32, Vec<f32>) {
    let (state, outlook) = lm.start();
    let (mut state, mut outlook, mut all) = (state.to_vec(), outlook.clone(), Vec::new());
    let (mut total, mut scratch) = (0.0, NeuralScratch::default());
    for word in words {
        total += lm.log_prob(&outlook, *word).unwrap();
        lm.step(&state, &[*word], &mut scratch);
        state.copy_from_slice(lm.state(0, &scratch));
        lm.outlook_into(0, &scratch, &mut outlook);
        all.extend_from_slice(&state);
    }
    (total + lm.end(&outlook), all)
}

#[test]
fn equals_the_recipe_but_for_activations_in_8_bits() {
    for (precision, tolerance) in [(Precision::F32, 0.03), (Precision::Stored, 0.06)] {
        let lm = NeuralLm::tiny(precision);
        assert_eq!(lm.num_words(), 6);
        assert_eq!(lm.fingerprint(), crate::lexicon::fingerprint(["a", "b", "c", "d", "e", "f"]));
        for line in SENTENCES.lines() {
            let (sentence, expected) = line.split_once('\t').unwrap();
            let words = ids(sentence);
            let (got, expected) = (read(&lm, &words).0, expected.parse::<f32>().unwrap());
            let most = tolerance * (words.len() + 1) as f32;
            assert!((got - expected).abs() < most, "{sentence}: got {got}, expected {expected}");
        }
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_in_a_batch() {
    let lm = NeuralLm::tiny(Precision::Stored);
    let (states, words) = (read(&lm, &[0, 3, 5, 2, 4]).1, [1, 4, 99, 0, 7]);
    let (mut together, mut alone) = (NeuralScratch::default(), NeuralScratch::default());
    lm.step(&states, &words, &mut together);
    for (row, word) in words.iter().enumerate() {
        lm.step(&states[row * lm.state_size()..][..lm.state_size()], &[*word], &mut alone);
        assert_eq!(lm.state(0, &alone), lm.state(row, &together));
        let (mut one, mut other) = (Outlook::default(), Outlook::default());
        lm.outlook_into(0, &alone, &mut one);
        lm.outlook_into(row, &together, &mut other);
        assert_eq!((&one.values, one.scales), (&other.values, other.scales));
        assert!(lm.log_prob(&one, *word).is_some() == (*word < 6));
    }
}

#[test]
fn damaged_bytes_are_refused_or_harmless() {
    let parse = |bytes: &[u8]| NeuralLm::from_bytes(Path::new(FILE), bytes, Precision::Stored);
    for n in 0..TINY.len() {
        assert!(parse(&TINY[..n]).is_err());
    }
    for (i, flip) in (0..TINY.len()).flat_map(|i| [(i, 1_u8), (i, 0x80), (i, 0xff)]) {
        let mut bad = TINY.to_vec();
        bad[i] ^= flip;
        if let Ok(lm) = parse(&bad) {
            let words: Vec<_> = [0, 5, 3].into_iter().filter(|w| *w < lm.num_words).collect();
            assert!(!read(&lm, &words).0.is_nan());
        }
    }
}
