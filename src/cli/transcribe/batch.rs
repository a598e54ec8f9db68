//! Many files at once, one on each core.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_channel::unbounded;
use vivavoce::audio::AudioSource;
use vivavoce::transcript::{Event, Final};
use vivavoce::{Engine, Listener, Recognizer, StreamOptions};

use super::journal::{self, Journal, Rest};
use super::progress::{Progress, Share, clock};
use super::with_name;
use crate::cli::input::{Audio, Entry};
use crate::cli::later;
use crate::cli::output::{Destination, Transcript};
use crate::cli::threads;

/// What is to be done, and how.
pub struct Work<'a> {
    pub recognizer: &'a Recognizer,
    pub stream: StreamOptions,
    /// Whether a segment without words is a result.
    pub keeps_empty: bool,
    pub latency: String,
    pub entries: &'a [Entry],
    /// Set when the user breaks the work off: what is under way ends where it is.
    pub interrupted: Arc<AtomicBool>,
    /// Whether what was heard of a file until then is a result; else it has none, and is still to be done.
    pub gives_parts: bool,
    /// The files of the results, by entry, where long work can be taken up again.
    pub results: Vec<PathBuf>,
    /// Whether it is taken up again.
    pub resume: bool,
    /// All that the words of a file depend on.
    pub settings: String,
}

/// What came of an entry.
struct Outcome {
    entry: usize,
    warnings: Vec<String>,
    /// None if the work was broken off.
    result: anyhow::Result<Option<Transcript>>,
    /// Whether that is all of it.
    whole: bool,
}

/// Transcribes all entries, `jobs` at once; `false` if one failed or the user broke the work off before all were done.
///
/// # Errors
/// If results cannot be written.
pub fn run(work: &Work<'_>, jobs: usize, mut destination: Destination) -> anyhow::Result<bool> {
    let progress = Progress::new(work.entries);
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, outcomes) = unbounded();
    let good = std::thread::scope(|scope| {
        threads::start_some(scope, jobs, || {
            let (sender, progress, next, stop) = (sender.clone(), &progress, &next, &stop);
            move || {
                let mut engine = Engine::new(work.recognizer);
                while !work.interrupted.load(Ordering::Relaxed) {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(entry) = work.entries.get(place) else { return };
                    let outcome = work.outcome(place, entry, &mut engine, progress, stop);
                    if stop.load(Ordering::Relaxed) || sender.send(outcome).is_err() {
                        return;
                    }
                }
            }
        })?;
        drop(sender);
        let written = write_all(work, outcomes.iter(), &mut destination, &progress);
        stop.store(true, Ordering::Relaxed);
        written
    });
    progress.finish();
    let good = good?;
    destination.finish()?;
    let (done, all) = (progress.num_done(), work.entries.len());
    let broken_off = work.interrupted.load(Ordering::Relaxed) && done < all;
    if broken_off && !work.gives_parts {
        progress.say(&format!("stopped: {done} of {all} files are done"));
    }
    Ok(good && !broken_off)
}

/// Writes results as they come, in order where that matters.
fn write_all(
    work: &Work<'_>,
    outcomes: impl Iterator<Item = Outcome>,
    destination: &mut Destination,
    progress: &Progress,
) -> anyhow::Result<bool> {
    let (mut good, mut due, mut early) = (true, 0, BTreeMap::new());
    let written = |entry: usize, whole: bool| {
        if let Some(result) = work.results.get(entry).filter(|_| whole) {
            journal::remove(result);
        }
    };
    for outcome in outcomes {
        let whole = outcome.whole;
        for warning in &outcome.warnings {
            progress.say(&format!("warning: {warning}"));
        }
        let transcript = match outcome.result {
            Ok(transcript) => transcript,
            Err(error) => {
                progress.say(&format!("error: {error:#}"));
                good = false;
                None
            }
        };
        if !destination.is_ordered() {
            let Some(transcript) = transcript else { continue };
            match destination.write(outcome.entry, &transcript) {
                Ok(()) => written(outcome.entry, whole),
                Err(error) => {
                    progress.say(&format!("error: {error:#}"));
                    good = false;
                }
            }
            continue;
        }
        early.insert(outcome.entry, (transcript, whole));
        while let Some((transcript, whole)) = early.remove(&due) {
            if let Some(transcript) = transcript {
                progress.suspend(|| destination.write(due, &transcript))?;
                written(due, whole);
            }
            due += 1;
        }
    }
    Ok(good)
}

impl Work<'_> {
    fn outcome(
        &self,
        place: usize,
        entry: &Entry,
        engine: &mut Engine,
        progress: &Progress,
        stop: &AtomicBool,
    ) -> Outcome {
        let mut warnings = Vec::new();
        let mut share = progress.share(place);
        let result = self.transcribe(place, entry, engine, &mut share, &mut warnings, stop);
        if result.is_err() {
            share.finish();
        }
        let result = result
            .map_err(|error| anyhow::anyhow!("{}", with_name(&entry.shown, &format!("{error:#}"))));
        let warnings = warnings.iter().map(|w| with_name(&entry.shown, w)).collect();
        let whole = matches!(&result, Ok(Some((_, true))));
        let result = result.map(|done| done.map(|(transcript, _)| transcript));
        Outcome { entry: place, warnings, result, whole }
    }

    /// Where the segments of an entry are kept while it is under way, and those of an earlier run.
    fn journal(&self, place: usize, entry: &Entry) -> (Option<Journal>, Vec<Final>) {
        let lasting = match &entry.audio {
            Audio::File(path) => path != Path::new("-"),
            Audio::Excerpt { .. } | Audio::Broken(_) => false,
        };
        let Some(result) = self.results.get(place).filter(|_| lasting) else {
            return (None, Vec::new());
        };
        let (journal, heard) = Journal::open(result, entry, &self.settings, self.resume);
        (Some(journal), heard)
    }

    /// What was said in an entry, and whether that is all; none if the work was broken off.
    fn transcribe(
        &self,
        place: usize,
        entry: &Entry,
        engine: &mut Engine,
        share: &mut Share<'_>,
        warnings: &mut Vec<String>,
        stop: &AtomicBool,
    ) -> anyhow::Result<Option<(Transcript, bool)>> {
        let source = entry.open()?;
        share.open(source.duration_s());
        let (mut journal, mut segments) = self.journal(place, entry);
        let begin_s = segments.last().map_or(0.0, |segment: &Final| segment.time);
        if begin_s > 0.0 {
            share.say(&with_name(&entry.shown, &format!("goes on at {}", clock(begin_s))));
            share.heard(begin_s);
        }
        let earlier = segments.len() as u64;
        let mut source = Rest::new(source, begin_s);
        let mut listener = self.recognizer.listener(&self.stream)?;
        let mut failed = None;
        let mut take = |listener: &mut Listener, mut journal: Option<&mut Journal>| {
            for event in listener.take_events() {
                match event {
                    Event::Final(mut segment) => {
                        if begin_s > 0.0 {
                            later(&mut segment, begin_s);
                        }
                        segment.segment += earlier;
                        if let Some(journal) = &mut journal {
                            journal.add(&segment);
                        }
                        segments.push(segment);
                    }
                    Event::Error(error) => failed = Some(error),
                    _ => {}
                }
            }
        };
        let mut broken_off = false;
        let heard_s = engine.hear(&mut listener, &mut source, |listener, seconds| {
            take(listener, journal.as_mut());
            share.heard(seconds);
            broken_off = self.interrupted.load(Ordering::Relaxed);
            if broken_off || stop.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        let duration_s = begin_s + heard_s;
        if broken_off && self.gives_parts {
            listener.finish();
            engine.advance(&mut [&mut listener])?;
            take(&mut listener, None);
            let kept = journal.is_some_and(|journal| journal.is_kept());
            let way_on = if kept { "; --resume goes on from there" } else { "" };
            let end = clock(duration_s);
            warnings.push(format!("stopped at {end}: the result ends there{way_on}"));
        }
        if let Some(error) = failed {
            return Err(anyhow::anyhow!(error));
        }
        if stop.load(Ordering::Relaxed) || broken_off && !self.gives_parts {
            return Ok(None);
        }
        if !broken_off {
            share.finish();
        }
        warnings.extend_from_slice(source.warnings());
        if !self.keeps_empty || segments.len() > 1 {
            segments.retain(|segment| !segment.text.is_empty());
        }
        let transcript = Transcript {
            name: entry.name.clone(),
            file: entry.shown.clone(),
            model: self.recognizer.config().name.clone(),
            latency: self.latency.clone(),
            duration_s,
            segments,
        };
        Ok(Some((transcript, !broken_off)))
    }
}
