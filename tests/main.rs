//! Integration tests, one binary.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod allocation;
mod asked;
mod bad_input;
mod cli;
mod cli_batch;
mod cli_bench;
mod cli_evaluate;
mod cli_formats;
#[cfg(unix)]
mod cli_listen;
#[cfg(unix)]
mod cli_resume;
mod cli_trust;
mod common;
mod damage;
mod docs;
mod engine;
mod faults;
mod golden;
mod listen;
mod media;
#[cfg(all(feature = "mic", target_os = "linux"))]
mod microphone;
mod package;
mod pages;
mod pipeline;
mod public;
mod robustness;
mod rules;
#[cfg(all(unix, feature = "serve"))]
mod serve;
mod session;
#[cfg(target_os = "linux")]
mod soak;
mod speech;
mod streaming;
