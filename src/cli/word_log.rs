//! `vivavoce evaluate --words`: what speaks for each word, as the recipe's calibration reads it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use vivavoce::Session;
use vivavoce::metrics::{Operation, align};

use super::corpus::Utterance;

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

/// What the file tells of an utterance.
#[derive(Debug, Clone, Serialize)]
pub struct Logged {
    set: String,
    id: String,
    words: Vec<Line>,
    /// What was said.
    #[cfg(feature = "lists")]
    text: String,
    /// The best first.
    #[cfg(feature = "lists")]
    hypotheses: Vec<vivavoce::search::Listed>,
}

/// Hypotheses of an utterance that are told.
#[cfg(feature = "lists")]
const MAX_HYPOTHESES: usize = 12;

impl Logged {
    /// Of a stream that is over.
    pub fn of(session: &Session, utterance: &Utterance) -> Self {
        Self {
            set: utterance.set.clone(),
            id: utterance.id.clone(),
            words: lines(session, &utterance.text),
            #[cfg(feature = "lists")]
            text: utterance.text.clone(),
            #[cfg(feature = "lists")]
            hypotheses: session.listed(MAX_HYPOTHESES),
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

    pub fn write(&mut self, logged: &Logged) -> anyhow::Result<()> {
        let line = serde_json::to_string(logged)?;
        Ok(writeln!(self.out, "{line}")?)
    }

    pub fn finish(mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

#[cfg(all(test, feature = "lists"))]
mod tests {
    use vivavoce::{Engine, Recognizer, StreamOptions};

    #[test]
    fn what_is_listed_are_the_alternatives_with_what_they_emitted() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let recognizer = Recognizer::load(root.join("models/en-small")).unwrap();
        let clip = root.join("audio-samples/harbour-int16-16000-mono.wav");
        let mut source = vivavoce::audio::open(clip).unwrap();
        let (rate_hz, samples) = (source.sample_rate_hz(), source.read_all().unwrap());
        let mut session = recognizer.session(&StreamOptions::default()).unwrap();
        let mut engine = Engine::new(&recognizer);
        for chunk in samples.chunks(1600) {
            session.accept_waveform(rate_hz, chunk).unwrap();
            engine.advance(&mut [&mut session]).unwrap();
        }
        session.finish();
        engine.advance(&mut [&mut session]).unwrap();
        let (listed, result) = (session.listed(4), session.result(4));
        let texts = |all: &[vivavoce::transcript::Alternative]| -> Vec<_> {
            all.iter().map(|one| (one.text.clone(), one.score.to_bits())).collect()
        };
        let found: Vec<_> = listed.iter().map(|h| (h.text.clone(), h.score.to_bits())).collect();
        assert_eq!(found, texts(&result.alternatives));
        assert_eq!(listed[0].text, result.text);
        for hypothesis in &listed {
            // Every word ends with a word-final token, and no token goes back in time.
            let is_last = |token: &&u32| recognizer.tokens().is_word_final(**token);
            let words = hypothesis.tokens.iter().filter(is_last).count();
            assert_eq!(words, hypothesis.text.split(' ').count());
            assert_eq!(hypothesis.blocks.len(), hypothesis.tokens.len());
            assert!(hypothesis.blocks.is_sorted());
            assert!(hypothesis.log_prob < 0.0);
        }
    }
}
