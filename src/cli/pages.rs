//! `vivavoce completions` and `vivavoce man`: what shells and readers of manuals want to know, made of the command line itself.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;

use super::args::{Arguments, CompletionsArguments, ManArguments};

const NAME: &str = "vivavoce";

/// Prints what a shell completes.
pub fn completions(arguments: &CompletionsArguments) -> anyhow::Result<()> {
    let mut out = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), NAME, &mut out);
    Ok(std::io::stdout().lock().write_all(&out)?)
}

/// Prints the manual's first page, or writes all of them.
pub fn man(arguments: &ManArguments) -> anyhow::Result<()> {
    let mut command = Arguments::command();
    command.build();
    let Some(folder) = &arguments.output_dir else {
        return Ok(std::io::stdout().lock().write_all(&page(command)?)?);
    };
    let fail = |path: &Path| format!("cannot write {}", path.display());
    std::fs::create_dir_all(folder).with_context(|| fail(folder))?;
    for (name, command) in all(&command, NAME) {
        let path = folder.join(format!("{name}.1"));
        std::fs::write(&path, page(command)?).with_context(|| fail(&path))?;
    }
    Ok(())
}

/// A command and those below it, under the names of their pages.
fn all(command: &clap::Command, name: &str) -> Vec<(String, clap::Command)> {
    let mut found = vec![(name.to_owned(), command.clone())];
    for below in command.get_subcommands().filter(|c| c.get_name() != "help") {
        found.extend(all(below, &format!("{name}-{}", below.get_name())));
    }
    found
}

fn page(command: clap::Command) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    clap_mangen::Man::new(command).render(&mut out)?;
    Ok(out)
}
