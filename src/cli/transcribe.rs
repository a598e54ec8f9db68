//! `vivavoce transcribe`.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use vivavoce::Recognizer;
use vivavoce::pipeline::{Pace, Pipeline, PipelineOptions};
use vivavoce::transcript::{Event, Final, Partial};

use super::args::TranscribeArguments;

pub fn run(arguments: &TranscribeArguments) -> anyhow::Result<bool> {
    let recognizer = super::recognizer(&arguments.model)?;
    super::check(&recognizer, &arguments.search)?;
    let bar = progress(arguments.files.len(), arguments.stream);
    let start = Instant::now();
    let (mut good, mut heard_s) = (true, 0.0);
    for file in &arguments.files {
        bar.set_message(file.display().to_string());
        match transcribe(&recognizer, file, arguments, &bar) {
            Ok(seconds) => heard_s += seconds,
            Err(error) if super::is_closed_pipe(&error) => return Err(error),
            Err(error) => {
                bar.suspend(|| eprintln!("error: {error:#}"));
                good = false;
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let took_s = start.elapsed().as_secs_f32();
    if heard_s > 0.0 && std::io::stderr().is_terminal() {
        eprintln!("{heard_s:.1} s of audio in {took_s:.2} s: {:.3} x real time", took_s / heard_s);
    }
    Ok(good)
}

fn progress(files: usize, stream: bool) -> ProgressBar {
    if files < 2 || stream {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(files as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Transcribes one file and gives its length in seconds.
fn transcribe(
    recognizer: &Recognizer,
    file: &Path,
    arguments: &TranscribeArguments,
    bar: &ProgressBar,
) -> anyhow::Result<f32> {
    let source = super::input::open(file)?;
    let options = PipelineOptions {
        session: arguments.search.options(),
        pace: if arguments.realtime { Pace::Realtime } else { Pace::Unpaced },
        partials: arguments.stream,
        alternatives: arguments.alternatives,
        ..PipelineOptions::default()
    };
    let pipeline = Pipeline::start(recognizer, source, &options)
        .with_context(|| file.display().to_string())?;
    let name = (arguments.files.len() > 1).then(|| file.display().to_string());
    let mut heard_s = 0.0;
    for event in pipeline.events() {
        match event {
            Event::Partial(partial) => show_partial(&partial, arguments.json)?,
            Event::Final(result) => {
                heard_s = result.time;
                bar.suspend(|| show_final(&result, name.as_deref(), arguments))?;
            }
            Event::Error { message, fatal: true } => {
                anyhow::bail!("{}", with_name(file, &message));
            }
            Event::Error { message, fatal: false } => {
                bar.suspend(|| eprintln!("warning: {}", with_name(file, &message)));
            }
            _ => {}
        }
    }
    Ok(heard_s)
}

fn with_name(file: &Path, message: &str) -> String {
    let name = file.display().to_string();
    if message.contains(&name) { message.to_owned() } else { format!("{name}: {message}") }
}

fn show_partial(partial: &Partial, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, partial)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{:7.2}  {} | {}", partial.time, partial.confirmed, partial.tentative)?;
    }
    Ok(out.flush()?)
}

fn show_final(
    result: &Final,
    name: Option<&str>,
    arguments: &TranscribeArguments,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if arguments.json {
        let mut value = serde_json::to_value(result)?;
        if let (Some(name), Some(object)) = (name, value.as_object_mut()) {
            object.insert("file".into(), name.into());
        }
        serde_json::to_writer(&mut out, &value)?;
        writeln!(out)?;
    } else if arguments.stream {
        writeln!(out, "{:7.2}  {}", result.time, result.text)?;
    } else if let Some(name) = name {
        writeln!(out, "{name}: {}", result.text)?;
    } else {
        writeln!(out, "{}", result.text)?;
    }
    Ok(out.flush()?)
}
