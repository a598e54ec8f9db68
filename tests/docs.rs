//! The examples in the documents are what the program and the model of today give. `VIVAVOCE_WRITE_DOCS=1` writes them anew.

use std::path::PathBuf;
use std::process::Command;

use crate::common::{real_folder, root};

const CLIP: &str = "audio-samples/clock-float32-16000-mono.wav";

/// A document of `docs/` whose examples are compared, or written anew.
struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    fn open(name: &str) -> Self {
        let path = root().join("docs").join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        Self { path, text }
    }

    /// The first example in `language` behind `heading` is `expected`.
    fn example(&mut self, heading: &str, language: &str, expected: &str) {
        let (path, text) = (self.path.display(), &self.text);
        let opening = format!("```{language}\n");
        let begin = text.find(heading).unwrap_or_else(|| panic!("no {heading} in {path}"));
        let begin = begin + text[begin..].find(&opening).unwrap() + opening.len();
        let end = begin + text[begin..].find("```").unwrap();
        if std::env::var_os("VIVAVOCE_WRITE_DOCS").is_some() {
            self.text.replace_range(begin..end, expected);
            std::fs::write(&self.path, &self.text).unwrap();
            return;
        }
        let found = &text[begin..end];
        assert_eq!(found, expected, "{path}, {heading}: see the head of tests/docs.rs");
    }
}

#[test]
fn the_examples_of_formats_are_of_this_model() {
    let Some(model) = real_folder() else { return };
    let mut formats = Document::open("formats.md");
    for (heading, format) in [
        ("## Text", "txt"),
        ("## JSON", "json"),
        ("## JSON", "jsonl"),
        ("## Subtitles", "srt"),
        ("## Subtitles", "vtt"),
        ("## Scoring", "ctm"),
        ("## Scoring", "stm"),
        ("## Scoring", "trn"),
        ("## Table", "csv"),
    ] {
        let ran = Command::new(env!("CARGO_BIN_EXE_vivavoce"))
            .current_dir(root())
            .env("VIVAVOCE_MODEL", &model)
            .args(["transcribe", "--format", format, CLIP])
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
        let said = String::from_utf8(ran.stdout).unwrap();
        // Empty lines at the end belong to the format, not to the example.
        formats.example(heading, format, &(said.trim_end().to_owned() + "\n"));
    }
}

/// The settings of `config.json` in its order, each on a line.
fn settings(config: &str) -> Vec<(String, String)> {
    let all: serde_json::Value = serde_json::from_str(config).unwrap();
    let keys = config.lines().filter_map(|line| {
        let (key, _) = line.strip_prefix("  \"")?.split_once('"')?;
        Some(key.to_owned())
    });
    let lines: Vec<_> = keys.map(|key| (format!("\"{key}\": {}", all[&key]), key)).collect();
    assert_eq!(lines.len(), all.as_object().unwrap().len());
    lines.into_iter().map(|(line, key)| (key, line)).collect()
}

#[test]
fn the_examples_of_a_configuration_are_this_models() {
    let Some(model) = real_folder() else { return };
    let config = std::fs::read_to_string(model.join("config.json")).unwrap();
    let (fitted, chosen): (Vec<_>, Vec<_>) = settings(&config)
        .into_iter()
        .partition(|(key, _)| ["word_times", "confidence"].contains(&key.as_str()));
    let joined = |lines: &[(String, String)], indent: &str| {
        let lines: Vec<_> = lines.iter().map(|(_, line)| format!("{indent}{line}")).collect();
        lines.join(",\n") + "\n"
    };
    let mut format = Document::open("model-format.md");
    format.example("## config.json", "json", &format!("{{\n{}}}\n", joined(&chosen, "  ")));
    format.example("## Words: times", "json", &joined(&fitted, ""));
}
