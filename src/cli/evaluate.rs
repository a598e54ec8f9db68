//! `vivavoce evaluate`: error rates on speech with known text.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Instant;

use crossbeam_channel::{bounded, unbounded};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use vivavoce::lexicon::Lexicon;
use vivavoce::metrics::{ErrorCounts, char_errors, errors, normalize_text, word_errors};
use vivavoce::search::Constraint;
use vivavoce::tokens::TokenId;
use vivavoce::{Engine, Recognizer, SearchKind, StreamOptions};

use super::args::EvaluateArguments;
use super::corpus::{self, Utterance};
use super::say;
use super::threads;
use super::word_log::{Logged, WordLog};

/// Figures of a set of utterances.
#[derive(Debug, Clone, Default, Serialize)]
struct Figures {
    utterances: usize,
    failed: usize,
    audio_s: f64,
    compute_s: f64,
    word: Counts,
    character: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<Counts>,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Counts {
    rate: f64,
    substitutions: usize,
    deletions: usize,
    insertions: usize,
    reference: usize,
}

impl Counts {
    fn add(&mut self, e: ErrorCounts) {
        self.substitutions += e.substitutions;
        self.deletions += e.deletions;
        self.insertions += e.insertions;
        self.reference += e.reference;
        let all = self.substitutions + self.deletions + self.insertions;
        self.rate = all as f64 / self.reference.max(1) as f64;
    }
}

/// What one utterance gave.
struct Outcome {
    set: String,
    id: String,
    reference: String,
    result: anyhow::Result<Hypothesis>,
}

struct Hypothesis {
    text: String,
    /// Where `--words` asks for it.
    logged: Option<Logged>,
    phone: Option<ErrorCounts>,
    audio_s: f64,
    compute_s: f64,
}

pub fn run(arguments: &EvaluateArguments) -> anyhow::Result<bool> {
    let recognizer = super::recognizer(&arguments.model)?;
    let options = super::stream_options(&recognizer, &arguments.search)?;
    let utterances = corpus::list(&arguments.folder, &arguments.selection)?;
    anyhow::ensure!(
        !utterances.is_empty(),
        "{}: no utterance with text; expected audio with FILE.txt beside it, or manifest.tsv with tar shards",
        arguments.folder.display()
    );
    if let Some(path) = &arguments.words {
        let mut guard = super::guard(&arguments.model, Some(&arguments.search));
        let files: Vec<_> = utterances.iter().flat_map(Utterance::files).collect();
        guard.protect(files.iter().map(std::path::PathBuf::as_path));
        guard.check(std::slice::from_ref(path), arguments.overwrite)?;
    }
    let phones = arguments.phones.then(|| Pronunciations::new(&recognizer)).transpose()?;
    let bar = ProgressBar::new(utterances.iter().map(|u| u.expected_ms).sum());
    if let Ok(style) =
        ProgressStyle::with_template("{wide_bar} {percent}% {elapsed} of {duration}  {msg}")
    {
        bar.set_style(style);
    }
    let mut log = arguments.words.as_deref().map(WordLog::create).transpose()?;
    let logs = log.is_some();
    let mut sets: BTreeMap<String, Figures> = BTreeMap::new();
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let jobs = arguments.jobs.map_or_else(cores, std::num::NonZeroUsize::get);
    let (work_sender, work) = bounded::<Utterance>(jobs * 2);
    let (outcome_sender, outcomes) = unbounded::<Outcome>();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        threads::start(scope, move || corpus::load(utterances, &work_sender))?;
        threads::start_some(scope, jobs, || {
            let (work, outcome_sender) = (work.clone(), outcome_sender.clone());
            let (recognizer, phones) = (&recognizer, phones.as_ref());
            let options = &options;
            move || {
                let mut engine = Engine::new(recognizer);
                for utterance in work {
                    let result =
                        evaluate(&mut engine, recognizer, options, phones, &utterance, logs);
                    let Utterance { set, id, text, .. } = utterance;
                    let outcome = Outcome { set, id, reference: text, result };
                    if outcome_sender.send(outcome).is_err() {
                        return;
                    }
                }
            }
        })?;
        drop((work, outcome_sender));
        let mut errors = ErrorCounts::default();
        for outcome in outcomes {
            let figures = sets.entry(outcome.set.clone()).or_default();
            figures.utterances += 1;
            match outcome.result {
                Ok(hypothesis) => {
                    let text = normalize_text(&hypothesis.text);
                    let counts = word_errors(&outcome.reference, &text);
                    errors += counts;
                    figures.word.add(counts);
                    figures.character.add(char_errors(&outcome.reference, &text));
                    if let Some(phone) = hypothesis.phone {
                        figures.phone.get_or_insert_default().add(phone);
                    }
                    if let (Some(log), Some(logged)) = (&mut log, &hypothesis.logged) {
                        log.write(logged)?;
                    }
                    figures.audio_s += hypothesis.audio_s;
                    figures.compute_s += hypothesis.compute_s;
                    bar.inc((hypothesis.audio_s * 1000.0) as u64);
                    bar.set_message(format!("WER {:.1} %", 100.0 * errors.rate()));
                    if arguments.show {
                        let (id, reference) = (&outcome.id, &outcome.reference);
                        let line = format!("{id}\n  ref {reference}\n  hyp {text}");
                        bar.suspend(|| say(line));
                    }
                }
                Err(error) => {
                    figures.failed += 1;
                    let line = format!("error: {}: {error:#}", outcome.id);
                    bar.suspend(|| say(line));
                }
            }
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    if let Some(log) = log {
        log.finish()?;
    }
    report(&sets, arguments.json)?;
    Ok(sets.values().all(|f| f.failed == 0))
}

fn evaluate(
    engine: &mut Engine,
    recognizer: &Recognizer,
    options: &StreamOptions,
    phones: Option<&Pronunciations>,
    utterance: &Utterance,
    logs: bool,
) -> anyhow::Result<Hypothesis> {
    let mut source = utterance.open()?;
    let samples = source.read_all()?;
    let rate_hz = source.sample_rate_hz();
    let start = Instant::now();
    let mut session = recognizer.session(options)?;
    for chunk in samples.chunks(rate_hz as usize / 2) {
        session.accept_waveform(rate_hz, chunk)?;
        engine.advance(&mut [&mut session])?;
    }
    session.finish();
    engine.advance(&mut [&mut session])?;
    let compute_s = start.elapsed().as_secs_f64();
    let phone = phones
        .map(|p| p.errors(engine, recognizer, options, &utterance.text, &samples, rate_hz))
        .transpose()?;
    Ok(Hypothesis {
        text: session.result(0).text,
        logged: logs.then(|| Logged::of(&session, utterance)),
        phone: phone.flatten(),
        audio_s: samples.len() as f64 / f64::from(rate_hz),
        compute_s,
    })
}

/// The likeliest pronunciation of every word, in plain phones.
struct Pronunciations {
    by_word: Vec<Vec<TokenId>>,
}

impl Pronunciations {
    fn new(recognizer: &Recognizer) -> anyhow::Result<Self> {
        let Constraint::Lexicon(constraint) = recognizer.constraint() else {
            anyhow::bail!("--phones needs a model whose units are phones");
        };
        let lexicon = constraint.lexicon();
        let mut best = vec![(f32::INFINITY, Vec::new()); lexicon.num_words()];
        let mut path = Vec::new();
        collect(lexicon, vivavoce::lexicon::ROOT, recognizer, &mut path, &mut best);
        Ok(Self { by_word: best.into_iter().map(|(_, phones)| phones).collect() })
    }

    /// Greedy tokens against the pronunciation of `text`, word ends not counted; none where a word is unknown.
    fn errors(
        &self,
        engine: &mut Engine,
        recognizer: &Recognizer,
        options: &StreamOptions,
        text: &str,
        samples: &[f32],
        rate_hz: u32,
    ) -> anyhow::Result<Option<ErrorCounts>> {
        let Constraint::Lexicon(constraint) = recognizer.constraint() else {
            return Ok(None);
        };
        let mut reference = Vec::new();
        for word in text.split_whitespace() {
            match constraint.lexicon().word_id(word) {
                Some(id) => reference.extend_from_slice(&self.by_word[id as usize]),
                None => return Ok(None),
            }
        }
        let options = options.clone().search(SearchKind::Greedy).end_of_block_bias(0.0);
        let mut session = recognizer.session(&options)?;
        session.accept_waveform(rate_hz, samples)?;
        session.finish();
        engine.advance(&mut [&mut session])?;
        let tokens = recognizer.tokens();
        let found: Vec<_> = session.confirmed().iter().map(|w| tokens.plain(w.id)).collect();
        Ok(Some(errors(&reference, &found)))
    }
}

fn collect(
    lexicon: &Lexicon,
    node: u32,
    recognizer: &Recognizer,
    path: &mut Vec<TokenId>,
    best: &mut [(f32, Vec<TokenId>)],
) {
    for pronounced in lexicon.tree().words(node) {
        if let Some(entry) = best.get_mut(pronounced.word as usize)
            && pronounced.cost < entry.0
        {
            *entry = (pronounced.cost, path.clone());
        }
    }
    for child in lexicon.tree().children(node) {
        path.push(recognizer.tokens().plain(lexicon.tree().token(child)));
        collect(lexicon, child, recognizer, path, best);
        path.pop();
    }
}

fn report(sets: &BTreeMap<String, Figures>, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(sets)?)?);
    }
    writeln!(
        out,
        "{:<22} {:>6} {:>7} {:>7} {:>6} {:>6} {:>6} {:>7} {:>7} {:>7}",
        "set", "utts", "words", "WER %", "sub", "del", "ins", "CER %", "PER %", "RTF"
    )?;
    for (name, f) in sets {
        let w = f.word;
        let phone = f.phone.map_or("-".to_owned(), |p| format!("{:.1}", 100.0 * p.rate));
        writeln!(
            out,
            "{name:<22} {:>6} {:>7} {:>7.1} {:>6} {:>6} {:>6} {:>7.1} {:>7} {:>7.4}",
            f.utterances,
            w.reference,
            100.0 * w.rate,
            w.substitutions,
            w.deletions,
            w.insertions,
            100.0 * f.character.rate,
            phone,
            f.compute_s / f.audio_s.max(1e-9)
        )?;
    }
    Ok(())
}
