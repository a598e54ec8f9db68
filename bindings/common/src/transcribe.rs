//! A source to its end.

use std::ops::ControlFlow;
use std::sync::Arc;

use vivavoce::audio::AudioSource;
use vivavoce::transcript::{Event, Transcript};
use vivavoce::{Error, Result};

use crate::options::Options;
use crate::shared::Shared;

impl Shared {
    /// Transcribes a source to its end, in this thread. Segments without words are left out unless there is nothing else.
    /// `go_on` is asked after each chunk; `None` if it broke off.
    ///
    /// # Errors
    /// What the source gives and what the options do not fit.
    pub fn transcribe(
        &self,
        source: &mut dyn AudioSource,
        options: &Options,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Option<Transcript>> {
        let options = self.stream_options(options, false)?.partials(false);
        let mut listener = self.recognizer().listener(&options)?;
        let mut transcript = Transcript::default();
        let (mut failed, mut stopped) = (None, false);
        let heard = self.with_engine(|engine| {
            engine.hear(&mut listener, source, |listener, _| {
                for event in listener.take_events() {
                    match event {
                        Event::Final(segment) => transcript.segments.push(segment),
                        Event::Error(error) => failed = Some(error),
                        _ => {}
                    }
                }
                stopped = !go_on();
                if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
        });
        transcript.duration_s = heard?;
        if let Some(error) = failed {
            let told = |error: Arc<Error>| Error::Usage { reason: error.to_string() };
            return Err(Arc::try_unwrap(error).unwrap_or_else(told));
        }
        if stopped {
            return Ok(None);
        }
        transcript.segments.retain(|segment| !segment.text.is_empty());
        transcript.warnings = source.warnings().to_vec();
        Ok(Some(transcript))
    }
}
