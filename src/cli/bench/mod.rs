//! `vivavoce bench`: speed, latency and memory of streams that are replayed through the library. One thread serves them all.

pub mod clips;
#[cfg(feature = "plot")]
mod plot;
mod replay;
mod report;
#[cfg(feature = "serve")]
mod serve;

use std::io::Write;

use indicatif::ProgressBar;
use vivavoce::{Recognizer, StreamOptions};

use super::args::{BenchArguments, SweepArgument};
use clips::Clip;
use replay::{Measured, Plan};
use report::Report;

const SWEEP_BEAMS: [usize; 6] = [1, 2, 4, 8, 16, 32];
const SWEEP_STREAMS: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
/// Seconds of audio a stream, paced.
const PACED_S: f64 = 20.0;

/// One point of a sweep.
struct Setting {
    options: StreamOptions,
    latency: Option<String>,
    beam_size: Option<usize>,
    streams: usize,
}

pub fn run(arguments: &BenchArguments) -> anyhow::Result<bool> {
    #[cfg(feature = "serve")]
    if let Some(super::args::BenchWhat::Serve(arguments)) = &arguments.what {
        return serve::run(arguments);
    }
    if let Some(path) = &arguments.plot {
        super::check_plot(path, &["svg", "png"])?;
        let mut guard = super::guard(&arguments.model, Some(&arguments.search));
        let read = [&arguments.times, &arguments.compare].into_iter().flatten();
        guard.protect(arguments.paths.iter().chain(read).map(std::path::PathBuf::as_path));
        guard.check(std::slice::from_ref(path), arguments.overwrite)?;
    }
    let before = arguments.compare.as_deref().map(report::read).transpose()?;
    let recognizer = super::recognizer(&arguments.model)?;
    let base = super::stream_options(&recognizer, &arguments.search)?;
    anyhow::ensure!(arguments.streams > 0 && arguments.chunk_ms > 0, "streams and chunks above 0");
    let clips = clips::load(&recognizer, arguments)?;
    let settings = settings(&recognizer, &base, arguments);
    let bar = ProgressBar::new((settings.len() * arguments.runs.max(1)) as u64);
    let mut reports = Vec::new();
    for setting in &settings {
        let mut runs = Vec::new();
        for run in 0..arguments.runs.max(1) {
            bar.set_message(format!("{} streams", setting.streams));
            runs.push(measure(&recognizer, &clips, setting, arguments, run as u64)?);
            bar.inc(1);
        }
        let report = Report::new(&recognizer, setting, arguments, &runs);
        if arguments.jsonl {
            let mut out = std::io::stdout().lock();
            serde_json::to_writer(&mut out, &report)?;
            writeln!(out)?;
        }
        reports.push(report);
    }
    bar.finish_and_clear();
    let mut out = std::io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &reports)?;
        writeln!(out)?;
    } else if !arguments.jsonl {
        report::table(&mut out, &reports)?;
    }
    if let Some(before) = &before {
        report::compare(&mut std::io::stderr().lock(), before, &reports)?;
    }
    #[cfg(feature = "plot")]
    if let Some(path) = &arguments.plot {
        super::plot::save(path, "vivavoce bench", &plot::Plot(&reports))?;
    }
    Ok(true)
}

fn settings(
    recognizer: &Recognizer,
    base: &StreamOptions,
    arguments: &BenchArguments,
) -> Vec<Setting> {
    let swept = |what| arguments.sweep.contains(&what);
    let modes: Vec<_> = if swept(SweepArgument::Latency) {
        recognizer.config().latency_modes.keys().cloned().map(Some).collect()
    } else {
        vec![arguments.search.latency.clone()]
    };
    let beams: Vec<_> = if swept(SweepArgument::Beam) {
        SWEEP_BEAMS.into_iter().map(Some).collect()
    } else {
        vec![arguments.search.beam]
    };
    let streams =
        if swept(SweepArgument::Streams) { &SWEEP_STREAMS[..] } else { &[arguments.streams] };
    let mut out = Vec::new();
    for latency in &modes {
        for beam_size in &beams {
            for streams in streams {
                let (latency, beam_size, streams) = (latency.clone(), *beam_size, *streams);
                let options = base.clone().latency(latency.clone()).beam_size(beam_size);
                out.push(Setting { options, latency, beam_size, streams });
            }
        }
    }
    out
}

fn measure(
    recognizer: &Recognizer,
    clips: &[Clip],
    setting: &Setting,
    arguments: &BenchArguments,
    seed: u64,
) -> anyhow::Result<Measured> {
    let seconds = match (arguments.seconds, arguments.unpaced) {
        (None, false) => Some(PACED_S),
        (seconds, _) => seconds,
    };
    let plan = Plan {
        streams: setting.streams,
        paced: !arguments.unpaced,
        seconds,
        chunk_ms: arguments.chunk_ms,
        seed,
    };
    replay::run(recognizer, clips, &setting.options, &plan)
}
