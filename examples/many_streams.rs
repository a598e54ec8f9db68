//! Many live streams computed as one batch: `cargo run --release --example many_streams -- FILE...`.
#![expect(clippy::print_stdout, reason = "results")]

use anyhow::Context;
use vivavoce::audio::{self, AudioSource, Resampler};
use vivavoce::transcript::Event;
use vivavoce::{EndpointOptions, Engine, Recognizer, StreamOptions};

fn main() -> anyhow::Result<()> {
    let recognizer = Recognizer::builder().build().context("build with the feature embed-model")?;
    let options = StreamOptions::default().partials(false).endpoints(EndpointOptions::default());
    let mut engine = Engine::new(&recognizer);
    let (mut sources, mut listeners) = (Vec::new(), Vec::new());
    for path in std::env::args().skip(1) {
        let source = audio::open(&path)?;
        let resampler = Resampler::new(source.sample_rate_hz(), recognizer.sample_rate_hz())?;
        sources.push((path, source, resampler));
        listeners.push(recognizer.listener(&options)?);
    }
    let (mut chunk, mut heard) = (Vec::new(), Vec::new());
    while !listeners.iter().all(vivavoce::Listener::is_over) {
        for ((_, source, resampler), listener) in sources.iter_mut().zip(&mut listeners) {
            heard.clear();
            if source.next_chunk(&mut chunk)? {
                resampler.process_into(&chunk, &mut heard)?;
                listener.accept_waveform(&heard)?;
            } else if !listener.is_over() {
                resampler.finish_into(&mut heard)?;
                listener.accept_waveform(&heard)?;
                listener.finish();
            }
        }
        engine.advance(&mut listeners)?;
        for ((path, ..), listener) in sources.iter().zip(&mut listeners) {
            for event in listener.take_events() {
                if let Event::Final(segment) = event {
                    println!("{path} {:7.2}  {}", segment.start, segment.text);
                }
            }
        }
    }
    Ok(())
}
