//! `vivavoce evaluate --words`: what speaks for each word, as the recipe's calibration reads it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use vivavoce::Session;
use vivavoce::metrics::{Operation, align};

/// A recognised word.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    word: String,
    /// Place among the reference's words, if it is right.
    reference: Option<usize>,
    start: f64,
    end: f64,
    conf: f32,
    evidence: Vec<f32>,
}

/// The words of a stream that is over, against its reference.
fn lines(session: &Session, reference: &str) -> Vec<Line> {
    let all = || session.confirmed().iter().chain(session.tentative());
    let said: Vec<&str> = all().map(|word| session.text(*word)).collect();
    let expected: Vec<&str> = reference.split_whitespace().collect();
    let mut places = vec![None; said.len()];
    for operation in align(&expected, &said) {
        if let Operation::Match(i, j) = operation {
            places[j] = Some(i);
        }
    }
    let line = |(word, reference)| {
        let timed = session.timed(word);
        Line {
            word: timed.word,
            reference,
            start: timed.start,
            end: timed.end,
            conf: timed.conf,
            evidence: session.evidence(word).to_vec(),
        }
    };
    all().copied().zip(places).map(line).collect()
}

#[derive(Serialize)]
struct Of<'a> {
    set: &'a str,
    id: &'a str,
    #[serde(flatten)]
    heard: &'a Heard,
}

/// What the file tells of an utterance.
#[derive(Debug, Clone, Serialize)]
pub struct Heard {
    words: Vec<Line>,
    /// What was said.
    #[cfg(feature = "lists")]
    text: String,
    #[cfg(feature = "lists")]
    hypotheses: Vec<vivavoce::search::Listed>,
}

/// Readings of an utterance that are told.
#[cfg(feature = "lists")]
const MAX_LISTED: usize = 12;

impl Heard {
    /// Of a stream that is over, against its reference.
    pub fn of(session: &Session, reference: &str) -> Self {
        Self {
            words: lines(session, reference),
            #[cfg(feature = "lists")]
            text: reference.to_owned(),
            #[cfg(feature = "lists")]
            hypotheses: session.listed(MAX_LISTED),
        }
    }
}

/// The file, one JSON object an utterance.
pub struct WordLog {
    out: BufWriter<File>,
}

impl WordLog {
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { out: BufWriter::new(file) })
    }

    pub fn write(&mut self, set: &str, id: &str, heard: &Heard) -> anyhow::Result<()> {
        let line = serde_json::to_string(&Of { set, id, heard })?;
        Ok(writeln!(self.out, "{line}")?)
    }

    pub fn finish(mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}
