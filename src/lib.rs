//! Streaming speech recognition with the Neural Transducer (Jaitly et al., NIPS 2016).

pub mod config;
pub mod error;
pub mod lexicon;
pub mod lm;
pub mod search;
pub mod tokens;

pub use error::{Error, Result};
