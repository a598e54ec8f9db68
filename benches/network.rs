//! Time of the network alone, block by block on one thread: `cargo bench --bench network -- MODEL_FOLDER f32|int8 [ROUNDS]`.
//!
//! One object of microseconds a line: a block of the encoder with its keys and values, and steps of the transducer for
//! 1, 8 and 16 hypotheses. Medians of ROUNDS calls (300).

#![expect(clippy::print_stdout, reason = "a program")]

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use vivavoce::Precision;
use vivavoce::attention::KeyValues;
use vivavoce::model::{EncoderBatch, Model, StepScratch};
use vivavoce::search::{StepOutput, StepScorer};

const BATCHES: [usize; 3] = [1, 8, 16];

fn median_us(rounds: usize, mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let usage = "usage: network MODEL_FOLDER f32|int8 [ROUNDS]";
    let Some(folder) = arguments.next() else {
        eprintln!("{usage}");
        return Ok(());
    };
    let precision = match arguments.next().as_deref() {
        Some("f32") => Precision::F32,
        Some("int8") => Precision::Int8,
        _ => anyhow::bail!(usage),
    };
    let rounds = arguments.next().map_or(Ok(300), |n| n.parse()).context(usage)?;
    let start = Instant::now();
    let read = |name: &str| std::fs::read(Path::new(&folder).join(name));
    let model = Model::from_bytes(&read("config.json")?, &read("model.safetensors")?, precision)?;
    let load_us = start.elapsed().as_secs_f64() * 1e6;
    let window = Model::window(model.config().latency_mode(None)?);
    let count = window.block_frames * model.config().subsampling() * model.feature_dim();
    let frames: Vec<f32> = (0..count).map(|i| (i as f32 * 0.37).sin()).collect();

    let (mut state, mut batch) = (model.encoder_state(), EncoderBatch::default());
    let mut memory = KeyValues::default();
    let encoder_us = median_us(rounds, || {
        batch.clear();
        model.push(&mut batch, &mut state, &frames);
        model.run(&mut batch);
        batch.pull(0, &mut state);
        model.project_into(batch.rows(), &mut memory);
        let first = memory.num_frames().saturating_sub(64);
        memory.discard_before(first);
    });
    let block = memory.num_frames() / window.block_frames - 3;
    let mut scratch = StepScratch::default();
    let mut steps = serde_json::Map::new();
    for batch in BATCHES {
        let states: Vec<f32> =
            (0..batch * model.state_size()).map(|i| (i as f32 * 0.11).sin() * 0.5).collect();
        let tokens: Vec<u32> = (1..=batch as u32).collect();
        let mut next = states.clone();
        let mut log_probs = vec![0.0; batch * model.num_tokens()];
        let mut scorer = model.block_scorer(&memory, window, block, &mut scratch);
        let us = median_us(rounds, || {
            scorer.step_into(&states, &tokens, StepOutput::new(&mut next, &mut log_probs));
        });
        steps.insert(batch.to_string(), us.into());
    }
    println!("{}", serde_json::json!({"load": load_us, "encoder": encoder_us, "step": steps}));
    Ok(())
}
