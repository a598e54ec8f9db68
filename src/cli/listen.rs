//! `vivavoce listen`.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use vivavoce::audio::{BoxedSource as Source, MARK_BYTES, RawFormat, RawSource, is_container};
use vivavoce::endpoint::{AfterEndpoint, EndpointOptions};
use vivavoce::pipeline::{Capture, Pace, PipelineOptions};
use vivavoce::transcript::Event;

use super::args::{EndpointArguments, FormatArgument, ListenArguments};
use super::input::{STDIN, must_hold_audio};
use super::recorder::Recorder;
use super::say::{draw, say};
use super::screen::Screen;
use super::wake::{Heard, Wake};

/// How long the last status stays before the words are gone from the queue.
const SETTLE: Duration = Duration::from_millis(20);

impl EndpointArguments {
    pub(super) fn options(&self) -> Option<EndpointOptions> {
        let length = |seconds: f32| if seconds == 0.0 { f32::INFINITY } else { seconds };
        let after = if self.reset_encoder { AfterEndpoint::Reset } else { AfterEndpoint::Keep };
        (!self.no_endpoints).then(|| {
            EndpointOptions::default()
                .silence_s(length(self.endpoint_silence))
                .after_speech_s(length(self.endpoint_after_speech))
                .utterance_s(length(self.endpoint_utterance))
                .after(after)
                .sleep(!self.no_sleep)
                .voice_threshold(self.voice_threshold)
        })
    }
}

pub fn run(arguments: &ListenArguments) -> anyhow::Result<bool> {
    let endpoints = arguments.endpoints.options();
    if let Some(endpoints) = &endpoints {
        endpoints.validate().map_err(super::UsageError)?;
    }
    if let Some(path) = &arguments.save {
        let mut guard = super::guard(&arguments.model, Some(&arguments.search));
        guard.protect(arguments.input.as_deref());
        guard.check(std::slice::from_ref(path), arguments.overwrite)?;
    }
    let asleep = !arguments.wake.wake.is_empty();
    let mut source = open(arguments)?;
    let mut save_failed = None;
    if let Some(path) = &arguments.save {
        let recorder = Recorder::create(path, source)?;
        save_failed = Some(recorder.failed());
        source = Box::new(recorder);
    }
    let terminal = std::io::stdout().is_terminal() && !arguments.json;
    let status = !arguments.no_status && std::io::stderr().is_terminal();
    // Capitals, stops and digits may still change what stands.
    let settled = !arguments.search.punctuate && !arguments.search.digits;
    let mut output = if terminal {
        Output::Screen(Screen::new(status, arguments.timestamps, settled))
    } else {
        Output::Lines { status, drawn: false }
    };
    let saved = || !save_failed.as_ref().is_some_and(|failed| failed.load(Ordering::Relaxed));
    if let (true, Some(endpoints)) = (asleep, &endpoints) {
        let good = woken(arguments, endpoints, source, &mut output)?;
        return Ok(good && saved());
    }
    // The queue fills while the model is being loaded.
    let capture = Capture::start(source, Pace::Unpaced);
    let stopper = capture.stopper();
    super::on_signal(move || stopper.stop())?;
    let recognizer = super::recognizer(&arguments.model)?;
    let stream = super::stream_options(&recognizer, &arguments.search)?.endpoints(endpoints);
    let options = PipelineOptions::default().stream(stream).status(status);
    let pipeline = capture.transcribe(&recognizer, &options)?;
    let mut good = true;
    for event in pipeline.events() {
        good &= !matches!(event, Event::Error(_));
        output.tell(&event)?;
    }
    output.close()?;
    // What is being saved is whole once the source has been dropped; a reader that waits for its source is left.
    for _ in 0..10 {
        if pipeline.is_read() {
            break;
        }
        std::thread::sleep(SETTLE);
    }
    Ok(good && saved())
}

/// Listens for a phrase, and writes what follows it.
fn woken(
    arguments: &ListenArguments,
    endpoints: &EndpointOptions,
    source: Source,
    output: &mut Output,
) -> anyhow::Result<bool> {
    let stopped = Arc::new(AtomicBool::new(false));
    let (stop, flag) = (Arc::clone(&stopped), source.stop_flag());
    super::on_signal(move || {
        stop.store(true, Ordering::Relaxed);
        if let Some(flag) = &flag {
            flag.store(true, Ordering::Relaxed);
        }
    })?;
    let recognizer = super::recognizer(&arguments.model)?;
    let stream = super::stream_options(&recognizer, &arguments.search)?;
    let stream = stream.endpoints(endpoints.clone());
    let rate_hz = source.sample_rate_hz();
    let wake = Wake::new(&recognizer, &arguments.wake, endpoints, &stream, rate_hz)
        .map_err(super::UsageError)?;
    let good = wake.run(source, &stopped, |heard| match heard {
        Heard::Woken(phrase, time_s) => output.woken(&phrase, time_s),
        Heard::Event(event) => output.tell(&event),
    })?;
    output.close()?;
    Ok(good)
}

fn open(arguments: &ListenArguments) -> anyhow::Result<Source> {
    match &arguments.input {
        None => microphone(arguments.device.as_deref()),
        Some(path) if path == Path::new("-") => {
            if std::io::stdin().is_terminal() {
                anyhow::bail!(
                    "stdin is a terminal; pipe audio in: arecord -f S16_LE -r 16000 | vivavoce listen -"
                );
            }
            stdin(arguments)
        }
        Some(path) => super::input::open(path),
    }
}

#[cfg(feature = "mic")]
fn microphone(device: Option<&str>) -> anyhow::Result<Source> {
    Ok(Box::new(vivavoce::audio::microphone::MicrophoneSource::open(device)?))
}

#[cfg(not(feature = "mic"))]
fn microphone(_: Option<&str>) -> anyhow::Result<Source> {
    anyhow::bail!("{}", super::NO_MICROPHONE)
}

/// A file of any kind if it begins like one and nothing else was said, else bare samples.
fn stdin(arguments: &ListenArguments) -> anyhow::Result<Source> {
    let mut stdin = std::io::stdin();
    let mut start = [0; MARK_BYTES];
    let mut filled = 0;
    if arguments.format.is_none() {
        while filled < start.len() {
            match stdin.read(&mut start[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e).context("cannot read stdin"),
            }
        }
    }
    let reader = std::io::Cursor::new(start[..filled].to_vec()).chain(stdin);
    if is_container(&start[..filled]) {
        return Ok(must_hold_audio(STDIN, vivavoce::audio::from_stream(STDIN, reader)?));
    }
    let format = match arguments.format {
        None | Some(FormatArgument::S16le) => RawFormat::S16Le,
        Some(FormatArgument::F32le) => RawFormat::F32Le,
    };
    let source = RawSource::new(STDIN, reader, format, arguments.rate, arguments.channels)
        .map_err(super::UsageError)?;
    Ok(must_hold_audio(STDIN, Box::new(source)))
}

enum Output {
    Screen(Screen),
    /// JSON, an object a line; the status on stderr.
    Lines {
        status: bool,
        drawn: bool,
    },
}

impl Output {
    fn tell(&mut self, event: &Event) -> anyhow::Result<()> {
        match event {
            Event::Error(error) => self.message(&format!("error: {error}")),
            Event::Warning { message } => self.message(&format!("warning: {message}")),
            Event::Overrun { lost_s } => self.message(&format!(
                "warning: fell behind: {:.0} ms of audio lost; try --latency low or a smaller --beam",
                lost_s * 1000.0
            )),
            _ => self.show(event),
        }
    }

    /// The phrase was said.
    fn woken(&mut self, phrase: &str, time_s: f64) -> anyhow::Result<()> {
        match self {
            Self::Screen(screen) => Ok(screen.message(&format!("({phrase})"))?),
            Self::Lines { .. } => {
                let time = (time_s * 1000.0).round() / 1000.0;
                line(&serde_json::json!({"wake": phrase, "time": time}))
            }
        }
    }

    fn show(&mut self, event: &Event) -> anyhow::Result<()> {
        match (self, event) {
            (Self::Screen(screen), _) => screen.show(event)?,
            (Self::Lines { .. }, Event::Partial(partial)) => line(partial)?,
            (Self::Lines { .. }, Event::Final(result)) => line(result)?,
            (Self::Lines { status: true, drawn }, Event::Status { lag_ms, voice, .. }) => {
                let voice = if *voice { "speech" } else { "silence" };
                draw(&format!("\r\x1b[K{voice:7} lag {lag_ms:4.0} ms"));
                *drawn = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn message(&mut self, text: &str) -> anyhow::Result<()> {
        match self {
            Self::Screen(screen) => screen.message(text)?,
            Self::Lines { drawn, .. } => {
                let clear = if *drawn { "\r\x1b[K" } else { "" };
                say(format_args!("{clear}{text}"));
            }
        }
        Ok(())
    }

    fn close(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Screen(screen) => screen.close()?,
            Self::Lines { drawn: true, .. } => draw("\r\x1b[K"),
            Self::Lines { .. } => {}
        }
        Ok(())
    }
}

fn line(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(out.flush()?)
}
