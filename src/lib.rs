//! Streaming speech recognition with the Neural Transducer (Jaitly et al., NIPS 2016).

pub mod attention;
pub mod audio;
pub mod config;
pub mod error;
pub mod features;
pub mod lexicon;
pub mod lm;
pub mod model;
pub mod nn;
pub mod search;
pub mod tokens;

pub use error::{Error, Result};
