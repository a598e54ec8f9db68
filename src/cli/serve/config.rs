//! A file of settings: `name = value`, each named as its flag is. What the command line or the environment says goes before.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Context;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command, CommandFactory, Parser};
use toml::{Table, Value};

use super::super::Misuse;
use super::super::args::{Arguments, Command as What, ServeArguments};

/// The arguments as they are with what the file says.
pub fn with_file(path: &Path) -> anyhow::Result<Box<ServeArguments>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let refuse = |reason: String| Misuse(format!("{}: {reason}", path.display()));
    let table: Table = text.parse().map_err(|error| refuse(format!("{error}")))?;
    let command = Arguments::command();
    let given = command.clone().get_matches();
    let missing = || refuse("no settings of serve".into());
    let serve = command.find_subcommand("serve").ok_or_else(missing)?;
    let given = given.subcommand_matches("serve").ok_or_else(missing)?;
    let more = flags(&table, serve, given).map_err(refuse)?;
    let all = std::env::args_os().chain(more);
    let parsed = Arguments::try_parse_from(all).map_err(|error| refuse(error.to_string()))?;
    match parsed.command {
        What::Serve(arguments) => Ok(arguments),
        _ => Err(missing().into()),
    }
}

/// The flags that a table stands for, but for those that are given otherwise.
fn flags(table: &Table, serve: &Command, given: &ArgMatches) -> Result<Vec<OsString>, String> {
    let mut flags = Vec::new();
    for (name, value) in table {
        let long = name.replace('_', "-");
        let known = serve.get_arguments().find(|a| a.get_long() == Some(&long) && long != "config");
        let known = known.ok_or_else(|| format!("{name} is no setting of serve"))?;
        let source = given.value_source(known.get_id().as_str());
        if matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            continue;
        }
        let flag = || OsString::from(format!("--{long}"));
        if matches!(known.get_action(), ArgAction::SetTrue) {
            let set = value.as_bool().ok_or_else(|| format!("{name} is neither true nor false"))?;
            flags.extend(set.then(flag));
            continue;
        }
        let values = match value {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Integer(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                _ => return Err(format!("{name} is neither a text nor a number")),
            };
            flags.push(OsString::from(format!("--{long}={text}")));
        }
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags_of(text: &str, arguments: &[&str]) -> Result<Vec<OsString>, String> {
        let command = Arguments::command();
        let all = ["vivavoce", "serve"].iter().chain(arguments);
        let given = command.clone().get_matches_from(all);
        let serve = command.find_subcommand("serve").unwrap();
        flags(&text.parse().unwrap(), serve, given.subcommand_matches("serve").unwrap())
    }

    #[test]
    fn a_file_says_what_flags_say_and_flags_go_before() {
        let text = "max_streams = 7\nlisten = \"127.0.0.1:1\"\nno-sleep = true\npunctuate = false\n\
                    allow_origin = [\"https://a.example\", \"https://b.example\"]\nidle_seconds = 1.5\n";
        let found = flags_of(text, &["--max-streams", "9"]).unwrap();
        let expected = [
            "--allow-origin=https://a.example",
            "--allow-origin=https://b.example",
            "--idle-seconds=1.5",
            "--listen=127.0.0.1:1",
            "--no-sleep",
        ];
        let mut sorted = found.clone();
        sorted.sort();
        assert_eq!(sorted, expected);
        for (text, reason) in [
            ("colour = 1", "colour is no setting"),
            ("config = \"x\"", "config is no setting"),
            ("punctuate = 1", "punctuate is neither"),
            ("listen = true", "listen is neither"),
        ] {
            assert!(flags_of(text, &[]).unwrap_err().contains(reason), "{text}");
        }
    }
}
