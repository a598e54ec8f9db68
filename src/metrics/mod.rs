//! How good the output is.

mod wer;

pub use wer::{ErrorCounts, Operation, align, char_errors, errors, normalize_text, word_errors};
