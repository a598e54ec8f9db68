//! Transcribes a file: `cargo run --release --example transcribe_file -- speech.wav [model folder]`.
#![expect(clippy::print_stdout, reason = "results")]

use vivavoce::{Recognizer, StreamOptions, audio};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else { anyhow::bail!("usage: transcribe_file FILE [MODEL]") };
    let recognizer = match arguments.next() {
        Some(folder) => Recognizer::load(folder)?,
        None => Recognizer::builder().build()?,
    };
    let transcript = recognizer.transcribe(audio::open(path)?, &StreamOptions::default())?;
    for word in transcript.segments.iter().flat_map(|segment| &segment.result) {
        println!("{:8.3} {:8.3} {:.2} {}", word.start, word.end, word.conf, word.word);
    }
    println!("{}", transcript.text());
    Ok(())
}
