//! How far the work is, on stderr.

use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};

use crate::cli::input::Entry;
use crate::cli::say;

/// A single file below this is done before a bar can be read.
const LONG_BYTES: u64 = 500_000;

/// Narrower terminals, which may change while they are drawn on, show less.
const COLUMNS_WITH_FILES: u16 = 36;
const COLUMNS_WITH_AUDIO: u16 = 60;

fn columns() -> u16 {
    console::Term::stderr().size().1
}

/// A bar that grows with the bytes of the files, since their lengths are known before they are opened.
pub struct Progress {
    bar: ProgressBar,
    bytes: Vec<u64>,
    heard_ms: Arc<AtomicU64>,
    done: Arc<AtomicUsize>,
    start: Instant,
}

impl Progress {
    pub fn new(entries: &[Entry]) -> Self {
        let size = |entry: &Entry| {
            let data = entry.path().and_then(|path| std::fs::metadata(path).ok());
            data.map_or(0, |data| data.len())
        };
        let terminal = std::io::stderr().is_terminal();
        let bytes: Vec<_> =
            entries.iter().map(|entry| if terminal { size(entry) } else { 0 }).collect();
        let shown = terminal && (entries.len() > 1 || bytes[0] >= LONG_BYTES);
        let (heard_ms, done) = (Arc::<AtomicU64>::default(), Arc::<AtomicUsize>::default());
        let bar = if shown { ProgressBar::new(bytes.iter().sum()) } else { ProgressBar::hidden() };
        // Within 80 columns; the bar takes what is left.
        if let Ok(style) =
            ProgressStyle::with_template("{wide_bar} {files}{audio}{speed}  {left} left")
        {
            let (all, done) = (entries.len(), done.clone());
            let (heard, heard_too) = (heard_ms.clone(), heard_ms.clone());
            let style = style
                .with_key("files", move |_: &ProgressState, out: &mut dyn Write| {
                    if all > 1 && columns() >= COLUMNS_WITH_FILES {
                        let _ = write!(out, "{}/{all} files  ", done.load(Ordering::Relaxed));
                    }
                })
                .with_key("audio", move |state: &ProgressState, out: &mut dyn Write| {
                    if columns() < COLUMNS_WITH_AUDIO {
                        return;
                    }
                    let audio_s = heard.load(Ordering::Relaxed) as f64 / 1000.0;
                    let all_s = audio_s / f64::from(state.fraction().max(1e-6));
                    let _ = write!(out, "{} of {}  ", clock(audio_s), clock(all_s));
                })
                .with_key("speed", move |state: &ProgressState, out: &mut dyn Write| {
                    let audio_s = heard_too.load(Ordering::Relaxed) as f64 / 1000.0;
                    let speed = audio_s / state.elapsed().as_secs_f64().max(1e-3);
                    let _ = write!(out, "{speed:.0}x");
                })
                .with_key("left", |state: &ProgressState, out: &mut dyn Write| {
                    let _ = write!(out, "{:#}", HumanDuration(state.eta()));
                });
            bar.set_style(style);
            // The bar's thread panics where none can be started; then it is drawn as results come.
            if shown && std::thread::Builder::new().spawn(|| ()).is_ok() {
                bar.enable_steady_tick(Duration::from_millis(200));
            }
        }
        Self { bar, bytes, heard_ms, done, start: Instant::now() }
    }

    /// The part of an entry.
    pub fn share(&self, entry: usize) -> Share<'_> {
        Share {
            progress: self,
            bytes: self.bytes[entry],
            passed: 0,
            duration_s: None,
            heard_s: 0.0,
        }
    }

    /// Entries that are done, well or not.
    pub fn num_done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// A line on stderr.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| say(line));
    }

    /// Does something while the bar is out of the way.
    pub fn suspend<T>(&self, what: impl FnOnce() -> T) -> T {
        self.bar.suspend(what)
    }

    /// The bar goes; on a terminal a summary stays.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
        let heard_s = self.heard_ms.load(Ordering::Relaxed) as f64 / 1000.0;
        let took_s = self.start.elapsed().as_secs_f64();
        if heard_s > 0.0 && std::io::stderr().is_terminal() {
            say(format_args!(
                "{heard_s:.1} s of audio in {took_s:.2} s: {:.3} x real time",
                took_s / heard_s
            ));
        }
    }
}

/// Hours, minutes and seconds.
pub fn clock(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// What one entry adds to the progress.
pub struct Share<'a> {
    progress: &'a Progress,
    bytes: u64,
    passed: u64,
    duration_s: Option<f64>,
    heard_s: f64,
}

impl Share<'_> {
    /// A line on stderr.
    pub fn say(&self, line: &str) {
        self.progress.say(line);
    }

    pub fn open(&mut self, duration_s: Option<f64>) {
        self.duration_s = duration_s;
    }

    pub fn heard(&mut self, seconds: f64) {
        self.heard_s += seconds;
        self.progress.heard_ms.fetch_add((seconds * 1000.0).round() as u64, Ordering::Relaxed);
        if let Some(duration_s) = self.duration_s.filter(|s| *s > 0.0) {
            let part = (self.heard_s / duration_s).min(1.0);
            self.pass_to((part * self.bytes as f64) as u64);
        }
    }

    fn pass_to(&mut self, bytes: u64) {
        self.progress.bar.inc(bytes.saturating_sub(self.passed));
        self.passed = self.passed.max(bytes);
    }

    /// The entry is done, well or not.
    pub fn finish(&mut self) {
        self.pass_to(self.bytes);
        self.progress.done.fetch_add(1, Ordering::Relaxed);
    }
}
