//! Integration tests, one binary.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod common;
mod golden;
mod robustness;
mod streaming;
