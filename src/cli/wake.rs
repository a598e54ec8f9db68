//! `vivavoce listen --wake`: nothing is written before a phrase is said. A stream whose grammar is that phrase hears first; the words
//! after it, in the same breath or after a pause, go to a stream with what was asked for, until they have ended.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use vivavoce::audio::{BoxedSource as Source, Incident};
use vivavoce::transcript::{Event, Final};
use vivavoce::{EndpointOptions, Engine, Listener, Recognizer, StreamOptions};

use super::args::WakeArguments;

/// Confidence that its least sure word must have.
const SURE: f32 = 0.2;
/// The first word after the phrase may begin before the phrase seems to end.
const OVERLAP_S: f64 = 0.06;
/// Sound that is kept to be heard anew: the phrase is known a little after its end.
const KEEP_S: f64 = 4.0;
const PIECES_A_SECOND: u32 = 25;
/// How often the signal to end is looked at.
const TICK: Duration = Duration::from_millis(100);
/// Chunks that wait.
const QUEUE: usize = 256;

/// What the reader tells.
enum Told {
    Chunk(Vec<f32>, Instant),
    Incident(Incident),
    Warning(String),
    Failed(vivavoce::Error),
}

/// What happens while a stream waits for its phrase, or was woken by it.
pub enum Heard {
    /// The phrase was said, and ended at this time.
    Woken(String, f64),
    Event(Event),
}

pub struct Wake {
    engine: Engine,
    rate_hz: u32,
    /// Waits for the phrase.
    guard: Listener,
    phrases: Vec<String>,
    /// Hears what follows.
    woken: Listener,
    patience_s: f64,
    /// When it falls asleep again if nothing is said; none while it waits for the phrase.
    until_s: Option<f64>,
    /// Whether the segment that is heard after the phrase has words.
    spoken: bool,
    /// Where the stream began that hears now.
    begin_s: f64,
    segment: u64,
    /// The latest samples, and how many came before them.
    recent: VecDeque<f32>,
    before: u64,
}

impl Wake {
    /// # Errors
    /// If the phrase cannot be one, or the options do not fit the model.
    pub fn new(
        recognizer: &Recognizer,
        arguments: &WakeArguments,
        endpoints: &EndpointOptions,
        stream: &StreamOptions,
        rate_hz: u32,
    ) -> vivavoce::Result<Self> {
        let grammar = recognizer.grammar("--wake", &arguments.wake.join("\n"))?;
        let guard = StreamOptions::default().grammar(grammar).endpoints(endpoints.clone());
        let words = |phrase: &String| phrase.replace('-', " ").to_ascii_lowercase();
        let phrases = arguments
            .wake
            .iter()
            .map(|phrase| words(phrase).split_whitespace().collect::<Vec<_>>().join(" "));
        let mut guard = recognizer.listener(&guard)?;
        guard.accept_waveform(rate_hz, &[])?; // refuses a rate out of range
        Ok(Self {
            engine: Engine::new(recognizer),
            rate_hz,
            guard,
            phrases: phrases.collect(),
            woken: recognizer.listener(stream)?,
            patience_s: f64::from(arguments.wake_seconds),
            until_s: None,
            spoken: false,
            begin_s: 0.0,
            segment: 0,
            recent: VecDeque::new(),
            before: 0,
        })
    }

    fn seconds(&self, samples: u64) -> f64 {
        samples as f64 / f64::from(self.rate_hz)
    }

    fn now_s(&self) -> f64 {
        self.seconds(self.before + self.recent.len() as u64)
    }

    /// Whether a voice is heard.
    pub fn hears_voice(&self) -> bool {
        if self.until_s.is_some() { self.woken.hears_voice() } else { self.guard.hears_voice() }
    }

    /// Hears samples.
    ///
    /// # Errors
    /// As [`Listener::accept_waveform`].
    pub fn accept(&mut self, samples: &[f32], out: &mut Vec<Heard>) -> vivavoce::Result<()> {
        // A phrase is seen where it stands, however long the chunk is that has it.
        let piece = (self.rate_hz / PIECES_A_SECOND) as usize;
        samples.chunks(piece).try_for_each(|piece| self.accept_piece(piece, out))
    }

    fn accept_piece(&mut self, samples: &[f32], out: &mut Vec<Heard>) -> vivavoce::Result<()> {
        self.recent.extend(samples);
        let most = (KEEP_S * f64::from(self.rate_hz)) as usize;
        let old = self.recent.len().saturating_sub(most.max(samples.len()));
        self.recent.drain(..old);
        self.before += old as u64;
        if self.until_s.is_some() {
            self.woken.accept_waveform(self.rate_hz, samples)?;
            return self.listen(out);
        }
        self.guard.accept_waveform(self.rate_hz, samples)?;
        self.engine.advance(&mut [&mut self.guard])?;
        self.watch(out)
    }

    /// Looks for the phrase in what the guard says. What goes on behind it in one breath would become `[unk]` with it, so it counts as
    /// soon as it stands there.
    fn watch(&mut self, out: &mut Vec<Heard>) -> vivavoce::Result<()> {
        while let Some(event) = self.guard.next_event() {
            let said = match event {
                Event::Partial(partial) if self.phrases.contains(&partial.partial) => {
                    self.guard.session().result(0)
                }
                Event::Final(segment) => segment,
                Event::Error(_) => {
                    out.push(Heard::Event(event));
                    continue;
                }
                _ => continue,
            };
            if self.is_phrase(&said) {
                return self.wake(&said, out);
            }
        }
        Ok(())
    }

    fn is_phrase(&self, said: &Final) -> bool {
        let sure = said.result.iter().map(|word| word.conf).fold(1.0, f32::min);
        self.phrases.contains(&said.text) && sure >= SURE
    }

    /// What came after the phrase is heard anew, and all that comes.
    fn wake(&mut self, said: &Final, out: &mut Vec<Heard>) -> vivavoce::Result<()> {
        let end_s = self.begin_s + said.result.last().map_or(said.time, |word| word.end);
        out.push(Heard::Woken(said.text.clone(), end_s));
        let end = ((end_s - OVERLAP_S).max(0.0) * f64::from(self.rate_hz)) as u64;
        let first = end.saturating_sub(self.before).min(self.recent.len() as u64);
        self.begin_s = self.seconds(self.before + first);
        self.until_s = Some(self.now_s() + self.patience_s);
        self.woken.reset();
        self.spoken = false;
        let rest: Vec<f32> = self.recent.range(first as usize..).copied().collect();
        self.woken.accept_waveform(self.rate_hz, &rest)?;
        self.listen(out)
    }

    /// What the woken stream says; it sleeps again when a segment has ended, or when nothing was said for too long.
    fn listen(&mut self, out: &mut Vec<Heard>) -> vivavoce::Result<()> {
        self.engine.advance(&mut [&mut self.woken])?;
        let mut ended = false;
        let events: Vec<Event> = self.woken.take_events().collect();
        for event in events {
            match &event {
                Event::Partial(partial) => self.spoken = !partial.partial.is_empty(),
                Event::Endpoint { .. } => self.spoken = false,
                Event::Final(_) => ended = true,
                _ => {}
            }
            out.push(Heard::Event(self.placed(event)));
        }
        let late = self.until_s.is_some_and(|until_s| self.now_s() > until_s);
        if ended || late && !self.spoken && !self.woken.hears_voice() {
            self.until_s = None;
            self.begin_s = self.now_s();
            self.guard.reset();
        }
        Ok(())
    }

    /// The event in the times of the whole stream.
    fn placed(&mut self, mut event: Event) -> Event {
        let begin_s = self.begin_s;
        let shift = |time: &mut f64| *time = ((*time + begin_s) * 1000.0).round() / 1000.0;
        match &mut event {
            Event::Partial(partial) => shift(&mut partial.time),
            Event::Endpoint { time } => shift(time),
            Event::Final(segment) => {
                super::later(segment, begin_s);
                segment.segment = self.segment;
                self.segment += 1;
            }
            _ => {}
        }
        event
    }

    /// What was said before the sound broke off is told.
    fn cut(&mut self, out: &mut Vec<Heard>) -> vivavoce::Result<()> {
        if self.until_s.is_some() {
            self.woken.cut();
            return self.listen(out);
        }
        self.guard.cut();
        self.engine.advance(&mut [&mut self.guard])?;
        self.watch(out)
    }

    /// The stream is over.
    ///
    /// # Errors
    /// None is to be expected.
    pub fn finish(&mut self, out: &mut Vec<Heard>) -> vivavoce::Result<()> {
        if self.until_s.is_some() {
            self.woken.finish();
            return self.listen(out);
        }
        self.guard.finish();
        self.engine.advance(&mut [&mut self.guard])?;
        self.watch(out)
    }

    /// Hears a source to its end, or until `stopped`; what happens is told to `tell`. Whether all went well.
    ///
    /// # Errors
    /// What `tell` gives.
    pub fn run(
        mut self,
        source: Source,
        stopped: &Arc<AtomicBool>,
        mut tell: impl FnMut(Heard) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let (sender, told) = bounded(QUEUE);
        let stop = Arc::clone(stopped);
        let reader = std::thread::Builder::new().spawn(move || read(source, &sender, &stop));
        let reader = reader.context("no thread can be started")?;
        let (mut out, mut good) = (Vec::new(), true);
        while let Some(told) = next(&told, stopped) {
            let heard = match told {
                Told::Chunk(samples, captured) => {
                    let result = self.accept(&samples, &mut out);
                    out.push(Heard::Event(Event::Status {
                        time: self.now_s(),
                        lag_ms: captured.elapsed().as_secs_f32() * 1000.0,
                        peak: samples.iter().fold(0.0, |peak, sample| sample.abs().max(peak)),
                        voice: self.hears_voice(),
                    }));
                    result
                }
                Told::Incident(Incident::Lost { seconds }) => {
                    out.push(Heard::Event(Event::Overrun { lost_s: seconds }));
                    Ok(())
                }
                Told::Incident(Incident::Interrupted { reason: message }) => {
                    let cut = self.cut(&mut out);
                    out.push(Heard::Event(Event::Warning { message }));
                    cut
                }
                Told::Incident(Incident::Note { message }) | Told::Warning(message) => {
                    out.push(Heard::Event(Event::Warning { message }));
                    Ok(())
                }
                Told::Failed(error) => Err(error),
            };
            if let Err(error) = heard {
                out.push(Heard::Event(Event::Error(Arc::new(error))));
                good = false;
            }
            out.drain(..).try_for_each(&mut tell)?;
            if !good {
                break;
            }
        }
        if let Err(error) = self.finish(&mut out) {
            out.push(Heard::Event(Event::Error(Arc::new(error))));
            good = false;
        }
        out.drain(..).try_for_each(tell)?;
        drop(told);
        // A reader that waits for its source is left.
        if reader.is_finished() {
            let _ = reader.join();
        }
        Ok(good)
    }
}

/// The next that is told; none at the end, or when it is time to stop.
fn next(told: &Receiver<Told>, stopped: &AtomicBool) -> Option<Told> {
    loop {
        match told.recv_timeout(TICK) {
            Ok(one) => return Some(one),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) if stopped.load(Ordering::Relaxed) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn read(mut source: Source, told: &Sender<Told>, stopped: &AtomicBool) {
    let mut chunk = Vec::new();
    while !stopped.load(Ordering::Relaxed) {
        let more = source.next_chunk(&mut chunk);
        let incidents = source.take_incidents().into_iter().map(Told::Incident);
        let captured = source.captured_at().unwrap_or_else(Instant::now);
        let last = match more {
            Ok(true) => Told::Chunk(std::mem::take(&mut chunk), captured),
            Ok(false) => break,
            Err(error) => {
                let _ = told.send(Told::Failed(error));
                return;
            }
        };
        if incidents.chain([last]).try_for_each(|one| told.send(one)).is_err() {
            return;
        }
    }
    for warning in source.warnings() {
        let _ = told.send(Told::Warning(warning.clone()));
    }
}
