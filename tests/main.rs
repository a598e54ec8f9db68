//! Integration tests, one binary.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod allocation;
mod bad_input;
mod batcher;
mod cli;
mod cli_bench;
mod cli_evaluate;
mod common;
mod golden;
mod robustness;
mod rules;
mod session;
mod speech;
mod streaming;
