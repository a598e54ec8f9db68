use super::states::StatePool;
use super::*;
use crate::lm::{NeuralLm, NeuralScratch, TokenPrior};

/// Tokens B and `I_E`, and "b", then "e", in one block by a network that has no doubts: B, `I_E`, `I_E`.
fn sure(t: &TokenTable) -> (usize, usize, [Vec<f32>; 4]) {
    let (b, i) = (t.id("B").unwrap() as usize, t.id("I_E").unwrap() as usize);
    (b, i, [b, i, i, 0].map(|token| row(&[(token, 1.0)], t.len())))
}

/// "b", then "e", by a network that has no doubts. A bigram prior of cost 10 c + t sixteenths of a nat
/// for token t after c (one more than the token before, 0 at the start) is taken back at weight 0.5.
#[test]
fn the_token_prior_is_taken_back_with_its_context() {
    let t = phones();
    let (b, i, rows) = sure(&t);
    let rows = rows.each_ref().map(Vec::as_slice);
    let mut prior = b"VVPR".to_vec();
    for field in [1, 2, t.len() as u32] {
        prior.extend(field.to_le_bytes());
    }
    for context in 0..=t.len() {
        prior.extend((0..t.len()).map(|token| (10 * context + token) as u8));
    }
    let prior = Arc::new(TokenPrior::from_bytes(prior, t.len()).unwrap());
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

/// "b", then "e", as above: what the network expected unheard is taken back at weight 0.5, token by token, where there is a language model.
#[test]
fn the_internal_language_model_is_taken_back_where_there_is_another() {
    let t = phones();
    let (b, i, rows) = sure(&t);
    let rows = rows.each_ref().map(Vec::as_slice);
    let score = |internal_lm_weight: f32, constraint: Constraint| {
        let config = SearchConfig { internal_lm_weight, ..config(4) };
        let mut search = BeamSearch::new(&config, constraint, 0);
        run(&mut search, &[&rows], 4);
        search.n_best(1).remove(0).score
    };
    let expected = unheard(b, 1) + unheard(i, 2) + unheard(i, 3);
    let gained = score(0.5, golden()) - score(0.0, golden());
    close(gained, -0.5 * f64::from(expected));
    close(score(0.5, Constraint::Free), score(0.0, Constraint::Free));
}

#[test]
fn a_language_model_of_another_lexicon_is_refused() {
    let t = phones();
    let lexicon = Lexicon::from_entries(&[entry(&t, "z", "A_E", 0.0)], &t).unwrap();
    let lm = NgramLm::from_bytes(include_bytes!("../../../tests/golden/lm-tiny.bin").as_slice())
        .unwrap();
    assert!(Constraint::lexicon(Arc::new(lexicon), Some(Arc::new(lm))).is_err());
}

/// "b", then "e", by a network that has no doubts, as above: every word and the end of the sentence get the mean of both models.
#[test]
fn a_neural_model_has_its_share_in_the_probability_of_a_word() {
    let t = phones();
    let (_, _, rows) = sure(&t);
    let rows = rows.each_ref().map(Vec::as_slice);
    let score = |neural_weight: f32, constraint: Constraint| {
        let config = SearchConfig { neural_weight, ..config(4) };
        let mut search = BeamSearch::new(&config, constraint, 0);
        // Twice: a second segment begins anew.
        run(&mut search, &[&rows], 4);
        search.reset();
        run(&mut search, &[&rows], 4);
        search.n_best(1).remove(0).score
    };
    let neural = Arc::new(NeuralLm::tiny_as_stored());
    let both = golden().with_neural(Arc::clone(&neural)).unwrap();
    let plain = score(0.0, golden());
    close(score(0.0, both.clone()), plain);
    close(score(0.5, golden()), plain);
    let mean = |neural: f32, ngram: f32| (0.25 * neural.exp() + 0.75 * ngram.exp()).ln() - ngram;
    let (lm, mut scratch) = (golden(), NeuralScratch::default());
    let lm = lm.lm().unwrap();
    let (before, outlook) = neural.start();
    let (mut state, mut outlook, mut ngram, mut gained) =
        (before.to_vec(), outlook.clone(), lm.start(), 0.0);
    for word in [1, 4] {
        let (log_prob, next) = lm.score(ngram, word);
        gained += mean(neural.log_prob(&outlook, word).unwrap(), log_prob);
        neural.step(&state, &[word], &mut scratch);
        let mut kept = StatePool::small(vec![neural.state_size() / 2]);
        kept.clear(neural.state_size());
        let slot = kept.insert(neural.state(0, &scratch));
        state.clear();
        kept.get_into(slot, &mut state);
        neural.outlook_into(0, &scratch, &mut outlook);
        ngram = next;
    }
    gained += mean(neural.end(&outlook), lm.end(ngram));
    close(score(0.25, both) - plain, 0.5 * f64::from(gained));
}

/// Five states of the network leave the neural model three: the best hypotheses have them, none is lost, and a reset forgets all.
#[test]
fn few_hypotheses_have_states_of_the_neural_model() {
    let both = golden().with_neural(Arc::new(NeuralLm::tiny_as_stored())).unwrap();
    let settings = SearchConfig { neural_weight: 0.5, max_states: 5, ..config(16) };
    let mut search = BeamSearch::new(&settings, both, 0);
    let mut runs = [Vec::new(), Vec::new()];
    for words in &mut runs {
        for block in 0..300 {
            let mut scorer = Noise { num_tokens: 9, block, seed: 4.0, sees_blocks: true, steps: 0 };
            search.advance_block(&mut scorer, 4);
            let (used, slots) = search.recalled();
            assert!((1..=3).contains(&used) && slots <= 3, "{used} of {slots}");
        }
        search.finish();
        search.take_confirmed(words);
        search.reset();
    }
    assert!(runs[0].len() > 50, "{}", runs[0].len());
    assert_eq!(runs[0], runs[1]);
}
