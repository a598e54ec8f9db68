//! The `vivavoce` command.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::exit)]

mod cli;

use clap::Parser;

fn main() {
    let arguments = cli::Arguments::parse();
    std::process::exit(match cli::run(&arguments) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) if cli::is_closed_pipe(&error) => 0,
        Err(error) => {
            eprintln!("error: {error:#}");
            cli::exit_code(&error)
        }
    });
}
