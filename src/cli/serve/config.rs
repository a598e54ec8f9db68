//! A file of settings: `name = value`, each named as its flag is. What the command line or the environment says goes before.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Context;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, CommandFactory, Parser};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::Misuse;
use super::super::args::{Arguments, Command as What, ServeArguments};

/// The arguments as they are with what the file says.
pub fn with_file(path: &Path) -> anyhow::Result<Box<ServeArguments>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let refuse = |reason: String| Misuse(format!("{}: {reason}", path.display()));
    let given = Arguments::command().get_matches();
    let missing = || refuse("no settings of serve".into());
    let given = given.subcommand_matches("serve").ok_or_else(missing)?;
    let more = flags(&text, given).map_err(refuse)?;
    let all = std::env::args_os().chain(more);
    let parsed = Arguments::try_parse_from(all).map_err(|error| refuse(error.to_string()))?;
    match parsed.command {
        What::Serve(arguments) => Ok(arguments),
        _ => Err(missing().into()),
    }
}

/// The flags that a file stands for, but for those that are given otherwise.
///
/// # Errors
/// What is wrong, and in which line.
pub fn flags(text: &str, given: &ArgMatches) -> Result<Vec<OsString>, String> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        line.map_or(String::new(), |line| format!("line {line}: ")) + error.message()
    })?;
    let command = Arguments::command();
    let serve = command.find_subcommand("serve").ok_or("no settings of serve")?;
    let mut flags = Vec::new();
    for (name, value) in table.get_ref() {
        let refuse = |reason: &str| {
            format!("line {}: {} {reason}", line_of(text, name.span().start), name.get_ref())
        };
        let long = name.get_ref().replace('_', "-");
        let known = serve.get_arguments().find(|a| a.get_long() == Some(&long) && long != "config");
        let known = known.ok_or_else(|| refuse("is no setting of serve"))?;
        let source = given.value_source(known.get_id().as_str());
        if matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            continue;
        }
        let flag = || OsString::from(format!("--{long}"));
        if matches!(known.get_action(), ArgAction::SetTrue) {
            let set = value.get_ref().as_bool();
            let set = set.ok_or_else(|| refuse("is neither true nor false"))?;
            flags.extend(set.then(flag));
            continue;
        }
        let values: Vec<_> = match value.get_ref() {
            DeValue::Array(values) => values.iter().map(Spanned::get_ref).collect(),
            one => vec![one],
        };
        for value in values {
            let text = match value {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Float(number) => number.to_string(),
                _ => return Err(refuse("is neither a text nor a number")),
            };
            flags.push(OsString::from(format!("--{long}={text}")));
        }
    }
    Ok(flags)
}

/// Number of the line that holds byte `at`.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.get(..at).unwrap_or(text).matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags_of(text: &str, arguments: &[&str]) -> Result<Vec<OsString>, String> {
        let command = Arguments::command();
        let all = ["vivavoce", "serve"].iter().chain(arguments);
        let given = command.get_matches_from(all);
        flags(text, given.subcommand_matches("serve").unwrap())
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
            ("\n# red\ncolour = 1", "line 3: colour is no setting"),
            ("config = \"x\"", "line 1: config is no setting"),
            ("digits = true\npunctuate = 1", "line 2: punctuate is neither"),
            ("listen = true", "line 1: listen is neither"),
            ("digits = true\n\nlisten =\n", "line 3: "),
        ] {
            assert!(flags_of(text, &[]).unwrap_err().contains(reason), "{text}");
        }
    }
}
