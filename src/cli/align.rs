//! `vivavoce align`: when the words of a known text are spoken.

use std::io::Write;
use std::ops::ControlFlow;

use serde::Serialize;
use vivavoce::metrics::normalize_text;
use vivavoce::transcript::TimedWord;
use vivavoce::{Engine, Recognizer, Session};

use super::args::AlignArguments;
use super::corpus::{self, Utterance};
use super::say;

#[derive(Debug, Serialize)]
struct Aligned {
    id: String,
    /// Whether the last word was reached.
    complete: bool,
    result: Vec<TimedWord>,
}

pub fn run(arguments: &AlignArguments) -> anyhow::Result<bool> {
    let recognizer = super::recognizer(&arguments.model)?;
    recognizer.aligner("", arguments.latency.as_deref()).map_err(super::UsageError)?;
    let mut utterances = corpus::gather(&arguments.paths, &arguments.selection)?;
    if let Some(text) = &arguments.text {
        if utterances.len() != 1 {
            return Err(super::Misuse("--text is for one file".into()).into());
        }
        utterances[0].text = normalize_text(text);
    }
    let mut good = true;
    for utterance in &utterances {
        match align(&recognizer, utterance, arguments.latency.as_deref()) {
            Ok(result) => {
                let id = utterance.id.clone();
                let complete = result.len() == utterance.text.split_whitespace().count();
                if !complete {
                    say(format_args!("warning: {id}: the text does not fit the audio to its end"));
                    good = false;
                }
                show(&Aligned { id, complete, result }, arguments.json)?;
            }
            Err(error) => {
                say(format_args!("error: {}: {error:#}", utterance.id));
                good = false;
            }
        }
    }
    Ok(good)
}

fn show(aligned: &Aligned, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, aligned)?;
        writeln!(out)?;
    } else {
        for TimedWord { word, start, end, conf, .. } in &aligned.result {
            writeln!(out, "{} 1 {start:.3} {:.3} {word} {conf:.3}", aligned.id, end - start)?;
        }
    }
    Ok(out.flush()?)
}

/// The words of an utterance with their times.
pub fn align(
    recognizer: &Recognizer,
    utterance: &Utterance,
    latency: Option<&str>,
) -> anyhow::Result<Vec<TimedWord>> {
    anyhow::ensure!(!utterance.text.is_empty(), "no text: put it in FILE.txt beside the audio");
    let mut session = recognizer.aligner(&utterance.text, latency)?;
    let on = |_: &mut Session, _| ControlFlow::Continue(());
    Engine::new(recognizer).hear(&mut session, &mut utterance.open()?, on)?;
    Ok(session.result(0).result)
}
