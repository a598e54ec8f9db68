//! Command line. Results go to stdout, everything else to stderr. Exit code 0: all done; 1: something failed; 2: wrong usage.

mod align;
mod args;
mod attention;
pub mod bench;
mod corpus;
mod devices;
mod evaluate;
#[cfg(feature = "plot")]
mod heat;
pub mod input;
mod inspect;
mod listen;
mod output;
mod pages;
#[cfg(feature = "plot")]
mod plot;
mod recorder;
mod say;
mod screen;
#[cfg(feature = "serve")]
pub mod serve;
pub mod settings;
mod threads;
pub mod transcribe;
mod wake;
mod word_log;

use std::sync::atomic::{AtomicBool, Ordering};

pub use args::Arguments;
pub use say::say;

use anyhow::Context;
use vivavoce::transcript::Final;
use vivavoce::{Recognizer, StreamOptions};

use args::{Command, ModelArguments, SearchArguments};

/// What to do without a microphone.
#[cfg(not(feature = "mic"))]
const NO_MICROPHONE: &str = "this program was built without the feature mic: build it with --features mic, or pipe \
     audio in: arecord -f S16_LE -r 16000 | vivavoce listen -";

/// Runs the command; `false` if a part of the work failed and was reported.
pub fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    match &arguments.command {
        Command::Transcribe(a) => transcribe::run(a),
        Command::Listen(a) => listen::run(a),
        Command::Devices(a) => devices::run(a).map(|()| true),
        Command::Evaluate(a) => evaluate::run(a),
        Command::Bench(a) => bench::run(a),
        Command::Align(a) => align::run(a),
        Command::Inspect(a) => inspect::run(a).map(|()| true),
        Command::Completions(a) => pages::completions(a).map(|()| true),
        Command::Man(a) => pages::man(a).map(|()| true),
        #[cfg(feature = "serve")]
        Command::Serve(a) => serve::run(a).map(|()| true),
    }
}

/// Whether `error` means that the reader of stdout has gone, as `head` does.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let written = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    let json = error.downcast_ref().and_then(serde_json::Error::io_error_kind);
    written.or(json) == Some(std::io::ErrorKind::BrokenPipe)
}

/// Exit code of a program that a second signal ends.
const BROKEN_OFF: i32 = 130;

/// The first Ctrl-C or request to end calls `end`, so that what there is comes out; the second ends the program.
fn on_signal(end: impl Fn() + Send + 'static) -> anyhow::Result<()> {
    let once = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if once.swap(true, Ordering::Relaxed) {
            std::process::exit(BROKEN_OFF);
        }
        end();
    })
    .context("cannot catch Ctrl-C")
}

/// A setting that the model does not allow.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UsageError(vivavoce::Error);

/// Arguments that do not go together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Misuse(String);

/// Exit code of wrong usage.
pub const WRONG_USAGE: i32 = 2;

/// The exit code for `error`.
pub fn exit_code(error: &anyhow::Error) -> i32 {
    if error.is::<UsageError>() || error.is::<Misuse>() { WRONG_USAGE } else { 1 }
}

/// A segment of a stream that began at `seconds` of another, in the other's times.
fn later(segment: &mut Final, seconds: f64) {
    let shift = |time: &mut f64| *time = ((*time + seconds) * 1000.0).round() / 1000.0;
    for word in segment.result.iter_mut().chain(&mut segment.written) {
        shift(&mut word.start);
        shift(&mut word.end);
    }
    shift(&mut segment.start);
    shift(&mut segment.time);
}

/// What a stream is to be like; refuses settings and lists that the model does not allow, before any audio is touched.
fn stream_options(
    recognizer: &Recognizer,
    search: &SearchArguments,
) -> anyhow::Result<StreamOptions> {
    let mut options = search.options();
    if let Some(path) = &search.hotwords {
        let list = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        options = options.hotwords(recognizer.hotwords(path, &list).map_err(UsageError)?);
    }
    if let Some(path) = &search.grammar {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        options = options.grammar(recognizer.grammar(path, &text).map_err(UsageError)?);
    }
    recognizer.session(&options).map_err(UsageError)?;
    Ok(options)
}

/// What a command reads beside its audio: no result may take its place.
fn guard(model: &ModelArguments, search: Option<&SearchArguments>) -> output::Guard {
    let mut guard = output::Guard::default();
    if let Some(folder) = &model.model {
        guard.protect_model(folder);
    }
    let lists = search.map(|search| [&search.hotwords, &search.grammar]);
    guard.protect(lists.iter().flatten().filter_map(|list| list.as_deref()));
    guard
}

/// Refuses a drawing that cannot be made, before any work is done.
fn check_plot(path: &std::path::Path, endings: &[&str]) -> anyhow::Result<()> {
    #[cfg(feature = "plot")]
    return plot::check(path, endings);
    #[cfg(not(feature = "plot"))]
    Err(Misuse(format!(
        "{}: this program was built without the feature plot, which draws .{}",
        path.display(),
        endings.join(" and .")
    ))
    .into())
}

fn recognizer(model: &ModelArguments) -> anyhow::Result<Recognizer> {
    let builder = Recognizer::builder().precision(model.precision());
    match &model.model {
        Some(dir) => builder.folder(dir).build().with_context(|| {
            format!("{}: give --model DIR a folder like models/en-small", dir.display())
        }),
        None => builder.build().context("no model: give --model DIR or set VIVAVOCE_MODEL"),
    }
}
