//! Many files at once, one on each core.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_channel::unbounded;
use vivavoce::audio::Resampler;
use vivavoce::endpoint::EndpointOptions;
use vivavoce::transcript::Event;
use vivavoce::{Listener, Recognizer, SessionOptions};

use super::progress::{Progress, Share};
use super::with_name;
use crate::cli::input::Entry;
use crate::cli::output::{Destination, Transcript};

/// What is to be done, and how.
pub struct Work<'a> {
    pub recognizer: &'a Recognizer,
    pub session: SessionOptions,
    pub endpoints: Option<EndpointOptions>,
    pub alternatives: usize,
    pub latency: String,
    pub entries: &'a [Entry],
}

/// What came of an entry.
struct Outcome {
    entry: usize,
    warnings: Vec<String>,
    /// None if the work was broken off.
    result: anyhow::Result<Option<Transcript>>,
}

/// Transcribes all entries, `jobs` at once; `false` if one failed.
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
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(entry) = work.entries.get(place) else { return };
                    let outcome = work.outcome(place, entry, progress, stop);
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
    Ok(good)
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
        progress: &Progress,
        stop: &AtomicBool,
    ) -> Outcome {
        let mut warnings = Vec::new();
        let mut share = progress.share(place);
        let result = self.transcribe(entry, &mut share, &mut warnings, stop);
        share.finish();
        let result = result
            .map_err(|error| anyhow::anyhow!("{}", with_name(&entry.shown, &format!("{error:#}"))));
        let warnings = warnings.iter().map(|w| with_name(&entry.shown, w)).collect();
        Outcome { entry: place, warnings, result }
    }

    fn transcribe(
        &self,
        entry: &Entry,
        share: &mut Share<'_>,
        warnings: &mut Vec<String>,
        stop: &AtomicBool,
    ) -> anyhow::Result<Option<Transcript>> {
        let mut source = entry.open()?;
        let rate_hz = source.sample_rate_hz();
        share.open(source.duration_s());
        let endpoints = self.endpoints.as_ref();
        let mut listener =
            Listener::new(self.recognizer, &self.session, endpoints, self.alternatives)?;
        let mut resampler = Resampler::new(rate_hz, listener.sample_rate_hz())?;
        let (mut chunk, mut heard, mut events) = (Vec::new(), Vec::new(), Vec::new());
        let (mut samples, mut segments) = (0_u64, Vec::new());
        while source.next_chunk(&mut chunk)? {
            heard.clear();
            resampler.process_into(&chunk, &mut heard)?;
            listener.accept_waveform(&heard, &mut events)?;
            keep(&mut events, &mut segments);
            samples += chunk.len() as u64;
            share.heard(chunk.len() as f64 / f64::from(rate_hz));
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
        heard.clear();
        resampler.finish_into(&mut heard)?;
        listener.accept_waveform(&heard, &mut events)?;
        listener.finish(&mut events)?;
        keep(&mut events, &mut segments);
        warnings.extend_from_slice(source.warnings());
        if self.endpoints.is_some() || segments.len() > 1 {
            segments.retain(|segment| !segment.text.is_empty());
        }
        Ok(Some(Transcript {
            name: entry.name.clone(),
            file: entry.shown.clone(),
            model: self.recognizer.config().name.clone(),
            latency: self.latency.clone(),
            duration_s: samples as f64 / f64::from(rate_hz),
            segments,
        }))
    }
}

/// Moves results out of events.
fn keep(events: &mut Vec<Event>, segments: &mut Vec<vivavoce::transcript::Final>) {
    segments.extend(events.drain(..).filter_map(|event| match event {
        Event::Final(result) => Some(result),
        _ => None,
    }));
}
