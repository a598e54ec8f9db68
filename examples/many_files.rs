//! Many files at once, one on each core: `cargo run --release --example many_files -- *.wav`. A recogniser is shared;
//! segments end at pauses.
#![expect(clippy::print_stdout, reason = "results")]

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use vivavoce::{EndpointOptions, Recognizer, StreamOptions, audio};

fn options() -> StreamOptions {
    StreamOptions::default().endpoints(EndpointOptions::default().sleep(false))
}

fn main() -> anyhow::Result<()> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    anyhow::ensure!(!files.is_empty(), "usage: many_files FILE...");
    let recognizer = Recognizer::builder().build().context("build with the feature embed-model")?;
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(files.len()) {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = audio::open(file)
                        .and_then(|source| recognizer.transcribe(source, &options()));
                    match result {
                        Ok(transcript) => println!("{file}: {}", transcript.text()),
                        Err(error) => eprintln!("error: {error}"),
                    }
                }
            });
        }
    });
    Ok(())
}
