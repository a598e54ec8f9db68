//! Samples to normalised log-mel frames, as `docs/model-format.md` defines them.

mod fbank;
mod mel;
mod normalize;

pub use fbank::FeatureExtractor;
pub use mel::MelBank;
pub use normalize::Normalizer;
