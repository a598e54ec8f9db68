//! Streams: what is said live, and recordings.

use std::rc::Rc;

use vivavoce::audio::BoxedSource;
use vivavoce::transcript::Event;
use vivavoce::{Error, Result};
use vivavoce_bindings::{Options, Shared, Stream, check};
use wasm_bindgen::prelude::*;

use crate::failure::{OrTell, Told};

/// Events as a list of JSON.
fn written(events: impl Iterator<Item = Event>) -> Result<String> {
    let events: Vec<Event> = events.collect();
    serde_json::to_string(&events).map_err(|e| Error::Usage { reason: e.to_string() })
}

/// A stream of samples; its calls give events as JSON.
#[wasm_bindgen]
pub struct Session {
    shared: Rc<Shared>,
    stream: Stream,
}

impl Session {
    /// A new one.
    pub(crate) fn new(shared: &Rc<Shared>, options: &Options, rate_hz: u32) -> Result<Self> {
        Ok(Self { shared: Rc::clone(shared), stream: Stream::new(shared, options, rate_hz)? })
    }

    /// Does something to the stream; what it says then.
    fn tell(&mut self, work: impl FnOnce(&mut Stream, &Shared) -> Result<()>) -> Told<String> {
        let told = work(&mut self.stream, &self.shared);
        told.and_then(|()| written(std::iter::from_fn(|| self.stream.next_event()))).or_tell()
    }
}

#[wasm_bindgen]
impl Session {
    /// Hears mono samples in [-1, 1].
    ///
    /// # Errors
    /// What is no sound; audio after the end.
    pub fn accept(&mut self, samples: &[f32]) -> Told<String> {
        self.tell(|stream, shared| {
            check(samples)?;
            stream.accept(shared, samples, || true)
        })
    }

    /// The stream is over.
    ///
    /// # Errors
    /// None is to be expected.
    pub fn finish(&mut self) -> Told<String> {
        self.tell(Stream::finish)
    }

    /// The segment is over.
    ///
    /// # Errors
    /// None is to be expected.
    pub fn cut(&mut self) -> Told<String> {
        self.tell(Stream::cut)
    }

    /// A new stream with the same options.
    pub fn reset(&mut self) {
        self.stream.reset();
    }

    /// Seconds of audio heard.
    #[wasm_bindgen(getter)]
    pub fn time(&self) -> f64 {
        self.stream.time_s()
    }

    /// Whether a voice is heard.
    #[wasm_bindgen(getter, js_name = hearsVoice)]
    pub fn hears_voice(&self) -> bool {
        self.stream.hears_voice()
    }
}

/// A recording that is heard piece by piece.
#[wasm_bindgen]
pub struct Recording {
    shared: Rc<Shared>,
    heard: vivavoce_bindings::Recording,
    over: bool,
}

impl Recording {
    pub(crate) fn new(shared: &Rc<Shared>, options: &Options, source: BoxedSource) -> Result<Self> {
        let heard = vivavoce_bindings::Recording::new(shared, options, source)?;
        Ok(Self { shared: Rc::clone(shared), heard, over: false })
    }
}

#[wasm_bindgen]
impl Recording {
    /// Hears about a second; the events of it.
    ///
    /// # Errors
    /// What is no audio.
    pub fn advance(&mut self) -> Told<String> {
        let more = self.heard.advance(&self.shared).or_tell()?;
        self.over = !more;
        written(std::iter::from_fn(|| self.heard.next_event())).or_tell()
    }

    /// Whether all of it was heard.
    #[wasm_bindgen(getter)]
    pub fn over(&self) -> bool {
        self.over
    }

    /// Seconds of audio heard.
    #[wasm_bindgen(getter)]
    pub fn time(&self) -> f64 {
        self.heard.time_s()
    }

    /// Its length in seconds, as far as its header tells.
    #[wasm_bindgen(getter)]
    pub fn duration(&self) -> Option<f64> {
        self.heard.duration_s()
    }

    /// What is wrong with it without being an error.
    #[wasm_bindgen(getter)]
    pub fn warnings(&self) -> Vec<String> {
        self.heard.warnings().to_vec()
    }
}
