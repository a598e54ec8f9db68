//! Streaming speech recognition with the Neural Transducer (Jaitly et al., NIPS 2016).

pub mod config;
pub mod error;

pub use error::{Error, Result};
