//! A model, made of its files.

use std::rc::Rc;

use vivavoce::audio;
use vivavoce::{Recognizer as Model, RecognizerBuilder};
use vivavoce_bindings::{Options, Samples, Shared, check, precision};
use wasm_bindgen::prelude::*;

use crate::failure::{OrTell, Told, keep_panics};
use crate::session::{Recording, Session};

/// Takes the files of a model folder, one by one.
#[wasm_bindgen]
#[derive(Default)]
pub struct Loader(RecognizerBuilder);

#[wasm_bindgen]
impl Loader {
    /// None yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        keep_panics();
        Self(Model::builder())
    }

    /// Takes the contents of the file `name`.
    pub fn file(&mut self, name: String, contents: Vec<u8>) {
        self.0 = std::mem::take(&mut self.0).file(name, contents);
    }

    /// Loads the model; it takes the files along.
    ///
    /// # Errors
    /// A file that is missing, damaged or does not fit the others; a precision that there is not.
    #[expect(clippy::needless_pass_by_value, reason = "texts cross the border as values")]
    pub fn build(self, how: Option<String>) -> Told<Recognizer> {
        let model = precision(how.as_deref()).and_then(|how| self.0.precision(how).build());
        Ok(Recognizer(Rc::new(Shared::new(model.or_tell()?))))
    }
}

/// A model that recognises.
#[wasm_bindgen]
pub struct Recognizer(Rc<Shared>);

#[wasm_bindgen]
impl Recognizer {
    /// Rate of the samples that its streams hear, in Hz.
    #[wasm_bindgen(getter, js_name = sampleRate)]
    pub fn sample_rate_hz(&self) -> u32 {
        self.0.recognizer().sample_rate_hz()
    }

    /// Refuses options that the model does not allow.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self, options: &str) -> Told<()> {
        let look = || {
            let options = self.0.stream_options(&Options::parse(options)?, true)?;
            self.0.recognizer().listener(&options).map(|_| ())
        };
        look().or_tell()
    }

    /// A stream of samples at `rate_hz`.
    ///
    /// # Errors
    /// What the options or the rate do not fit.
    pub fn session(&self, rate_hz: u32, options: &str) -> Told<Session> {
        Options::parse(options)
            .and_then(|options| Session::new(&self.0, &options, rate_hz))
            .or_tell()
    }

    /// The contents of an audio file, to be heard piece by piece; `name` stands for it in messages.
    ///
    /// # Errors
    /// What is no audio, and what the options do not fit.
    pub fn contents(&self, name: &str, contents: Vec<u8>, options: &str) -> Told<Recording> {
        let open = || {
            let options = Options::parse(options)?;
            Recording::new(&self.0, &options, audio::from_bytes(name, contents)?)
        };
        open().or_tell()
    }

    /// The same of mono samples in [-1, 1].
    ///
    /// # Errors
    /// What is no sound, and what the options or the rate do not fit.
    pub fn samples(&self, samples: Vec<f32>, rate_hz: u32, options: &str) -> Told<Recording> {
        let open = || {
            check(&samples)?;
            let options = Options::parse(options)?;
            Recording::new(&self.0, &options, Box::new(Samples::new(samples, rate_hz)))
        };
        open().or_tell()
    }
}
