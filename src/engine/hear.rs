//! From a source to a stream: the one loop that reads and feeds.

use std::ops::ControlFlow;

use super::{Engine, Stream};
use crate::audio::AudioSource;
use crate::error::{Error, Result};
use crate::recognizer::{Recognizer, StreamOptions};
use crate::transcript::{Event, Final, Transcript};

impl Engine {
    /// Has one stream hear a source of any rate to its end. `heard` is called after each chunk, with the stream and the seconds of
    /// audio in the chunk, and may break off. Gives the seconds of audio in all.
    ///
    /// # Errors
    /// What the source and [`Engine::advance`] give, and [`Error::Samples`] if the rate is out of range.
    pub fn hear<S: Stream>(
        &mut self,
        stream: &mut S,
        source: &mut dyn AudioSource,
        mut heard: impl FnMut(&mut S, f64) -> ControlFlow<()>,
    ) -> Result<f64> {
        let rate_hz = source.sample_rate_hz();
        let (mut chunk, mut samples) = (Vec::new(), 0_u64);
        loop {
            let more = source.next_chunk(&mut chunk)?;
            if more {
                stream.accept(rate_hz, &chunk)?;
            } else {
                stream.end();
            }
            self.advance(&mut [&mut *stream])?;
            samples += chunk.len() as u64;
            let seconds = |samples: u64| samples as f64 / f64::from(rate_hz);
            if heard(stream, seconds(chunk.len() as u64)).is_break() || !more {
                return Ok(seconds(samples));
            }
        }
    }
}

impl Recognizer {
    /// Transcribes a source to its end, in this thread.
    ///
    /// ```no_run
    /// # fn main() -> vivavoce::Result<()> {
    /// use vivavoce::{Recognizer, StreamOptions, audio};
    ///
    /// let recognizer = Recognizer::load("models/en-small")?;
    /// let transcript = recognizer.transcribe(audio::open("speech.wav")?, &StreamOptions::default())?;
    /// println!("{}", transcript.text());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the source gives; [`Error::Config`] if the options do not fit the model; [`Error::Samples`] if the rate is out of range.
    pub fn transcribe(
        &self,
        mut source: impl AudioSource,
        options: &StreamOptions,
    ) -> Result<Transcript> {
        let mut engine = Engine::new(self);
        let mut listener = self.listener(&options.clone().partials(false))?;
        let mut segments: Vec<Final> = Vec::new();
        let mut failed: Option<Error> = None;
        let duration_s = engine.hear(&mut listener, &mut source, |listener, _| {
            for event in listener.take_events() {
                match event {
                    Event::Final(segment) => segments.push(segment),
                    Event::Error(error) => failed = std::sync::Arc::into_inner(error),
                    _ => {}
                }
            }
            ControlFlow::Continue(())
        })?;
        let warnings = source.warnings().to_vec();
        failed.map_or(Ok(Transcript { segments, duration_s, warnings }), Err)
    }
}
