//! Speed of each stage of a model on one thread, audio left out:
//! `cargo run --release --example model_speed -- models/en-small`.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use vivavoce::attention::KeyValues;
use vivavoce::features::{FeatureExtractor, Normalizer};
use vivavoce::model::{Model, StepScratch};

const SECONDS: usize = 20;

fn main() -> anyhow::Result<()> {
    let dir = std::env::args().nth(1).context("usage: model_speed MODEL_FOLDER")?;
    let start = Instant::now();
    let model = Model::load(Path::new(&dir))?;
    eprintln!("load {:.0} ms, {:?}", start.elapsed().as_secs_f64() * 1e3, model.summary());
    let config = &model.config().features;
    let (mean, inv_std) = model.normalization();
    let mut fbank = FeatureExtractor::new(config, Normalizer::new(mean, inv_std)?)?;
    let rate = config.sample_rate_hz as usize;
    let samples: Vec<f32> = (0..SECONDS * rate).map(|i| (i as f32 * 0.05).sin() * 0.3).collect();

    for chunk_ms in [100, 10_000] {
        let (mut in_fbank, mut in_encoder) = (0.0, 0.0);
        let (mut frames, mut encoded) = (Vec::new(), Vec::new());
        let mut state = model.encoder_state();
        fbank.reset();
        for chunk in samples.chunks(rate * chunk_ms / 1000) {
            frames.clear();
            let start = Instant::now();
            fbank.accept_into(chunk, &mut frames)?;
            let middle = Instant::now();
            model.encode_into(&mut state, &frames, &mut encoded);
            in_fbank += (middle - start).as_secs_f64();
            in_encoder += middle.elapsed().as_secs_f64();
        }
        let per_second = 1e3 / SECONDS as f64;
        eprintln!(
            "chunks of {chunk_ms} ms: features {:.2} ms, encoder {:.2} ms for a second of audio",
            in_fbank * per_second,
            in_encoder * per_second,
        );
        let mut memory = KeyValues::default();
        model.project_into(&encoded, &mut memory);
        let window = Model::window(model.config().latency_mode(None)?);
        let mut scratch = StepScratch::default();
        for batch in [1, 4, 16, 32] {
            let states = vec![0.1; batch * model.state_size()];
            let (mut next, mut scores) = (states.clone(), vec![0.0; batch * model.num_tokens()]);
            let mut scorer = model.block_scorer(&memory, window, 3, &mut scratch);
            let tokens = vec![1; batch];
            let mut best = f64::INFINITY;
            for _ in 0..200 {
                let start = Instant::now();
                scorer.step_into(&states, &tokens, &mut next, &mut scores);
                best = best.min(start.elapsed().as_secs_f64());
            }
            eprintln!("  step of {batch}: {:.0} us at best", best * 1e6);
        }
    }
    Ok(())
}
