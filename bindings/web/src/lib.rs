//! The native half of the npm package `vivavoce`: what computes, in a Worker. Options, events and errors cross the border as JSON, samples
//! and files as bytes; the model's files are fetched by `model.js`, and what a user sees is in `index.js`.

mod failure;
mod recognizer;
mod session;

pub use failure::last_panic;
pub use recognizer::{Loader, Recognizer};
pub use session::{Recording, Session};

/// The version of the library.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").into()
}
