//! The `vivavoce` command.
#![allow(clippy::print_stdout, clippy::exit)]
#![deny(clippy::print_stderr)]

mod cli;
#[cfg(feature = "serve")]
mod serve;

use clap::Parser;

fn main() {
    let arguments = cli::Arguments::parse();
    std::process::exit(match cli::run(&arguments) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) if cli::is_closed_pipe(&error) => 0,
        Err(error) => {
            cli::say(format_args!("error: {error:#}"));
            cli::exit_code(&error)
        }
    });
}
