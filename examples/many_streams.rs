//! Many live streams computed as one batch: `cargo run --release --example many_streams -- FILE...`.
#![expect(clippy::print_stdout, reason = "results")]

use anyhow::Context;
use vivavoce::audio::{self, AudioSource};
use vivavoce::transcript::Event;
use vivavoce::{EndpointOptions, Engine, Recognizer, StreamOptions};

fn main() -> anyhow::Result<()> {
    let recognizer = Recognizer::builder().build().context("build with the feature embed-model")?;
    let options = StreamOptions::default().partials(false).endpoints(EndpointOptions::default());
    let mut engine = Engine::new(&recognizer);
    let (mut sources, mut listeners) = (Vec::new(), Vec::new());
    for path in std::env::args().skip(1) {
        sources.push((audio::open(&path)?, path));
        listeners.push(recognizer.listener(&options)?);
    }
    let mut chunk = Vec::new();
    while !listeners.iter().all(vivavoce::Listener::is_over) {
        for ((source, _), listener) in sources.iter_mut().zip(&mut listeners) {
            if source.next_chunk(&mut chunk)? {
                listener.accept_waveform(source.sample_rate_hz(), &chunk)?;
            } else if !listener.is_over() {
                listener.finish();
            }
        }
        engine.advance(&mut listeners)?;
        for ((_, path), listener) in sources.iter().zip(&mut listeners) {
            for event in listener.take_events() {
                if let Event::Final(segment) = event {
                    println!("{path} {:7.2}  {}", segment.start, segment.text);
                }
            }
        }
    }
    Ok(())
}
