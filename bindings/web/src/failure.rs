//! Errors for JavaScript, and what a panic said.

use std::sync::{Mutex, Once, PoisonError};

use vivavoce::Error;
use wasm_bindgen::prelude::*;

/// A result whose error is a text of JSON: `kind`, `message`, and the `line` of a list.
pub type Told<T> = Result<T, JsValue>;

static PANIC: Mutex<String> = Mutex::new(String::new());

/// An error as `worker.js` reads it.
pub fn told(error: &Error) -> JsValue {
    let (kind, line) = match error {
        Error::Io { .. } => ("ReadError", None),
        Error::Audio { .. } => ("AudioError", None),
        Error::Samples { .. } => ("SamplesError", None),
        Error::Model { .. } => ("ModelError", None),
        Error::Config { .. } => ("ConfigError", None),
        Error::List { line, .. } => ("ListError", Some(*line)),
        Error::Usage { .. } => ("UsageError", None),
        _ => ("Error", None),
    };
    let message = error.to_string();
    JsValue::from_str(
        &serde_json::json!({ "kind": kind, "message": message, "line": line }).to_string(),
    )
}

/// The same from where a result is wanted.
pub trait OrTell<T> {
    /// The value, or the error as JSON.
    fn or_tell(self) -> Told<T>;
}

impl<T> OrTell<T> for vivavoce::Result<T> {
    fn or_tell(self) -> Told<T> {
        self.map_err(|error| told(&error))
    }
}

/// A panic ends the module with a bare `RuntimeError`; this keeps what it said.
pub fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
        }));
    });
}

/// What the last panic said; empty if there was none.
#[wasm_bindgen(js_name = lastPanic)]
pub fn last_panic() -> String {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
