//! Law 1: streaming equals batch.

use proptest::prelude::*;
use vivavoce::attention::KeyValues;
use vivavoce::features::{FeatureExtractor, FeatureState, Normalizer};
use vivavoce::model::{Model, StepScratch};
use vivavoce::search::{StepOutput, StepScorer};

use crate::common::{model, noise};

fn encode(model: &Model, frames: &[f32]) -> Vec<f32> {
    let mut out = Vec::new();
    model.encode_into(&mut model.encoder_state(), frames, &mut out);
    out
}

#[test]
fn the_encoder_makes_one_frame_of_every_eight() {
    let model = model(false);
    for frames in [0, 1, 7, 8, 9, 15, 16, 17, 800] {
        let out = encode(&model, &noise(frames * 8, 3));
        assert_eq!(out.len(), frames / 8 * 12, "{frames} frames");
        assert!(out.iter().all(|v| v.is_finite()));
    }
}

#[test]
fn a_state_that_was_reset_equals_a_new_one() {
    let model = model(false);
    let frames = noise(100 * 8, 4);
    let mut state = model.encoder_state();
    let mut out = Vec::new();
    model.encode_into(&mut state, &frames[..37 * 8], &mut out);
    model.reset_encoder(&mut state);
    out.clear();
    model.encode_into(&mut state, &frames, &mut out);
    assert_eq!(out, encode(&model, &frames));
}

/// Steps of 3 tokens through every block, `batch` equal to `rows.len()`.
fn run_blocks(model: &Model, encoded: &[f32], rows: &[u32]) -> (Vec<f32>, Vec<f32>) {
    let mut memory = KeyValues::default();
    model.project_into(encoded, &mut memory);
    let window = Model::window(model.config().latency_mode(None).unwrap());
    let mut states = vec![0.0; rows.len() * model.state_size()];
    let mut next = states.clone();
    let mut log_probs = vec![0.0; rows.len() * model.num_tokens()];
    let mut scratch = StepScratch::default();
    for block in 0..window.num_blocks(memory.num_frames()) {
        memory.discard_before(window.first_visible(block));
        let mut scorer = model.block_scorer(&memory, window, block, &mut scratch);
        for step in 0..3 {
            let tokens: Vec<u32> =
                rows.iter().map(|r| (r * 5 + step + block as u32) % 11).collect();
            scorer.step_into(&states, &tokens, StepOutput::new(&mut next, &mut log_probs));
            std::mem::swap(&mut states, &mut next);
        }
    }
    (states, log_probs)
}

#[test]
fn a_hypothesis_scores_the_same_in_any_batch() {
    for input_feeding in [false, true] {
        let model = model(input_feeding);
        let encoded = encode(&model, &noise(90 * 8, 5));
        let rows: Vec<u32> = (0..19).collect();
        let (states, log_probs) = run_blocks(&model, &encoded, &rows);
        for row in &rows {
            let (state, log_prob) = run_blocks(&model, &encoded, &[*row]);
            let r = *row as usize;
            assert_eq!(state, states[r * model.state_size()..][..model.state_size()]);
            assert_eq!(log_prob, log_probs[r * 11..][..11]);
            let total: f32 = log_prob.iter().map(|l| l.exp()).sum();
            assert!((total - 1.0).abs() < 1e-5);
        }
    }
}

#[test]
fn a_model_is_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&model(false));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn encoder_frames_do_not_depend_on_chunking(
        mut cuts in prop::collection::vec(0_usize..20_000, 0..20)
    ) {
        let model = model(false);
        let samples = noise(20_000, 6);
        let (mean, inv_std) = model.normalization();
        let normalizer = Normalizer::new(mean, inv_std).unwrap();
        let mut fbank = FeatureExtractor::new(&model.config().features, normalizer).unwrap();
        let whole = encode(&model, &fbank.extract(&samples).unwrap());

        cuts.push(20_000);
        cuts.sort_unstable();
        let (mut heard, mut state) = (FeatureState::default(), model.encoder_state());
        let (mut frames, mut out) = (Vec::new(), Vec::new());
        let mut start = 0;
        for cut in cuts {
            frames.clear();
            heard.accept(&samples[start..cut]).unwrap();
            fbank.frames_into(&mut heard, &mut frames);
            model.encode_into(&mut state, &frames, &mut out);
            start = cut;
        }
        prop_assert_eq!(whole, out);
    }
}
