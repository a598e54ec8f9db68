//! Results as they come, one file after the other.

use std::io::Write;

use anyhow::Context;
use vivavoce::pipeline::{Pace, Pipeline, PipelineOptions};
use vivavoce::transcript::{Event, Final, Partial};
use vivavoce::{Recognizer, StreamOptions};

use super::with_name;
use crate::cli::args::TranscribeArguments;
use crate::cli::input::Entry;
use crate::cli::say;

/// Transcribes all entries; `false` if one failed.
///
/// # Errors
/// If stdout cannot be written to.
pub fn run(
    recognizer: &Recognizer,
    stream: &StreamOptions,
    entries: &[Entry],
    several: bool,
    arguments: &TranscribeArguments,
) -> anyhow::Result<bool> {
    let mut good = true;
    for entry in entries {
        let name = several.then_some(entry.shown.as_str());
        match transcribe(recognizer, stream, entry, name, arguments) {
            Ok(()) => {}
            Err(error) if crate::cli::is_closed_pipe(&error) => return Err(error),
            Err(error) => {
                let message = with_name(&entry.shown, &format!("{error:#}"));
                say(format_args!("error: {message}"));
                good = false;
            }
        }
    }
    Ok(good)
}

fn transcribe(
    recognizer: &Recognizer,
    stream: &StreamOptions,
    entry: &Entry,
    name: Option<&str>,
    arguments: &TranscribeArguments,
) -> anyhow::Result<()> {
    let source = entry.open()?;
    let pace = if arguments.realtime { Pace::Realtime } else { Pace::Unpaced };
    let options = PipelineOptions::default().stream(stream.clone()).pace(pace);
    let pipeline =
        Pipeline::start(recognizer, source, &options).with_context(|| entry.shown.clone())?;
    for event in pipeline.events() {
        match event {
            Event::Partial(partial) => show_partial(&partial, arguments.json)?,
            Event::Final(result) => show_final(&result, name, arguments)?,
            Event::Error(error) => anyhow::bail!(error),
            Event::Warning { message } => {
                say(format_args!("warning: {}", with_name(&entry.shown, &message)));
            }
            _ => {}
        }
    }
    Ok(())
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
