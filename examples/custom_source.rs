//! Audio from anywhere: a source of one's own. This one reads bare 16-bit little-endian samples at 16 kHz from stdin, as
//! `arecord -t raw -f S16_LE -r 16000` writes them:
//! `arecord -t raw -f S16_LE -r 16000 | cargo run --release --example custom_source`.
#![expect(clippy::print_stdout, reason = "results")]

use std::io::{Read, Stdin};

use vivavoce::audio::AudioSource;
use vivavoce::pipeline::{Pipeline, PipelineOptions};
use vivavoce::transcript::Event;
use vivavoce::{Error, Recognizer, Result};

struct RawStdin {
    stdin: Stdin,
    bytes: Vec<u8>,
    /// A byte of a sample whose other half has not come yet.
    pending: usize,
}

impl AudioSource for RawStdin {
    fn sample_rate_hz(&self) -> u32 {
        16_000
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        out.clear();
        while out.is_empty() {
            let read = self.stdin.read(&mut self.bytes[self.pending..]);
            let read = read.map_err(|e| Error::io("(stdin)", e))?;
            if read == 0 {
                return Ok(false);
            }
            let (samples, rest) = self.bytes[..self.pending + read].as_chunks();
            out.extend(samples.iter().map(|s| f32::from(i16::from_le_bytes(*s)) / 32_768.0));
            self.pending = rest.len();
            if let [half] = *rest {
                self.bytes[0] = half;
            }
        }
        Ok(true)
    }
}

fn main() -> anyhow::Result<()> {
    let recognizer = match std::env::args().nth(1) {
        Some(folder) => Recognizer::load(folder)?,
        None => Recognizer::builder().build()?,
    };
    let source = RawStdin { stdin: std::io::stdin(), bytes: vec![0; 3200], pending: 0 };
    let pipeline = Pipeline::start(&recognizer, Box::new(source), &PipelineOptions::default())?;
    for event in pipeline.events() {
        match event {
            Event::Partial(partial) => println!("{} | {}", partial.confirmed, partial.tentative),
            Event::Final(result) => println!("{}", result.text),
            _ => {}
        }
    }
    Ok(())
}
