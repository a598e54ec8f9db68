//! Many files at once, one on each core: `cargo run --release --example many_files -- *.wav`. A recogniser is shared, a listener
//! belongs to its file; segments end at pauses.
#![expect(clippy::print_stdout, reason = "results")]

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use vivavoce::audio::{self, Resampler};
use vivavoce::endpoint::EndpointOptions;
use vivavoce::transcript::Event;
use vivavoce::{Listener, Recognizer, SessionOptions};

/// The segments of a file.
fn transcribe(recognizer: &Recognizer, file: &str) -> vivavoce::Result<Vec<String>> {
    let mut source = audio::open(file)?;
    let endpoints = EndpointOptions { sleep: false, ..EndpointOptions::default() };
    let mut listener = Listener::new(recognizer, &SessionOptions::default(), Some(&endpoints), 0)?;
    let mut resampler = Resampler::new(source.sample_rate_hz(), listener.sample_rate_hz())?;
    let (mut chunk, mut heard, mut events) = (Vec::new(), Vec::new(), Vec::new());
    while source.next_chunk(&mut chunk)? {
        heard.clear();
        resampler.process_into(&chunk, &mut heard)?;
        listener.accept_waveform(&heard, &mut events)?;
    }
    heard.clear();
    resampler.finish_into(&mut heard)?;
    listener.accept_waveform(&heard, &mut events)?;
    listener.finish(&mut events)?;
    let finals = events.into_iter().filter_map(|event| match event {
        Event::Final(result) => Some(result.text),
        _ => None,
    });
    Ok(finals.collect())
}

fn main() -> anyhow::Result<()> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    anyhow::ensure!(!files.is_empty(), "usage: many_files FILE...");
    let recognizer = Recognizer::embedded().context("build with the feature embed-model")?;
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(files.len()) {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match transcribe(&recognizer, file) {
                        Ok(segments) => println!("{file}: {}", segments.join(" | ")),
                        Err(error) => eprintln!("error: {error}"),
                    }
                }
            });
        }
    });
    Ok(())
}
