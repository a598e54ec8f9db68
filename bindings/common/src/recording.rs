//! A source that is heard piece by piece, where nobody may be kept waiting.

use vivavoce::Result;
use vivavoce::audio::{AudioSource, BoxedSource};
use vivavoce::transcript::Event;

use crate::listen::Stream;
use crate::options::Options;
use crate::shared::Shared;

/// Seconds of audio that a call hears.
const PIECE_S: f64 = 1.0;

/// A source with a stream of its own. Its events have the words that [`Shared::transcribe`] gives; partial ones only if the options
/// ask for them.
pub struct Recording {
    source: BoxedSource,
    stream: Stream,
    chunk: Vec<f32>,
    samples: u64,
    over: bool,
}

impl Recording {
    /// A recording of which nothing was heard.
    ///
    /// # Errors
    /// What the options or the rate do not fit.
    pub fn new(shared: &Shared, options: &Options, source: BoxedSource) -> Result<Self> {
        let partials = options.partials.unwrap_or(false);
        let options = shared.stream_options(options, false)?.partials(partials);
        let stream = Stream::with(shared, &options, source.sample_rate_hz())?;
        Ok(Self { source, stream, chunk: Vec::new(), samples: 0, over: false })
    }

    /// Hears about a second. `false` at the end.
    ///
    /// # Errors
    /// What the source gives.
    pub fn advance(&mut self, shared: &Shared) -> Result<bool> {
        let rate_hz = f64::from(self.stream.rate_hz());
        let enough = self.samples + (PIECE_S * rate_hz) as u64;
        while !self.over && self.samples < enough {
            if self.source.next_chunk(&mut self.chunk)? {
                self.samples += self.chunk.len() as u64;
                self.stream.accept(shared, &self.chunk, || true)?;
            } else {
                self.stream.finish(shared)?;
                self.over = true;
            }
        }
        Ok(!self.over)
    }

    /// The oldest event that was not yet taken.
    pub fn next_event(&mut self) -> Option<Event> {
        self.stream.next_event()
    }

    /// Seconds of audio heard.
    pub fn time_s(&self) -> f64 {
        self.samples as f64 / f64::from(self.stream.rate_hz())
    }

    /// Its length in seconds, as far as its header tells.
    pub fn duration_s(&self) -> Option<f64> {
        self.source.duration_s()
    }

    /// What is wrong with the source without being an error; complete at its end.
    pub fn warnings(&self) -> &[String] {
        self.source.warnings()
    }
}

#[cfg(all(test, feature = "embed-model"))]
mod tests {
    use vivavoce::{Recognizer, audio};

    use super::*;

    #[test]
    fn in_pieces_a_recording_has_the_words_that_it_has_as_a_whole() {
        let shared = Shared::new(Recognizer::builder().build().unwrap());
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../audio-samples");
        for (name, options) in [
            ("kitchen-int16-8000-mono.wav", "{}"),
            ("market-float32-48000-stereo.wav", r#"{"partials": true, "latency": "low"}"#),
        ] {
            let open = || audio::open(folder.join(name)).unwrap();
            let options = Options::parse(options).unwrap();
            let whole = shared.transcribe(&mut open(), &options, || true).unwrap().unwrap();
            let mut recording = Recording::new(&shared, &options, open()).unwrap();
            let (mut segments, mut partials, mut pieces) = (Vec::new(), 0, 0);
            loop {
                let more = recording.advance(&shared).unwrap();
                pieces += 1;
                while let Some(event) = recording.next_event() {
                    match event {
                        Event::Final(segment) if !segment.text.is_empty() => segments.push(segment),
                        Event::Partial(_) => partials += 1,
                        _ => {}
                    }
                }
                if !more {
                    break;
                }
            }
            assert_eq!(segments, whole.segments, "{name}");
            assert_eq!(
                (recording.time_s(), partials > 0),
                (whole.duration_s, name.contains("market"))
            );
            assert!(pieces > 1);
        }
    }
}
