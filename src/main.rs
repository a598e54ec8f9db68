//! The `vivavoce` command.
#![allow(clippy::print_stdout, clippy::exit)]
#![deny(clippy::print_stderr)]

mod cli;
#[cfg(feature = "serve")]
mod serve;

fn main() {
    let mut settings = None;
    let done = cli::settings::arguments().and_then(|(arguments, note)| {
        settings = note;
        cli::run(&arguments)
    });
    std::process::exit(match done {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) if cli::is_closed_pipe(&error) => 0,
        Err(error) => {
            cli::say(format_args!("error: {error:#}"));
            let code = cli::exit_code(&error);
            if let (Some(note), cli::WRONG_USAGE) = (settings, code) {
                cli::say(format_args!("note: {note}"));
            }
            code
        }
    });
}
