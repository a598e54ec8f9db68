//! What the bindings share, over the public interface of the library alone: options as JSON, bare samples of any kind, and streams
//! that lend the engines of a [`Shared`] recogniser. No threads, no files but those that are named, no clock.

mod listen;
mod options;
mod recording;
mod samples;
mod shared;
mod transcribe;

pub use listen::Stream;
pub use options::Options;
pub use recording::Recording;
pub use samples::{Format, Samples, check, down_mix};
pub use shared::{Shared, precision};
