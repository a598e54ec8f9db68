use super::*;
use crate::lm::TokenPrior;

/// "b", then "e", in one block by a network that has no doubts: B, `I_E`, `I_E`. A bigram prior of cost 10 c + t sixteenths of a nat
/// for token t after c (one more than the token before, 0 at the start) is taken back at weight 0.5.
#[test]
fn the_token_prior_is_taken_back_with_its_context() {
    let t = phones();
    let (b, i) = (t.id("B").unwrap() as usize, t.id("I_E").unwrap() as usize);
    let mut prior = b"VVPR".to_vec();
    for field in [1, 2, t.len() as u32] {
        prior.extend(field.to_le_bytes());
    }
    for context in 0..=t.len() {
        prior.extend((0..t.len()).map(|token| (10 * context + token) as u8));
    }
    let prior = Arc::new(TokenPrior::from_bytes(prior, t.len()).unwrap());
    let sure = |token: usize| {
        let mut row = vec![1e-9; t.len()];
        row[token] = 1.0;
        row
    };
    let rows = [sure(b), sure(i), sure(i), sure(0)];
    let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    let score = |prior_weight: f32, constraint: Constraint| {
        let config = SearchConfig { prior_weight, ..config(4) };
        let mut search = BeamSearch::new(&config, constraint, 0);
        run(&mut search, &[&rows], 4);
        let mut words = Vec::new();
        search.take_confirmed(&mut words);
        assert_eq!(ids(&words), [1, 4]);
        search.n_best(1).remove(0).score
    };
    let costs = b + (10 * (b + 1) + i) + (10 * (i + 1) + i);
    let plain = score(0.0, golden());
    close(score(0.5, golden()), plain);
    close(score(0.0, golden().with_prior(Arc::clone(&prior))), plain);
    close(score(0.5, golden().with_prior(prior)) - plain, 0.5 * costs as f64 / 16.0);
}

#[test]
fn a_language_model_of_another_lexicon_is_refused() {
    let t = phones();
    let lexicon = Lexicon::from_entries(&[entry(&t, "z", "A_E", 0.0)], &t).unwrap();
    let lm = NgramLm::from_bytes(include_bytes!("../../../tests/golden/lm-tiny.bin").as_slice())
        .unwrap();
    assert!(Constraint::lexicon(Arc::new(lexicon), Some(Arc::new(lm))).is_err());
}
