//! Streaming speech recognition with the Neural Transducer (Jaitly et al., NIPS 2016).

pub mod attention;
pub mod audio;
pub mod config;
pub mod error;
pub mod features;
pub mod metrics;
pub mod model;
pub mod nn;

pub use error::{Error, Result};
