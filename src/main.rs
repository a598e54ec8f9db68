//! The `vivavoce` command.
#![allow(clippy::print_stdout, clippy::exit)]
#![deny(clippy::print_stderr)]

mod cli;
#[cfg(feature = "serve")]
mod serve;

fn main() {
    let done = cli::settings::arguments().and_then(|arguments| cli::run(&arguments));
    std::process::exit(match done {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) if cli::is_closed_pipe(&error) => 0,
        Err(error) => {
            cli::say(format_args!("error: {error:#}"));
            cli::exit_code(&error)
        }
    });
}
