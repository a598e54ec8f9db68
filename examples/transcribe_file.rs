//! Words of an audio file with their times: `cargo run --release --example transcribe_file -- speech.mp3 models/en-small`.
#![expect(clippy::print_stdout, reason = "results")]

use anyhow::Context;
use vivavoce::Recognizer;
use vivavoce::audio;
use vivavoce::pipeline::{Pipeline, PipelineOptions};
use vivavoce::transcript::Event;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().context("usage: transcribe_file FILE [MODEL_FOLDER]")?;
    let recognizer = match arguments.next() {
        Some(folder) => Recognizer::load(folder)?,
        None => Recognizer::embedded()?,
    };
    let source = audio::open(&file)?;
    let options = PipelineOptions { partials: true, ..Default::default() };
    for event in Pipeline::start(&recognizer, source, &options)?.events() {
        match event {
            Event::Partial(partial) => eprintln!("... {}", partial.partial),
            Event::Final(result) => {
                for word in &result.result {
                    println!("{:6.2} {:6.2}  {}", word.start, word.end, word.word);
                }
            }
            Event::Error { message, .. } => eprintln!("{message}"),
            _ => {}
        }
    }
    Ok(())
}
