//! What the program and its server read.

use std::path::Path;
use std::sync::OnceLock;

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use clap::{ArgMatches, CommandFactory};
use serde_json::{Map, Value};

use crate::cli::Arguments;
use crate::cli::bench::clips;
use crate::cli::input::list::Found;
use crate::cli::settings::flags;
use crate::cli::transcribe::journal;
use crate::serve::ask::Ask;
use crate::serve::deepgram::query::Wishes;
use crate::serve::openai::form::Form;
use crate::serve::openai::realtime::config::Config;
use crate::serve::pcm::Intake;
use crate::serve::vosk::{self, Defaults};
use crate::serve::wyoming;

/// The first byte says whether it is Kaldi's kind of list. Every line has its own result, or says what is wrong with it.
pub fn list(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let name = if kind % 2 == 0 { "list.jsonl" } else { "list.scp" };
    let mut found = Found::default();
    found.lines(Path::new(name), data);
    let entries = found.entries();
    let wanted = data.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    assert_eq!(entries.len(), wanted.count());
}

pub fn settings(data: &[u8]) {
    static GIVEN: OnceLock<ArgMatches> = OnceLock::new();
    let given = GIVEN.get_or_init(|| {
        let all = Arguments::command().get_matches_from(["vivavoce", "serve"]);
        all.subcommand_matches("serve").unwrap().clone()
    });
    let Ok(text) = str::from_utf8(data) else { return };
    let _ = flags(text, Some("listen"), "listen", given);
    match flags(text, None, "serve", given) {
        Ok(flags) => assert!(flags.iter().all(|flag| flag.to_string_lossy().starts_with("--"))),
        Err(reason) => assert!(!reason.is_empty()),
    }
}

/// Samples do not depend on how bytes arrive; the first byte says where they are split.
pub fn pcm(data: &[u8]) {
    let Some((place, data)) = data.split_first() else { return };
    let heard = |parts: &[&[u8]]| {
        let mut intake = Intake::sniffing(8_000);
        let mut samples = Vec::new();
        for part in parts {
            samples.extend(intake.take(part)?);
        }
        samples.extend(intake.finish());
        Ok::<_, String>(samples.into_iter().map(f32::to_bits).collect::<Vec<_>>())
    };
    let (first, second) = data.split_at(usize::from(*place).min(data.len()));
    let (whole, split) = (heard(&[data]), heard(&[first, second]));
    assert_eq!(whole.is_ok(), split.is_ok());
    if let (Ok(whole), Ok(split)) = (whole, split) {
        assert_eq!(whole, split);
    }
}

pub fn deepgram(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(wishes) = Wishes::read(text) {
        let _ = wishes.intake().take(b"RIFF0123");
    }
}

pub fn realtime(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    for old in [false, true] {
        let mut config = Config::new("model", old);
        let before = config.session();
        if config.update(Some(&value), old).is_err() {
            assert_eq!(config.session(), before, "what is refused changes nothing");
        }
        let (_, rate_hz, _) = config.sound();
        assert!((8_000..=192_000).contains(&rate_hz));
    }
}

pub fn wyoming(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut reader = tokio::io::BufReader::new(data);
        while let Ok(Some(message)) = wyoming::read(&mut reader).await {
            assert!(message.payload.len() <= data.len());
        }
    });
}

/// Each segment is a whole line, and what was read is read again.
pub fn journal(data: &[u8]) {
    let Some((subject, segments)) = journal::read(data) else { return };
    let mut text = serde_json::to_vec(&subject).unwrap();
    for segment in &segments {
        text.push(b'\n');
        serde_json::to_writer(&mut text, segment).unwrap();
    }
    assert!(segments.len() < data.split(|byte| *byte == b'\n').count());
    let (of, again) = journal::read(text.as_slice()).expect("a journal");
    assert!(of == subject && again.len() == segments.len());
}

pub fn ctm(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match clips::read_words(text) {
        Ok(files) => assert_eq!(files.values().map(Vec::len).sum::<usize>(), text.lines().count()),
        Err(line) => assert!((1..=text.lines().count()).contains(&line)),
    }
}

pub fn vosk(data: &[u8]) {
    let Ok(told) = serde_json::from_slice::<Map<String, Value>>(data) else { return };
    let defaults = Defaults { rate_hz: 16_000, words: false, alternatives: 0 };
    let mut config = vosk::config::Config::new(&defaults, Ask::default());
    if let Err(name) = config.update(&told) {
        assert!(told.contains_key(name));
    }
    assert!((8_000..=192_000).contains(&config.rate_hz));
}

/// The body of a form with the boundary `x`.
pub fn form(data: &[u8]) {
    let most = 10_000;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let request = Request::builder().method("POST");
        let request = request.header("content-type", "multipart/form-data; boundary=x");
        let request = request.body(Body::from(data.to_vec())).unwrap();
        let body = Multipart::from_request(request, &()).await.unwrap();
        if let Ok(form) = Form::read(body, most).await {
            assert!(form.file.len() <= most.min(data.len()));
            let _ = (form.check(), form.ask());
        }
    });
}
