//! `vivavoce serve`.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use tracing_subscriber::filter::LevelFilter;

use clap::{CommandFactory, FromArgMatches};

use super::args::{Arguments, Command, LogFormat, ServeArguments};
use crate::serve::{Defaults, Limits, Settings, check, run as start};

pub fn run(arguments: &ServeArguments) -> anyhow::Result<()> {
    match &arguments.config {
        Some(path) => {
            let given = Arguments::command().get_matches();
            let (all, _) = super::settings::with_file(path, None, "serve", &given)?;
            match Arguments::from_arg_matches(&all)?.command {
                Command::Serve(arguments) => serve(&arguments),
                _ => serve(arguments),
            }
        }
        None => serve(arguments),
    }
}

fn serve(arguments: &ServeArguments) -> anyhow::Result<()> {
    if arguments.check {
        #[cfg(feature = "tls")]
        if arguments.tls_certificate.is_some() {
            let message = "--check speaks no TLS: ask with curl https://NAME:PORT/health";
            return Err(super::Misuse(message.into()).into());
        }
        return check(arguments.listen);
    }
    let endpoints = arguments.endpoints.options();
    if let Some(endpoints) = &endpoints {
        endpoints.validate().map_err(super::UsageError)?;
    }
    let level: LevelFilter = arguments.log.parse()?;
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    let log = log.with_max_level(level).with_ansi(std::io::stderr().is_terminal());
    match arguments.log_format {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().init(),
    }
    let recognizer = super::recognizer(&arguments.model)?;
    let seconds = |seconds: f64| {
        let wait = Duration::try_from_secs_f64(seconds);
        wait.map_err(|_| super::Misuse(format!("{seconds} seconds are too many")))
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let settings = Settings {
        listen: arguments.listen,
        wyoming: arguments.wyoming,
        keys: keys(arguments)?,
        origins: arguments.allow_origin.clone(),
        model: recognizer.config().name.clone(),
        threads: arguments.threads.map_or(cores, usize::from),
        stream: super::stream_options(&recognizer, &arguments.search)?,
        rewrites: (arguments.search.punctuate, arguments.search.digits),
        endpoints,
        vosk: Defaults {
            rate_hz: arguments.vosk_rate,
            words: !arguments.vosk_no_words,
            alternatives: arguments.vosk_alternatives.into(),
        },
        limits: Limits {
            streams: arguments.max_streams.into(),
            seconds: arguments.max_seconds,
            message_bytes: arguments.max_message_bytes as usize,
            body_bytes: arguments.max_body_bytes as usize,
            idle: seconds(arguments.idle_seconds)?,
            stop: seconds(arguments.stop_seconds)?,
            phrases: arguments.max_phrases.into(),
        },
        #[cfg(feature = "tls")]
        tls: arguments
            .tls_certificate
            .clone()
            .zip(arguments.tls_key.clone())
            .map(|(certificates, key)| crate::serve::tls::Files { certificates, key }),
    };
    start(&recognizer, settings)
}

/// All keys; refuses a list of none, which would let everybody in.
fn keys(arguments: &ServeArguments) -> anyhow::Result<Vec<String>> {
    let mut keys = arguments.api_key.clone();
    if let Some(path) = &arguments.api_key_file {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        keys.extend(text.lines().map(|line| line.trim().to_owned()));
    }
    keys.retain(|key| !key.is_empty());
    let asked = !arguments.api_key.is_empty() || arguments.api_key_file.is_some();
    if asked && keys.is_empty() {
        return Err(super::Misuse("no key: they are empty".into()).into());
    }
    Ok(keys)
}
