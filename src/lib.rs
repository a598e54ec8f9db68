//! Streaming speech recognition with the Neural Transducer (Jaitly et al., NIPS 2016).
//!
//! Samples go in, words come out while the person is still speaking. A whole program:
//!
//! ```no_run
//! use vivavoce::Recognizer;
//! use vivavoce::audio;
//! use vivavoce::pipeline::{Pipeline, PipelineOptions};
//! use vivavoce::transcript::Event;
//!
//! fn main() -> vivavoce::Result<()> {
//!     let recognizer = Recognizer::load("models/en-small")?;
//!     let source = audio::open("speech.wav")?;
//!     let options = PipelineOptions { partials: true, ..Default::default() };
//!     for event in Pipeline::start(&recognizer, source, &options)?.events() {
//!         match event {
//!             Event::Partial(partial) => eprintln!("{} ({})", partial.confirmed, partial.tentative),
//!             Event::Final(result) => println!("{}", result.text),
//!             Event::Error { message, .. } => eprintln!("{message}"),
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! The folder `examples` has programs for a file, a microphone, a source of one's own and many files at once.
//!
//! A [`Recognizer`] is immutable and shared; a [`Session`] holds all that belongs to one stream and is a plain state machine
//! without threads, files or clocks. Data flows one way:
//!
//! ```text
//! AudioSource -> resample -> log-mel frames -> encoder frames -> blocks -> transducer steps -> search -> words
//! ```
//!
//! The encoder is an LSTM that runs on; its output is cut into blocks of a few frames. For each block the transducer attends to
//! the frames that the block may see and emits tokens until it emits the end-of-block symbol. A lexicon and an n-gram language
//! model turn phones into words.

pub mod attention;
pub mod audio;
mod binary;
pub mod config;
pub mod endpoint;
pub mod error;
pub mod features;
pub mod lexicon;
pub mod listener;
pub mod lm;
pub mod metrics;
pub mod model;
pub mod nn;
pub mod pipeline;
pub mod recognizer;
pub mod search;
pub mod text;
pub mod tokens;
pub mod transcript;
pub mod voice;

pub use error::{Error, Result};
pub use listener::Listener;
pub use model::Precision;
pub use recognizer::{
    AttentionTrace, Batcher, Hotwords, Recognizer, SearchKind, Session, SessionOptions, TracedStep,
};
