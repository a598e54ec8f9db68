//! `vivavoce transcribe`.

mod batch;
pub mod journal;
mod live;
mod progress;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vivavoce::endpoint::EndpointOptions;

use super::args::{OutputArguments, TranscribeArguments};
use super::input::{Entry, gather};
use super::output::{Destination, Style, is_special, result_paths};
use super::{Misuse, say};

pub fn run(arguments: &TranscribeArguments) -> anyhow::Result<bool> {
    let endpoints = endpoints(&arguments.output);
    if let Some(endpoints) = &endpoints {
        endpoints.validate().map_err(super::UsageError)?;
    }
    let (mut entries, several) = gather(&arguments.input)?;
    let style = Style::new(&arguments.output, arguments.json);
    let folder = arguments.output.output_dir.as_ref();
    let mut guard = super::guard(&arguments.model, Some(&arguments.search));
    guard.protect(entries.iter().filter_map(Entry::path));
    guard.protect(
        arguments.input.files.iter().chain(&arguments.input.files_from).map(AsRef::as_ref),
    );
    let overwrite = arguments.output.overwrite;
    let resume = arguments.output.resume;
    if resume && folder.is_none() && arguments.output.output.is_none() {
        let reason = "--resume goes by results that are there: say --output or --output-dir";
        return Err(Misuse(reason.into()).into());
    }
    if let Some(path) = &arguments.output.output {
        // What was broken off has left its journal.
        let broken_off = resume && journal::exists(path);
        if resume && !broken_off && path.is_file() {
            say(format_args!("{} is done already", path.display()));
            return Ok(true);
        }
        guard.check(std::slice::from_ref(path), overwrite || broken_off)?;
    }
    let paths = match folder {
        None => Vec::new(),
        Some(dir) => {
            if let Some(dir) = dir.as_ref().filter(|dir| dir.is_file()) {
                let name = dir.display();
                return Err(Misuse(format!("--output-dir {name} is a file")).into());
            }
            let paths = left(&mut entries, resume, dir.as_deref(), &style)?;
            // What another run has written since the list was made stays as it is.
            guard.check(&paths, overwrite || resume)?;
            paths
        }
    };
    if several && folder.is_none() && !style.can_be_joined() {
        let reason = "subtitles of several files need a file each: say --output-dir DIR";
        return Err(Misuse(reason.into()).into());
    }
    if folder.is_none() && style.has_ids() {
        tell_collisions(&entries);
    }
    let recognizer = super::recognizer(&arguments.model)?;
    let stream = super::stream_options(&recognizer, &arguments.search)?
        .alternatives(arguments.alternatives)
        .partials(arguments.stream);
    if arguments.stream || arguments.realtime {
        return live::run(&recognizer, &stream, &entries, several, arguments);
    }
    let results = match (&arguments.output.output, entries.len()) {
        _ if endpoints.is_none() => Vec::new(),
        (Some(path), 1) if !is_special(path) => vec![path.clone()],
        _ => paths.clone(),
    };
    let destination = match folder {
        Some(_) => Destination::files(style, paths, overwrite),
        None => Destination::stream(style, arguments.output.output.as_deref(), several)?,
    };
    let latency = arguments.search.latency.as_ref();
    let settings = format!("{} {:?} {:?}", recognizer.config().name, arguments.search, endpoints);
    let interrupted = Arc::<AtomicBool>::default();
    let told = interrupted.clone();
    super::on_signal(move || told.store(true, Ordering::Relaxed))?;
    let work = batch::Work {
        recognizer: &recognizer,
        keeps_empty: endpoints.is_none(),
        stream: stream.endpoints(endpoints),
        latency: latency.unwrap_or(&recognizer.config().default_latency).clone(),
        entries: &entries,
        interrupted,
        // In a folder it would pass for a whole one when the work is taken up again.
        gives_parts: entries.len() == 1 && folder.is_none(),
        results,
        resume,
        settings,
    };
    let jobs = arguments.output.jobs.map_or_else(cores, usize::from);
    batch::run(&work, jobs.min(entries.len()).max(1), destination)
}

/// Says which entries cannot be told apart by their ids.
fn tell_collisions(entries: &[Entry]) {
    let mut seen: HashMap<&str, &Entry> = HashMap::new();
    for entry in entries {
        if let Some(other) = seen.insert(&entry.name, entry)
            && !other.is_same(entry)
        {
            let (one, two, id) = (&other.shown, &entry.shown, &entry.name);
            say(format_args!("warning: {one} and {two} have the same id {id} in the results"));
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Files are cut where a format has segments. The network never sleeps: nobody waits for it, and no faint voice is missed.
fn endpoints(arguments: &OutputArguments) -> Option<EndpointOptions> {
    (arguments.format.is_some() && !arguments.no_endpoints).then(|| {
        EndpointOptions::default()
            .after_speech_s(arguments.endpoint_after_speech)
            .utterance_s(arguments.endpoint_utterance)
            .sleep(false)
    })
}

/// Leaves what is still to be done in `entries` and gives the files of their results.
fn left(
    entries: &mut Vec<Entry>,
    resume: bool,
    dir: Option<&Path>,
    style: &Style,
) -> anyhow::Result<Vec<PathBuf>> {
    // One result is enough for a file that is listed twice.
    let mut seen: HashMap<String, Entry> = HashMap::new();
    entries.retain(|entry| match seen.get(&entry.name) {
        Some(other) => !other.is_same(entry),
        None => seen.insert(entry.name.clone(), entry.clone()).is_none(),
    });
    let paths = result_paths(entries, dir, style)?;
    if !resume {
        return Ok(paths);
    }
    let done: Vec<_> = paths.iter().map(|path| path.exists()).collect();
    let count = done.iter().filter(|done| **done).count();
    if count > 0 {
        say(format_args!("{count} of {} files are done already", paths.len()));
    }
    let mut place = done.iter();
    entries.retain(|_| place.next().is_some_and(|done| !done));
    Ok(paths.into_iter().zip(done).filter(|(_, done)| !done).map(|(path, _)| path).collect())
}

/// The message, with the file where it does not tell it.
fn with_name(file: &str, message: &str) -> String {
    if message.contains(file) { message.to_owned() } else { format!("{file}: {message}") }
}
