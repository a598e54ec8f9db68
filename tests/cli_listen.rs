//! `vivavoce listen` as a user meets it, without a microphone.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::cli::{Place, json_lines, ran};
use crate::common::{clip, clip_path, real_folder};

/// 16-bit samples, little-endian.
fn pcm(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|s| ((s * 32_767.0) as i16).to_le_bytes()).collect()
}

/// Speech, with silence enough behind it for an endpoint.
fn speech() -> Vec<f32> {
    let mut samples = clip("harbour-int16-16000-mono.wav");
    samples.resize(samples.len() + 48_000, 0.0);
    samples
}

fn fed(command: &mut Command, input: &[u8]) -> (Child, ChildStdin, BufReader<ChildStdout>) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).unwrap();
    stdin.flush().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdin, stdout)
}

#[test]
fn bare_samples_wav_on_stdin_and_a_file_give_the_same() {
    let place = Place::new();
    let file = clip_path("harbour-int16-16000-mono.wav");
    let expected = place.run(&["listen", file.to_str().unwrap()]);
    assert_eq!((expected.code, expected.err.as_str()), (0, ""), "{expected:?}");
    assert!(expected.out.lines().count() > 1);
    let wav = std::fs::File::open(&file).unwrap();
    assert_eq!(ran(place.command(&["listen", "-"]).stdin(wav)).out, expected.out);
    let raw = place.path().join("raw");
    std::fs::write(&raw, &std::fs::read(&file).unwrap()[44..]).unwrap();
    for arguments in
        [&["listen", "-"][..], &["listen", "--format", "s16le", "--rate", "16000", "-"]]
    {
        let raw = std::fs::File::open(&raw).unwrap();
        assert_eq!(ran(place.command(arguments).stdin(raw)).out, expected.out);
    }
    let samples = clip("harbour-int16-16000-mono.wav");
    let stereo: Vec<u8> =
        samples.iter().flat_map(|s| [s.to_le_bytes(), s.to_le_bytes()].concat()).collect();
    std::fs::write(place.path().join("raw"), stereo).unwrap();
    let float = ["listen", "--format", "f32le", "--channels", "2", "-"];
    let raw = std::fs::File::open(&raw).unwrap();
    assert_eq!(ran(place.command(&float).stdin(raw)).out, expected.out);
}

#[test]
fn a_pipe_gets_json_lines_of_the_agreed_shape() {
    let place = Place::new();
    std::fs::write(place.path().join("raw"), pcm(&[speech(), speech()].concat())).unwrap();
    let raw = std::fs::File::open(place.path().join("raw")).unwrap();
    let ran = ran(place.command(&["listen", "-"]).stdin(raw));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let (mut confirmed, mut finals) = (String::new(), 0);
    for value in json_lines(&ran.out) {
        if let Some(text) = value["text"].as_str() {
            assert!(text.starts_with(&confirmed), "{value} after {confirmed:?}");
            assert_eq!(value["result"].as_array().unwrap().len(), text.split(' ').count());
            confirmed.clear();
            finals += 1;
        } else {
            let now = value["confirmed"].as_str().unwrap();
            assert!(now.starts_with(&confirmed), "{now:?} after {confirmed:?}");
            assert!(value["partial"].as_str().unwrap().starts_with(now));
            now.clone_into(&mut confirmed);
        }
    }
    assert!(finals >= 2, "{finals} segments");
}

#[test]
fn a_word_comes_out_while_the_pipe_is_open_and_the_last_with_ctrl_c() {
    let place = Place::new();
    let samples = clip("harbour-int16-16000-mono.wav");
    let mut command = place.command(&["listen", "-"]);
    let (mut child, stdin, mut lines) = fed(&mut command, &pcm(&samples[..36_000]));
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let first: Value = serde_json::from_str(&line).unwrap();
    assert!(first["partial"].is_string(), "{first}");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    let values = json_lines(&rest);
    let last = values.last().unwrap();
    let heard = last["time"].as_f64().unwrap();
    assert!((2.2..2.3).contains(&heard), "all that was sent is heard: {last}");
    let confirmed = values.iter().rev().find_map(|v| v["confirmed"].as_str()).unwrap_or("");
    assert!(last["text"].as_str().unwrap().starts_with(confirmed) && !last["text"].is_null());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(stdin);
}

#[test]
fn the_word_that_ctrl_c_interrupts_is_what_a_file_cut_there_gives() {
    let Some(model) = real_folder() else { return };
    let place = Place::new();
    let bytes = std::fs::read(clip_path("edges-int16-16000-mono.wav")).unwrap();
    let cut = &bytes[44..44 + 2 * 24_000];
    std::fs::write(place.path().join("raw"), cut).unwrap();
    let raw = std::fs::File::open(place.path().join("raw")).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("VIVAVOCE_MODEL", &model);
        command
    };
    let expected = json_lines(&ran(run(&["listen", "-"]).stdin(raw)).out).pop().unwrap();
    assert!(!expected["text"].as_str().unwrap().is_empty());
    let (mut child, _stdin, mut lines) = fed(&mut run(&["listen", "-"]), cut);
    let mut out = String::new();
    lines.read_line(&mut out).unwrap();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    lines.read_to_string(&mut out).unwrap();
    assert_eq!(json_lines(&out).pop().unwrap(), expected);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_was_heard_can_be_kept() {
    let place = Place::new();
    let file = clip_path("harbour-int16-16000-mono.wav");
    let ran = place.run(&["listen", "--save", "kept.wav", file.to_str().unwrap()]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let kept = std::fs::read(place.path().join("kept.wav")).unwrap();
    assert_eq!(kept[44..], std::fs::read(&file).unwrap()[44..]);
}

#[test]
fn wrong_settings_are_wrong_usage() {
    let place = Place::new();
    for (arguments, expected) in [
        (&["--endpoint-after-speech", "-1"][..], "endpoint"),
        (&["--endpoint-utterance", "0.5"], "utterance_s"),
        (&["--voice-threshold", "3"], "voice_threshold"),
        (&["--format", "s16le", "--rate", "100"], "8000"),
        (&["--format", "mp3"], "s16le"),
    ] {
        let ran = place.run(&[&["listen", "-"], arguments].concat());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(expected), "{ran:?}");
    }
}

/// Other speech, the phrase with words behind it in one breath, other speech.
#[test]
fn nothing_is_written_before_the_phrase_that_wakes_and_then_what_follows() {
    let Some(model) = real_folder() else { return };
    let model = model.to_str().unwrap();
    let place = Place::new();
    let [clock, harbour] =
        ["clock-float32-16000-mono.wav", "harbour-int16-16000-mono.wav"].map(clip);
    let pause = vec![0.0; 40_000];
    let samples = [&clock, &pause, &harbour, &pause, &clock, &pause].map(Vec::as_slice).concat();
    std::fs::write(place.path().join("raw"), pcm(&samples)).unwrap();
    let heard = |arguments: &[&str]| {
        let raw = std::fs::File::open(place.path().join("raw")).unwrap();
        let ran = ran(place
            .command(
                &[&["listen", "-", "--model", model, "--wake", "The little boat"], arguments]
                    .concat(),
            )
            .stdin(raw));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
        json_lines(&ran.out)
            .into_iter()
            .filter(|value| value["partial"].is_null())
            .collect::<Vec<Value>>()
    };
    let told = heard(&[]);
    let words: Vec<_> =
        told.iter().map(|v| v["wake"].as_str().or(v["text"].as_str()).unwrap()).collect();
    assert_eq!(words, ["the little boat", "came back to the harbour before the storm"]);
    // Whoever has begun to speak is heard to the end.
    assert_eq!(heard(&["--wake-seconds", "0.3"]), told);
    // Times are those of the whole stream.
    let begin_s = (clock.len() + pause.len()) as f64 / 16_000.0;
    let (woken, first) = (told[0]["time"].as_f64().unwrap(), &told[1]["result"][0]);
    assert!(woken > begin_s && woken < begin_s + 2.0, "{woken} after {begin_s}");
    assert!(first["start"].as_f64().unwrap() >= woken - 0.1, "{first}");
    let commands =
        ["storm", "night"].map(|end| format!("came back to the harbour before the {end}\n"));
    std::fs::write(place.path().join("commands"), commands.concat()).unwrap();
    let told = heard(&["--grammar", "commands"]);
    assert_eq!(told[1]["text"], "came back to the harbour before the storm");
    let refused = place.run(&["listen", "-", "--wake", "r2d2"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("--wake: line 1"), "{refused:?}");
}

#[test]
#[cfg(not(feature = "mic"))]
fn without_the_feature_a_microphone_is_an_error_that_tells_the_way() {
    for command in ["listen", "devices"] {
        let ran = Place::new().run(&[command]);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
        assert!(ran.err.contains("--features mic") && ran.err.contains("listen -"), "{ran:?}");
    }
}

/// What the terminal was sent.
fn on_a_terminal(place: &Place, arguments: &[&str], input: &[u8], columns: u16) -> String {
    let size = nix::pty::Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = nix::pty::openpty(&size, None).unwrap();
    let mut command = place.command(arguments);
    command.stdout(pty.slave.try_clone().unwrap()).stderr(pty.slave).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The command holds the slave's copies.
    drop(command);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let mut master = std::fs::File::from(pty.master);
    // The end of a terminal is an error.
    while let Ok(n @ 1..) = master.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..n]);
    }
    let _ = writer.join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    String::from_utf8(bytes).unwrap()
}

#[test]
fn on_a_terminal_words_become_confirmed_and_none_is_taken_back() {
    let place = Place::new();
    let input = pcm(&[speech(), speech()].concat());
    let sent = on_a_terminal(&place, &["listen", "--no-status", "-"], &input, 60);
    let raw = std::fs::write(place.path().join("raw"), &input)
        .and_then(|()| std::fs::File::open(place.path().join("raw")))
        .unwrap();
    let json = json_lines(&ran(place.command(&["listen", "-"]).stdin(raw)).out);
    let texts: Vec<String> =
        json.iter().filter_map(|v| Some(v["text"].as_str()?.to_owned())).collect();
    // Each drawing begins by clearing the line; what is plain in it stays, what is dim may change.
    let (mut left, mut confirmed, mut dim, mut segment) =
        (Vec::new(), String::new(), 0, String::new());
    for drawing in sent.split("\r\x1b[J").skip(1) {
        let (plain, tentative) = drawing.split_once("\x1b[2m").unwrap_or((drawing, ""));
        dim += usize::from(!tentative.is_empty());
        if let Some(line) = plain.strip_suffix("\r\n") {
            assert!(line.starts_with(confirmed.trim_end()), "{line:?} after {confirmed:?}");
            if !segment.is_empty() {
                segment.push(' ');
            }
            segment.push_str(line.trim_end());
            confirmed.clear();
            if texts.get(left.len()) == Some(&segment) {
                left.push(std::mem::take(&mut segment));
            }
        } else if !plain.is_empty() || !tentative.is_empty() {
            assert!(plain.starts_with(confirmed.trim_end()), "{plain:?} after {confirmed:?}");
            let shown =
                plain.chars().count() + tentative.trim_end_matches("\x1b[0m").chars().count();
            assert!(shown < 60, "one line only: {drawing:?}");
            plain.clone_into(&mut confirmed);
        }
    }
    assert!(dim > 0, "nothing was ever tentative");
    assert_eq!(left, texts);
    assert!(!texts.is_empty());
}

#[test]
fn the_status_line_shows_level_and_lag_and_goes() {
    let place = Place::new();
    let sent = on_a_terminal(&place, &["listen", "--timestamps", "-"], &pcm(&speech()), 80);
    assert!(sent.contains(" ms") && sent.contains("lag ") && sent.contains('█'), "{sent:?}");
    assert!(sent.contains("[00:0"), "{sent:?}");
    assert!(sent.ends_with("\r\x1b[J"), "the status is cleared: {sent:?}");
}

#[test]
fn a_segment_whose_letters_change_is_printed_once() {
    let Some(model) = real_folder() else { return };
    let place = Place::new();
    let arguments = ["listen", "--no-status", "--punctuate", "--model", model.to_str().unwrap()];
    let arguments = [&arguments[..], &["-"]].concat();
    let sent = on_a_terminal(&place, &arguments, &pcm(&speech()), 30);
    let left: Vec<_> =
        sent.split("\r\x1b[J").filter_map(|drawing| drawing.strip_suffix("\r\n")).collect();
    std::fs::write(place.path().join("raw"), pcm(&speech())).unwrap();
    let raw = std::fs::File::open(place.path().join("raw")).unwrap();
    let json = json_lines(&ran(place.command(&arguments).stdin(raw)).out);
    let texts: Vec<_> = json.iter().filter_map(|v| v["text"].as_str()).collect();
    assert!(texts.iter().any(|text| text.len() > 30), "{texts:?}");
    assert_eq!(left, texts);
}
