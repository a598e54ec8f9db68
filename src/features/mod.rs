//! Samples to normalised log-mel frames, as `docs/model-format.md` defines them.

mod fbank;
mod mel;
mod normalize;

pub(crate) use fbank::append;
pub use fbank::{FeatureExtractor, FeatureState};
pub use mel::MelBank;
pub use normalize::Normalizer;
