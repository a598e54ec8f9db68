//! Files of settings: `name = value`, each named as its flag is. What the command line or the environment says goes before.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Misuse;
use super::args::Arguments;

/// Names the file of a user's settings; if it is empty there is none.
const VARIABLE: &str = "VIVAVOCE_SETTINGS";

/// The arguments, with what the user's settings say: in each table of the file those of the command that it is called after. Beside
/// them a note of what the file said, for whoever wonders where a wrong value comes from.
///
/// # Errors
/// What is wrong with the file.
pub fn arguments() -> anyhow::Result<(Arguments, Option<String>)> {
    let given = Arguments::command().get_matches();
    let (all, note) = match (file(), given.subcommand_name()) {
        (Some(path), Some(command)) => {
            let (all, more) = with_file(&path, Some(command), command, &given)?;
            let more: Vec<_> = more.iter().map(|flag| flag.to_string_lossy()).collect();
            let note = format!("{} says {}", path.display(), more.join(" "));
            (all, (!more.is_empty()).then_some(note))
        }
        _ => (given, None),
    };
    let arguments = Arguments::from_arg_matches(&all).unwrap_or_else(|error| error.exit());
    Ok((arguments, note))
}

/// The file that is named, or the one where such files are if it is there.
fn file() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return (!named.is_empty()).then(|| named.into());
    }
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = folder("XDG_CONFIG_HOME")
        .or_else(|| folder("APPDATA"))
        .map(PathBuf::from)
        .or_else(|| folder("HOME").map(|home| PathBuf::from(home).join(".config")))?;
    Some(folder.join("vivavoce").join("settings.toml")).filter(|path| path.is_file())
}

/// What was `given` for `command`, with what a file says, all of it or one `table`, and the flags that this stands for.
///
/// # Errors
/// What is wrong with it.
pub fn with_file(
    path: &Path,
    table: Option<&str>,
    command: &str,
    given: &ArgMatches,
) -> anyhow::Result<(ArgMatches, Vec<OsString>)> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let refuse = |reason: String| Misuse(format!("{}: {reason}", path.display()));
    let given = given.subcommand_matches(command).ok_or_else(|| refuse("no settings".into()))?;
    let more = flags(&text, table, command, given).map_err(refuse)?;
    // Behind the name of the command, since what follows `--` is no flag.
    let mut all: Vec<OsString> = std::env::args_os().collect();
    let at = all.iter().skip(1).position(|one| one == command).map_or(all.len(), |at| at + 2);
    all.splice(at..at, more.iter().cloned());
    let parsed = Arguments::command().try_get_matches_from(all);
    Ok((parsed.map_err(|error| refuse(error.to_string()))?, more))
}

/// The flags of `command` that a file stands for, all of it or one `table`, but for those that are given otherwise.
///
/// # Errors
/// What is wrong, and in which line.
pub fn flags(
    text: &str,
    table: Option<&str>,
    command: &str,
    given: &ArgMatches,
) -> Result<Vec<OsString>, String> {
    let all = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        line.map_or(String::new(), |line| format!("line {line}: ")) + error.message()
    })?;
    let known = Arguments::command();
    let wanted = match table {
        None => Some(all.get_ref()),
        Some(table) => table_of(text, all.get_ref(), table, &known)?,
    };
    let Some(wanted) = wanted else { return Ok(Vec::new()) };
    let own = known.find_subcommand(command).ok_or("no such command")?;
    let mut flags = Vec::new();
    for (name, value) in wanted {
        let refuse = |reason: &str| {
            format!("line {}: {} {reason}", line_of(text, name.span().start), name.get_ref())
        };
        let long = name.get_ref().replace('_', "-");
        let known = own
            .get_arguments()
            .find(|a| a.get_long() == Some(&long) && !["config", "check"].contains(&long.as_str()));
        let known = known.ok_or_else(|| refuse(&format!("is no setting of {command}")))?;
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

/// The table of that name; every name must be that of a command.
fn table_of<'t, 'i>(
    text: &str,
    all: &'t DeTable<'i>,
    wanted: &str,
    known: &Command,
) -> Result<Option<&'t DeTable<'i>>, String> {
    let mut found = None;
    for (name, value) in all {
        let refuse = |reason: &str| {
            format!("line {}: {} {reason}", line_of(text, name.span().start), name.get_ref())
        };
        let DeValue::Table(table) = value.get_ref() else {
            return Err(refuse(
                "stands in no table; write [transcribe], [listen] or another command before it",
            ));
        };
        if known.find_subcommand(name.get_ref().as_ref()).is_none() {
            return Err(refuse("is no command"));
        }
        found = if name.get_ref() == wanted { Some(table) } else { found };
    }
    Ok(found)
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
        flags(text, None, "serve", given.subcommand_matches("serve").unwrap())
    }

    #[test]
    fn each_command_has_a_table_of_its_own() {
        let text = "[listen]\nlatency = \"low\"\ntimestamps = true\n\n[transcribe]\njobs = 2\n";
        let given =
            Arguments::command().get_matches_from(["vivavoce", "listen", "--latency", "accurate"]);
        let given = given.subcommand_matches("listen").unwrap();
        let of_listen = |text: &str| flags(text, Some("listen"), "listen", given);
        assert_eq!(of_listen(text).unwrap(), ["--timestamps"]);
        assert!(of_listen("[bench]\nstreams = 3\n").unwrap().is_empty());
        for (text, reason) in [
            ("latency = \"low\"", "line 1: latency stands in no table"),
            ("[listen]\n\njobs = 2\n", "line 3: jobs is no setting of listen"),
            ("[listen]\ntimestamps = 1\n", "line 2: timestamps is neither"),
            ("[listen]\n[dance]\n", "line 2: dance is no command"),
        ] {
            let found = of_listen(text).unwrap_err();
            assert!(found.contains(reason), "{found}");
        }
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
