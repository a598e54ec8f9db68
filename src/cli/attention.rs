//! `vivavoce inspect attention`: what attention looks at.

use std::io::Write;

use anyhow::Context;
use serde::Serialize;
use vivavoce::AttentionTrace;
use vivavoce::audio::Resampler;

use super::args::InspectAttentionArguments;

/// Longer audio gives drawings that nobody can read.
const MAX_S: f32 = 60.0;

#[derive(Serialize)]
struct Traced<'a> {
    file: String,
    #[serde(flatten)]
    trace: &'a AttentionTrace,
}

pub fn run(arguments: &InspectAttentionArguments) -> anyhow::Result<()> {
    if let Some(path) = &arguments.out {
        super::check_plot(path, &["svg", "png", "html"])?;
    }
    anyhow::ensure!(
        arguments.json || arguments.out.is_some(),
        "nothing to show: give --out FILE.svg or --json"
    );
    let recognizer = super::recognizer(&arguments.model)?;
    let path = &arguments.file;
    let name = path.display().to_string();
    let mut source = super::input::open(path)?;
    let samples = source.read_all()?;
    let rate = recognizer.config().features.sample_rate_hz;
    let seconds = samples.len() as f32 / source.sample_rate_hz() as f32;
    anyhow::ensure!(seconds <= MAX_S, "{name}: {seconds:.0} s; cut it to {MAX_S:.0} s or less");
    let mut heard = Vec::new();
    let mut resampler = Resampler::new(source.sample_rate_hz(), rate)?;
    resampler.process_into(&samples, &mut heard)?;
    resampler.finish_into(&mut heard)?;
    let trace = recognizer
        .trace_attention(&heard, arguments.latency.as_deref())
        .with_context(|| name.clone())?;
    #[cfg(feature = "plot")]
    if let Some(out) = &arguments.out {
        super::plot::save(out, &name, &super::heat::Heat { trace: &trace, name: &name })?;
    }
    if arguments.json {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &Traced { file: name, trace: &trace })?;
        writeln!(out)?;
    }
    Ok(())
}
