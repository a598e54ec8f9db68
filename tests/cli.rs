//! The command line as a user meets it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{PLAIN_WAV, babble, folder, phone_model, write_wav};

/// A folder with the files of a small model and two clips, `one.wav` and `two.wav`.
pub struct Place {
    dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = folder(&phone_model());
        write_wav(&dir.path().join("one.wav"), PLAIN_WAV, &babble(2.0, 1));
        write_wav(&dir.path().join("two.wav"), PLAIN_WAV, &babble(3.0, 2));
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The command in this folder, with the model that lies there.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = plain(arguments);
        command.current_dir(self.path()).env("VIVAVOCE_MODEL", ".");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments))
    }
}

fn plain(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vivavoce"));
    command
        .args(arguments)
        .env_remove("VIVAVOCE_MODEL")
        .env("VIVAVOCE_SETTINGS", "")
        .stdin(Stdio::null());
    command
}

#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub fn ran(command: &mut Command) -> Ran {
    described(&command.output().unwrap())
}

fn described(output: &Output) -> Ran {
    Ran {
        code: output.status.code().expect("no signal"),
        out: String::from_utf8(output.stdout.clone()).unwrap(),
        err: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_a_user_has_settled_once_counts_unless_he_says_otherwise() {
    let place = Place::new();
    let settings = place.path().join("settings.toml");
    let with = |text: &str, arguments: &[&str]| {
        std::fs::write(&settings, text).unwrap();
        ran(place.command(arguments).env("VIVAVOCE_SETTINGS", &settings))
    };
    let lines = with("[transcribe]\nformat = \"jsonl\"\n", &["transcribe", "one.wav"]);
    assert_eq!(lines.code, 0, "{lines:?}");
    assert_eq!(json_lines(&lines.out)[0]["file"], "one.wav");
    let text = with(
        "[transcribe]\nformat = \"jsonl\"\n",
        &["transcribe", "--format", "txt", "--", "one.wav"],
    );
    assert_eq!(text.out, place.run(&["transcribe", "--format", "txt", "one.wav"]).out);
    let elsewhere = with("[listen]\nlatency = \"low\"\n", &["transcribe", "one.wav"]);
    assert_eq!(elsewhere.out, place.run(&["transcribe", "one.wav"]).out);
    let wrong = with("[transcribe]\n\ncolour = 1\n", &["transcribe", "one.wav"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(
        wrong.err.contains("settings.toml: line 3: colour is no setting of transcribe"),
        "{wrong:?}"
    );
    let unknown = with("[transcribe]\nlatency = \"none\"\n", &["transcribe", "one.wav"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.err.contains("settings.toml says --latency=none"), "{unknown:?}");
    let folder = place.path().join("config/vivavoce");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("settings.toml"), "[transcribe]\nformat = \"jsonl\"\n").unwrap();
    let mut found = place.command(&["transcribe", "one.wav"]);
    found.env_remove("VIVAVOCE_SETTINGS").env("XDG_CONFIG_HOME", place.path().join("config"));
    assert_eq!(ran(&mut found).out, lines.out);
}

#[test]
fn one_file_gives_its_words_on_stdout_and_nothing_else() {
    let ran = Place::new().run(&["transcribe", "one.wav"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert_eq!(ran.out.lines().count(), 1);
    assert!(ran.out.split_whitespace().all(|w| "abcdef".contains(w)), "{ran:?}");
    assert!(!ran.out.trim().is_empty());
}

#[test]
fn several_files_are_named() {
    let place = Place::new();
    let (one, two) = (place.run(&["transcribe", "one.wav"]), place.run(&["transcribe", "two.wav"]));
    let both = place.run(&["transcribe", "one.wav", "two.wav"]);
    assert_eq!(both.code, 0);
    assert_eq!(both.out, format!("one.wav: {}two.wav: {}", one.out, two.out));
}

#[test]
fn json_has_the_keys_of_vosk() {
    let ran = Place::new().run(&["transcribe", "--json", "--alternatives", "3", "one.wav"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let value = &json_lines(&ran.out)[0];
    let words = value["result"].as_array().unwrap();
    let text: Vec<_> = words.iter().map(|w| w["word"].as_str().unwrap()).collect();
    assert_eq!(value["text"], text.join(" "));
    for word in words {
        let number = |key: &str| word[key].as_f64().unwrap();
        assert!(number("start") <= number("end") && number("end") <= 2.0, "{word}");
        assert!((0.0..=1.0).contains(&number("conf")));
    }
    assert_eq!(value["time"], 2.0);
    let others = value["alternatives"].as_array().unwrap();
    assert!((1..=3).contains(&others.len()));
    assert_eq!(others[0]["text"], value["text"]);
    let files = Place::new().run(&["transcribe", "--json", "one.wav", "two.wav"]);
    let named: Vec<_> = json_lines(&files.out).iter().map(|v| v["file"].clone()).collect();
    assert_eq!(named, ["one.wav", "two.wav"]);
}

#[test]
fn stream_prints_partials_before_the_result() {
    let place = Place::new();
    let ran = place.run(&["transcribe", "--stream", "--json", "two.wav"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let values = json_lines(&ran.out);
    let (last, partials) = values.split_last().unwrap();
    assert!(partials.len() > 1 && last["text"].is_string());
    let mut confirmed = String::new();
    for partial in partials {
        let now = partial["confirmed"].as_str().unwrap();
        assert!(partial["partial"].as_str().unwrap().starts_with(now));
        assert!(now.starts_with(&confirmed) && partial["tentative"].is_string());
        now.clone_into(&mut confirmed);
    }
    assert!(last["text"].as_str().unwrap().starts_with(&confirmed));
    let text = place.run(&["transcribe", "--stream", "two.wav"]);
    assert_eq!(text.out.lines().count(), values.len());
    let plain = place.run(&["transcribe", "two.wav"]).out;
    assert!(text.out.ends_with(&plain), "{text:?}");
}

#[test]
fn a_bad_file_does_not_stop_the_others() {
    let place = Place::new();
    std::fs::write(place.path().join("bad.wav"), "not audio").unwrap();
    let ran = place.run(&["transcribe", "one.wav", "bad.wav", "no.wav", "two.wav"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.out.lines().count(), 2, "{ran:?}");
    for name in ["bad.wav", "no.wav"] {
        let lines: Vec<_> = ran.err.lines().filter(|l| l.contains(name)).collect();
        assert_eq!(lines.len(), 1, "{ran:?}");
        assert!(lines[0].starts_with("error: cannot "), "{}", lines[0]);
    }
}

#[test]
fn a_truncated_file_is_transcribed_with_a_warning() {
    let place = Place::new();
    let bytes = std::fs::read(place.path().join("one.wav")).unwrap();
    std::fs::write(place.path().join("cut.wav"), &bytes[..40_001]).unwrap();
    let ran = place.run(&["transcribe", "cut.wav"]);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 1), "{ran:?}");
    assert!(ran.err.starts_with("warning: cut.wav is truncated"), "{ran:?}");
}

#[test]
fn a_dash_reads_wav_from_stdin() {
    let place = Place::new();
    let expected = place.run(&["transcribe", "one.wav"]).out;
    let file = std::fs::File::open(place.path().join("one.wav")).unwrap();
    let ran = ran(place.command(&["transcribe", "-"]).stdin(file));
    assert_eq!((ran.code, ran.out), (0, expected));
}

#[test]
fn words_come_out_while_stdin_is_still_open() {
    let place = Place::new();
    let mut bytes = std::fs::read(place.path().join("two.wav")).unwrap();
    bytes[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut child = place
        .command(&["transcribe", "--stream", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    input.write_all(&bytes).unwrap();
    input.flush().unwrap();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert!(first["partial"].is_string(), "{first}");
    drop(input);
    let last: Value = serde_json::from_str(&lines.last().unwrap().unwrap()).unwrap();
    assert!(last["text"].is_string());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_closed_pipe_is_success() {
    let place = Place::new();
    let files = vec!["one.wav"; 40];
    for arguments in [
        [&["transcribe", "--stream"][..], &files].concat(),
        [&["transcribe", "--stream", "--json"][..], &files].concat(),
        // One object that is longer than the buffer of stdout.
        vec!["inspect", "attention", "--json", "one.wav"],
    ] {
        let mut command = place.command(&arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ran = described(&child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn wrong_usage_is_exit_code_two() {
    let place = Place::new();
    for arguments in [
        &[][..],
        &["transcribe"],
        &["transcribe", "--beam", "many", "one.wav"],
        &["transcribe", "--search", "guess", "one.wav"],
        &["sing", "one.wav"],
        &["evaluate"],
    ] {
        let ran = place.run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.err.contains("--help"), "{ran:?}");
    }
}

#[test]
fn wrong_settings_are_told_once() {
    let place = Place::new();
    for (flag, value, expected) in [
        ("--latency", "fast", "balanced"),
        ("--beam", "0", "beam_size"),
        ("--lm-weight", "nan", "lm_weight"),
    ] {
        let ran = place.run(&["transcribe", flag, value, "one.wav", "two.wav"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{flag}");
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
        assert!(ran.err.contains(expected), "{ran:?}");
    }
}

#[test]
fn a_missing_model_is_named_with_the_fix() {
    let ran = ran(&mut plain(&["inspect", "--model", "no/such/model"]));
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("no/such/model") && ran.err.contains("--model"), "{ran:?}");
}

#[test]
fn the_embedded_model_is_used_without_a_name() {
    let ran = ran(&mut plain(&["inspect", "--json"]));
    if cfg!(feature = "embed-model") {
        assert_eq!(ran.code, 0, "{ran:?}");
        let value: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(value["config"]["name"], "en-small");
    } else {
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("VIVAVOCE_MODEL"), "{ran:?}");
    }
}

#[test]
fn bare_tokens_are_printed_on_request() {
    let place = Place::new();
    for search in ["tokens", "greedy"] {
        let ran = place.run(&["transcribe", "--search", search, "one.wav"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let phone = |t: &str| t.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        assert!(ran.out.split_whitespace().all(phone), "{ran:?}");
        assert!(!ran.out.trim().is_empty());
    }
}

#[test]
fn inspect_tells_what_a_model_is() {
    let place = Place::new();
    let ran = place.run(&["inspect"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    for expected in ["tiny (en)", "16000 Hz", "79 (Phones)", "6 words", "balanced", "(default)"] {
        assert!(ran.out.contains(expected), "{expected}: {ran:?}");
    }
    let json: Value = serde_json::from_str(&place.run(&["inspect", "--json"]).out).unwrap();
    assert_eq!(json["tokens"], 79);
    assert_eq!(json["words"], 6);
    assert_eq!(json["lm_order"], 4);
    assert_eq!(json["config"]["encoder"]["dim"], 12);
    for part in ["encoder", "attention", "transducer"] {
        assert!(json["parameters"][part].as_u64().unwrap() > 0);
    }
    assert!(json["bytes"]["stream"].as_u64().unwrap() > 0);
}

#[test]
fn help_and_version_are_success() {
    for arguments in [&["--help"][..], &["--version"], &["transcribe", "--help"]] {
        let ran = ran(&mut plain(arguments));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments:?}");
        assert!(!ran.out.is_empty());
    }
}

#[test]
fn the_cause_of_an_error_is_told_once() {
    let place = Place::new();
    std::fs::remove_file(place.path().join("model.safetensors")).unwrap();
    std::fs::create_dir(place.path().join("model.safetensors")).unwrap();
    for arguments in [["transcribe", "one.wav"], ["transcribe", "none.wav"]] {
        let ran = place.run(&arguments);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_eq!(ran.err.matches("(os error").count(), 1, "{ran:?}");
    }
}
