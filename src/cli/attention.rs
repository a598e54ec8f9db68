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
        let mut guard = super::guard(&arguments.model, None);
        guard.protect([arguments.file.as_path()]);
        guard.check(std::slice::from_ref(path), arguments.overwrite)?;
    }
    if !arguments.json && arguments.out.is_none() {
        let reason = "nothing to show: give --out FILE.svg or --json";
        return Err(super::Misuse(reason.into()).into());
    }
    let recognizer = super::recognizer(&arguments.model)?;
    recognizer.config().latency_mode(arguments.latency.as_deref()).map_err(super::UsageError)?;
    let path = &arguments.file;
    let name = path.display().to_string();
    let mut source = super::input::open(path)?;
    let rate = recognizer.config().features.sample_rate_hz;
    let (mut chunk, mut heard) = (Vec::new(), Vec::new());
    let mut resampler = Resampler::new(source.sample_rate_hz(), rate)?;
    while source.next_chunk(&mut chunk)? {
        resampler.process_into(&chunk, &mut heard)?;
        let seconds = heard.len() as f32 / rate as f32;
        anyhow::ensure!(seconds <= MAX_S, "{name}: cut it to {MAX_S:.0} s or less");
    }
    resampler.finish_into(&mut heard)?;
    for warning in source.warnings() {
        super::say(format_args!("warning: {warning}"));
    }
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
