//! A long file that was broken off is gone on with.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::cli::{Place, ran};
use crate::common::{PLAIN_WAV, babble, write_wav};

fn segments(path: &Path) -> Vec<Value> {
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    document["segments"].as_array().unwrap().clone()
}

fn end_s(segment: &Value) -> f64 {
    segment["end"].as_f64().unwrap()
}

#[test]
fn resume_goes_on_inside_a_file_that_was_broken_off() {
    let place = Place::new();
    let at = |name: &str| place.path().join(name);
    write_wav(&at("talk.wav"), PLAIN_WAV, &babble(900.0, 7));
    let wanted = ["transcribe", "talk.wav", "--format", "json", "--output", "talk.json"];
    let journal = at(".talk.json.segments");
    let mut command = place.command(&wanted);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while !journal.exists() {
        assert!(child.try_wait().unwrap().is_none(), "done before it could be broken off");
        std::thread::sleep(Duration::from_millis(1));
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let told = child.wait_with_output().unwrap();
    let told = (told.status.code(), String::from_utf8(told.stderr).unwrap());
    assert_eq!(told.0, Some(1), "{told:?}");
    assert!(told.1.contains("; --resume goes on from there"), "{told:?}");
    let kept = std::fs::read_to_string(&journal).unwrap();
    let kept: Vec<Value> =
        kept.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!kept.is_empty() && end_s(segments(&at("talk.json")).last().unwrap()) < 890.0);

    let resumed = ran(place.command(&wanted).arg("--resume"));
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert!(resumed.err.starts_with("talk.wav: goes on at 0:"), "{resumed:?}");
    assert!(!journal.exists());
    let again = ran(place.command(&wanted).arg("--resume"));
    assert_eq!((again.code, again.err.as_str()), (0, "talk.json is done already\n"));

    let whole =
        place.run(&["transcribe", "talk.wav", "--format", "json", "--output", "whole.json"]);
    assert_eq!(whole.code, 0, "{whole:?}");
    let (parts, whole) = (segments(&at("talk.json")), segments(&at("whole.json")));
    // Up to the seam all is as it was; behind it times go on, to the same end.
    assert_eq!(parts[..kept.len()], whole[..kept.len()]);
    assert!(parts.windows(2).all(|two| end_s(&two[0]) <= two[1]["start"].as_f64().unwrap() + 0.3));
    let (one, other) = (end_s(parts.last().unwrap()), end_s(whole.last().unwrap()));
    assert!((one - other).abs() < 2.0 && other > 890.0, "{one} {other}");

    // What only has the name of a journal is nobody's to remove.
    std::fs::write(at(".other.json.segments"), "mine").unwrap();
    let other =
        place.run(&["transcribe", "talk.wav", "--format", "json", "--output", "other.json"]);
    assert_eq!(other.code, 0, "{other:?}");
    assert_eq!(std::fs::read(at(".other.json.segments")).unwrap(), b"mine");

    let nowhere = place.run(&["transcribe", "talk.wav", "--resume"]);
    assert_eq!(nowhere.code, 2, "{nowhere:?}");
    assert!(nowhere.err.contains("say --output or --output-dir"), "{nowhere:?}");
}
