//! Many files at once, one on each core.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_channel::unbounded;
use vivavoce::audio::AudioSource;
use vivavoce::transcript::Event;
use vivavoce::{Engine, Listener, Recognizer, StreamOptions};

use super::progress::{Progress, Share, clock};
use super::with_name;
use crate::cli::input::Entry;
use crate::cli::output::{Destination, Transcript};

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
}

/// What came of an entry.
struct Outcome {
    entry: usize,
    warnings: Vec<String>,
    /// None if the work was broken off.
    result: anyhow::Result<Option<Transcript>>,
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
        for _ in 0..jobs {
            let (sender, progress, next, stop) = (sender.clone(), &progress, &next, &stop);
            scope.spawn(move || {
                let mut engine = Engine::new(work.recognizer);
                while !work.interrupted.load(Ordering::Relaxed) {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(entry) = work.entries.get(place) else { return };
                    let outcome = work.outcome(place, entry, &mut engine, progress, stop);
                    if stop.load(Ordering::Relaxed) || sender.send(outcome).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let written = write_all(outcomes.iter(), &mut destination, &progress);
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
    outcomes: impl Iterator<Item = Outcome>,
    destination: &mut Destination,
    progress: &Progress,
) -> anyhow::Result<bool> {
    let (mut good, mut due, mut early) = (true, 0, BTreeMap::new());
    for outcome in outcomes {
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
            if let Some(transcript) = transcript
                && let Err(error) = destination.write(outcome.entry, &transcript)
            {
                progress.say(&format!("error: {error:#}"));
                good = false;
            }
            continue;
        }
        early.insert(outcome.entry, transcript);
        while let Some(transcript) = early.remove(&due) {
            if let Some(transcript) = transcript {
                progress.suspend(|| destination.write(due, &transcript))?;
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
        let result = self.transcribe(entry, engine, &mut share, &mut warnings, stop);
        if result.is_err() {
            share.finish();
        }
        let result = result
            .map_err(|error| anyhow::anyhow!("{}", with_name(&entry.shown, &format!("{error:#}"))));
        let warnings = warnings.iter().map(|w| with_name(&entry.shown, w)).collect();
        Outcome { entry: place, warnings, result }
    }

    fn transcribe(
        &self,
        entry: &Entry,
        engine: &mut Engine,
        share: &mut Share<'_>,
        warnings: &mut Vec<String>,
        stop: &AtomicBool,
    ) -> anyhow::Result<Option<Transcript>> {
        let mut source = entry.open()?;
        share.open(source.duration_s());
        let mut listener = self.recognizer.listener(&self.stream)?;
        let (mut segments, mut failed) = (Vec::new(), None);
        let mut take = |listener: &mut Listener| {
            for event in listener.take_events() {
                match event {
                    Event::Final(segment) => segments.push(segment),
                    Event::Error(error) => failed = Some(error),
                    _ => {}
                }
            }
        };
        let mut broken_off = false;
        let duration_s = engine.hear(&mut listener, &mut source, |listener, seconds| {
            take(listener);
            share.heard(seconds);
            broken_off = self.interrupted.load(Ordering::Relaxed);
            if broken_off || stop.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        if broken_off && self.gives_parts {
            listener.finish();
            engine.advance(&mut [&mut listener])?;
            take(&mut listener);
            warnings.push(format!("stopped at {}: the result ends there", clock(duration_s)));
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
        Ok(Some(Transcript {
            name: entry.name.clone(),
            file: entry.shown.clone(),
            model: self.recognizer.config().name.clone(),
            latency: self.latency.clone(),
            duration_s,
            segments,
        }))
    }
}
