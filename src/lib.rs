//! Streaming speech recognition with the Neural Transducer (Jaitly et al., NIPS 2016).
//!
//! Samples go in, words come out while the person is still speaking.
//!
//! # A file
//!
//! ```no_run
//! use vivavoce::{Recognizer, StreamOptions, audio};
//!
//! fn main() -> vivavoce::Result<()> {
//!     let recognizer = Recognizer::load("models/en-small")?;
//!     let transcript = recognizer.transcribe(audio::open("speech.wav")?, &StreamOptions::default())?;
//!     println!("{}", transcript.text());
//!     Ok(())
//! }
//! ```
//!
//! # A microphone, or anything else that is live
//!
//! A [`Pipeline`](pipeline::Pipeline) has the threads: one reads an [`AudioSource`](audio::AudioSource), one transcribes. With the feature
//! `mic` there is `audio::microphone::MicrophoneSource`; a source of one's own needs two methods.
//!
//! ```no_run
//! use vivavoce::audio::AudioSource;
//! use vivavoce::pipeline::{Pipeline, PipelineOptions};
//! use vivavoce::transcript::Event;
//! use vivavoce::{EndpointOptions, Recognizer, StreamOptions};
//!
//! fn listen(source: Box<dyn AudioSource + Send>) -> vivavoce::Result<()> {
//!     let recognizer = Recognizer::load("models/en-small")?;
//!     let stream = StreamOptions::default().endpoints(EndpointOptions::default());
//!     let options = PipelineOptions::default().stream(stream);
//!     for event in Pipeline::start(&recognizer, source, &options)?.events() {
//!         match event {
//!             Event::Partial(partial) => eprintln!("{} ({})", partial.confirmed, partial.tentative),
//!             Event::Final(segment) => println!("{}", segment.text),
//!             Event::Warning { message } => eprintln!("{message}"),
//!             Event::Error(error) => eprintln!("{error}"),
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # A source of one's own
//!
//! Two methods: the rate, and the next chunk of samples in [-1, 1], of any length. Here packets of a call come through a channel.
//!
//! ```no_run
//! use std::sync::mpsc::Receiver;
//!
//! use vivavoce::audio::AudioSource;
//! use vivavoce::{Recognizer, Result, StreamOptions};
//!
//! struct Call(Receiver<Vec<f32>>);
//!
//! impl AudioSource for Call {
//!     fn sample_rate_hz(&self) -> u32 {
//!         8_000
//!     }
//!
//!     fn next_chunk(&mut self, out: &mut Vec<f32>) -> Result<bool> {
//!         out.clear();
//!         Ok(self.0.recv().map(|packet| out.extend(packet)).is_ok())
//!     }
//! }
//!
//! fn hear(packets: Receiver<Vec<f32>>) -> Result<()> {
//!     let recognizer = Recognizer::load("models/en-small")?;
//!     println!("{}", recognizer.transcribe(Call(packets), &StreamOptions::default())?.text());
//!     Ok(())
//! }
//! ```
//!
//! # Many streams
//!
//! An [`Engine`] computes any number of streams as one batch, in the thread that calls it; a [`Listener`] is a stream and nothing more.
//!
//! ```no_run
//! use vivavoce::transcript::Event;
//! use vivavoce::{EndpointOptions, Engine, Recognizer, StreamOptions};
//!
//! fn serve(next_samples: impl Fn(usize) -> Vec<f32>) -> vivavoce::Result<()> {
//!     let recognizer = Recognizer::load("models/en-small")?;
//!     let options = StreamOptions::default().endpoints(EndpointOptions::default());
//!     let mut engine = Engine::new(&recognizer);
//!     let mut calls = vec![recognizer.listener(&options)?, recognizer.listener(&options)?];
//!     loop {
//!         for (i, call) in calls.iter_mut().enumerate() {
//!             call.accept_waveform(8_000, &next_samples(i))?;
//!         }
//!         engine.advance(&mut calls)?;
//!         for (i, call) in calls.iter_mut().enumerate() {
//!             while let Some(event) = call.next_event() {
//!                 if let Event::Final(segment) = event {
//!                     println!("{i}: {}", segment.text);
//!                 }
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! The folder `examples` has whole programs.
//!
//! # What is what
//!
//! A [`Recognizer`] is immutable and shared. A [`Session`] holds all that belongs to one stream; a [`Listener`] is a session that finds the
//! ends of segments. An [`Engine`] holds what computing needs. None of them has threads, files or clocks. Data flows one way:
//!
//! ```text
//! AudioSource -> resample -> log-mel frames -> encoder frames -> blocks -> transducer steps -> search -> words
//! ```
//!
//! The encoder is an LSTM that runs on; its output is cut into blocks of a few frames. For each block the transducer attends to
//! the frames that the block may see and emits tokens until it emits the end-of-block symbol. A lexicon and an n-gram language
//! model turn phones into words.
//!
//! Modules that this page does not list are no promise.

#[doc(hidden)]
pub mod attention;
pub mod audio;
mod binary;
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod endpoint;
mod engine;
#[doc(hidden)]
pub mod error;
#[doc(hidden)]
pub mod features;
#[doc(hidden)]
pub mod lexicon;
mod listener;
#[doc(hidden)]
pub mod lm;
#[doc(hidden)]
pub mod metrics;
#[doc(hidden)]
pub mod model;
#[doc(hidden)]
pub mod nn;
pub mod pipeline;
mod recognizer;
#[doc(hidden)]
pub mod search;
mod session;
#[doc(hidden)]
pub mod subtitle;
#[doc(hidden)]
pub mod text;
#[doc(hidden)]
pub mod tokens;
pub mod transcript;
#[doc(hidden)]
pub mod voice;
mod weights;

pub use endpoint::{AfterEndpoint, EndpointOptions};
#[doc(hidden)]
pub use engine::StageTimes;
pub use engine::{Engine, Stream};
pub use error::{Error, Result};
pub use listener::Listener;
pub use model::Precision;
#[doc(hidden)]
pub use recognizer::{AttentionTrace, DEFAULT_BOOST, TracedStep};
pub use recognizer::{Hotwords, Phrases, Recognizer, RecognizerBuilder, SearchKind, StreamOptions};
pub use session::Session;
