//! Which module may use which (the table in ARCHITECTURE.md), and other habits that a machine can check.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::common::root;

/// Module, and the modules of this crate that it may use.
const MAY_USE: [(&str, &[&str]); 26] = [
    ("error", &[]),
    ("binary", &["error"]),
    ("config", &["error"]),
    ("endpoint", &["error"]),
    ("nn", &[]),
    ("attention", &["nn"]),
    ("audio", &["config", "error"]),
    ("features", &["config", "error"]),
    ("metrics", &[]),
    ("tokens", &["error"]),
    ("lexicon", &["binary", "error", "tokens"]),
    ("weights", &["error", "nn"]),
    ("lm", &["binary", "error", "lexicon", "nn", "weights"]),
    ("search", &["config", "error", "lexicon", "lm", "tokens"]),
    ("model", &["attention", "config", "error", "nn", "search", "tokens", "weights"]),
    ("subtitle", &["transcript"]),
    ("text", &["binary", "error"]),
    ("transcript", &["error"]),
    (
        "recognizer",
        &[
            "attention",
            "config",
            "endpoint",
            "error",
            "features",
            "lexicon",
            "lm",
            "model",
            "search",
            "text",
            "tokens",
        ],
    ),
    (
        "session",
        &[
            "attention",
            "audio",
            "config",
            "error",
            "features",
            "model",
            "recognizer",
            "search",
            "text",
            "transcript",
        ],
    ),
    ("voice", &["audio", "error"]),
    (
        "listener",
        &["audio", "endpoint", "error", "features", "recognizer", "session", "transcript", "voice"],
    ),
    (
        "engine",
        &[
            "attention",
            "audio",
            "error",
            "features",
            "listener",
            "model",
            "recognizer",
            "search",
            "session",
            "transcript",
        ],
    ),
    ("pipeline", &["audio", "engine", "error", "listener", "recognizer", "transcript"]),
    ("cli", &["cli", "serve"]),
    ("serve", &["serve"]),
];

/// What belongs to the program.
const PROGRAM: [&str; 2] = ["cli", "serve"];

/// What is not part of a module.
const ROOTS: [&str; 2] = ["lib", "main"];

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Module, path and text of every source file.
fn files() -> Vec<(String, PathBuf, String)> {
    let src = root().join("src");
    let mut paths = Vec::new();
    sources(&src, &mut paths);
    assert!(paths.len() > 50);
    let named = paths.into_iter().map(|path| {
        let first = path.strip_prefix(&src).unwrap().iter().next().unwrap().to_string_lossy();
        let module = first.trim_end_matches(".rs").to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        (module, path, text)
    });
    named.collect()
}

/// The names that follow `prefix` in the code of `text`.
fn named_after(text: &str, prefix: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut names = BTreeSet::new();
    for line in code {
        for after in line.split(prefix).skip(1) {
            names.insert(after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    names
}

#[test]
fn modules_use_only_what_the_table_allows() {
    for (module, path, text) in files() {
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            assert!(ROOTS.contains(&module.as_str()), "{module} is not in the table");
            continue;
        };
        for used in named_after(&text, "crate::") {
            let fine = used == module || allowed.contains(&used.as_str());
            assert!(fine, "{} uses {used}", path.display());
        }
    }
}

#[test]
fn the_architecture_lists_every_module_with_what_it_may_use() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (module, allowed) in MAY_USE.iter().filter(|(name, _)| !PROGRAM.contains(name)) {
        let start = format!("| `{module}` |");
        let row = text.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for {module}"));
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let listed: BTreeSet<_> = last.split(',').map(str::trim).filter(|w| *w != "-").collect();
        assert_eq!(listed, allowed.iter().copied().collect(), "{module}");
    }
}

#[test]
fn threads_and_channels_are_in_the_pipeline_only() {
    for (module, path, text) in files() {
        let code = text.split("#[cfg(test)]").next().unwrap();
        // The callback of a device needs a channel.
        let device = path.ends_with("audio/microphone/capture.rs");
        let fine = device || ["pipeline", "cli", "serve"].contains(&module.as_str());
        let found = ["thread::spawn", "crossbeam_channel"].iter().any(|word| code.contains(word));
        assert!(fine || !found, "{}", path.display());
    }
}

#[test]
fn the_time_of_day_is_told_and_never_reckoned_with() {
    for (_, path, text) in files() {
        // Deepgram's answers say when they were made.
        let told = path.ends_with("serve/deepgram/results.rs");
        assert!(told || !text.contains("SystemTime"), "{}", path.display());
    }
}

#[test]
fn only_the_server_opens_sockets() {
    for (module, path, text) in files().into_iter().filter(|(module, ..)| module != "serve") {
        assert!(!text.contains("std::net"), "{module}: {}", path.display());
    }
}

#[test]
fn every_file_can_be_read_at_a_sitting() {
    let test_file = |path: &Path| path.iter().any(|part| part == "tests.rs" || part == "tests");
    for (_, path, text) in files() {
        let lines = text.lines().count();
        assert!(lines <= 350 || test_file(&path), "{}: {lines} lines", path.display());
    }
}
