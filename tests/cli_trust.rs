//! What the program must never do to its user: destroy a file, drop a result, or end because nobody reads its messages.

use std::path::Path;
use std::process::Stdio;

use crate::cli::{Place, Ran, json_lines, ran};
use crate::common::{PLAIN_WAV, babble, write_wav};

fn bytes(place: &Place, name: &str) -> Vec<u8> {
    std::fs::read(place.path().join(name)).unwrap()
}

fn write(place: &Place, name: &str, content: impl AsRef<[u8]>) {
    std::fs::write(place.path().join(name), content).unwrap();
}

/// Names in a folder of the place, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn refused(ran: &Ran, what: &str) {
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
    assert!(ran.err.contains(what), "{what}: {ran:?}");
}

#[test]
fn no_input_is_written_to_under_any_name() {
    let place = Place::new();
    write(&place, "list.jsonl", "{\"audio_filepath\": \"one.wav\"}\n");
    write(&place, "words.txt", "a b\n");
    std::fs::hard_link(place.path().join("one.wav"), place.path().join("linked.txt")).unwrap();
    std::fs::create_dir(place.path().join("sub")).unwrap();
    std::fs::copy(place.path().join("one.wav"), place.path().join("sub/a.txt")).unwrap();
    for (arguments, input) in [
        (&["transcribe", "one.wav", "--output", "one.wav"][..], "one.wav"),
        (&["transcribe", "one.wav", "--output", "sub/../one.wav"], "one.wav"),
        (&["transcribe", "one.wav", "--output", "linked.txt"], "one.wav"),
        (&["transcribe", "list.jsonl", "--output", "list.jsonl"], "list.jsonl"),
        (&["transcribe", "--files-from", "list.jsonl", "--output", "list.jsonl"], "list.jsonl"),
        (&["transcribe", "list.jsonl", "--output", "one.wav"], "one.wav"),
        (&["transcribe", "one.wav", "--hotwords", "words.txt", "-o", "words.txt"], "words.txt"),
        (&["transcribe", "one.wav", "--output", "tokens.txt"], "tokens.txt"),
        (&["transcribe", "sub/a.txt", "--output-dir"], "sub/a.txt"),
        (&["listen", "one.wav", "--save", "one.wav"], "one.wav"),
        (&["evaluate", ".", "--words", "one.wav"], "one.wav"),
    ] {
        if input == "one.wav" && arguments[0] == "evaluate" {
            write(&place, "one.txt", "a");
        }
        let before = bytes(&place, input);
        for overwrite in [&[][..], &["--overwrite"]] {
            let ran = place.run(&[arguments, overwrite].concat());
            refused(&ran, "cannot be written: it is the input");
            assert!(bytes(&place, input) == before, "{arguments:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_an_input_is_the_input() {
    let place = Place::new();
    std::os::unix::fs::symlink("one.wav", place.path().join("link.txt")).unwrap();
    let before = bytes(&place, "one.wav");
    refused(&place.run(&["transcribe", "one.wav", "-o", "link.txt", "--overwrite"]), "the input");
    refused(&place.run(&["listen", "one.wav", "--save", "link.txt", "--overwrite"]), "the input");
    assert!(bytes(&place, "one.wav") == before);
}

#[test]
fn one_rule_for_whatever_is_there_already() {
    let place = Place::new();
    write(&place, "one.txt", "a");
    for (arguments, file) in [
        (&["transcribe", "one.wav", "--output", "there"][..], "there"),
        (&["listen", "one.wav", "--save", "there"], "there"),
        (&["evaluate", ".", "--words", "there"], "there"),
        #[cfg(feature = "plot")]
        (&["inspect", "attention", "one.wav", "--out", "there.svg"], "there.svg"),
        #[cfg(feature = "plot")]
        (&["bench", "one.wav", "--unpaced", "--plot", "there.svg"], "there.svg"),
    ] {
        write(&place, file, "work of years");
        refused(&place.run(arguments), "is there already: --overwrite replaces it");
        assert_eq!(bytes(&place, file), b"work of years", "{arguments:?}");
        let ran = place.run(&[arguments, &["--overwrite"]].concat());
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        assert_ne!(bytes(&place, file), b"work of years", "{arguments:?}");
    }
}

#[test]
fn each_excerpt_and_each_file_has_its_own_result() {
    let place = Place::new();
    write(
        &place,
        "cut.jsonl",
        "{\"audio_filepath\":\"two.wav\",\"offset\":0.5,\"duration\":1.0}\n\
         {\"audio_filepath\":\"two.wav\",\"offset\":0.5,\"duration\":2.0}\n\
         {\"audio_filepath\":\"two.wav\",\"offset\":0.5,\"duration\":2.0}\n",
    );
    let ran = place.run(&["transcribe", "cut.jsonl", "--format", "jsonl", "--output-dir", "out"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let expected = ["two-0000500-0001000.jsonl", "two-0000500-0002000.jsonl"];
    assert_eq!(names(&place.path().join("out")), expected);

    std::fs::copy(place.path().join("one.wav"), place.path().join("talk.wav")).unwrap();
    std::fs::copy(place.path().join("two.wav"), place.path().join("talk.wave")).unwrap();
    let ran = place.run(&["transcribe", "talk.wav", "talk.wave", "--output-dir", "both"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(names(&place.path().join("both")), ["talk.wav.txt", "talk.wave.txt"]);
}

#[test]
fn ids_that_name_nothing_or_two_things_are_told() {
    let place = Place::new();
    let line = |id: &str| format!("{{\"audio_filepath\":\"one.wav\",\"id\":\"{id}\"}}\n");
    let ids = ["good", "good", "", "..", "nul\\u0000here", "line\\nbreak"];
    write(&place, "ids.jsonl", ids.map(line).concat());
    let ran = place.run(&["transcribe", "ids.jsonl", "--format", "trn"]);
    assert_eq!((ran.code, ran.out.lines().count()), (1, 1), "{ran:?}");
    for expected in [
        "ids.jsonl:2: the id good is there twice",
        "ids.jsonl:3: the id \"\" names nothing",
        "ids.jsonl:4: the id \"..\" names nothing",
        "ids.jsonl:5: the id \"nul\\0here\" has a control character in it",
        "ids.jsonl:6: the id \"line\\nbreak\" has a control character in it",
    ] {
        assert_eq!(ran.err.matches(expected).count(), 1, "{expected}: {ran:?}");
    }
    // Two files that only a longer path would tell apart.
    std::fs::create_dir(place.path().join("sub")).unwrap();
    let arguments = ["transcribe", "../one.wav", "one.wav"];
    std::fs::copy(place.path().join("one.wav"), place.path().join("sub/one.wav")).unwrap();
    let run = |more: &[&str]| {
        let arguments = [&arguments, more].concat();
        let mut command = place.command(&arguments);
        crate::cli::ran(command.current_dir(place.path().join("sub")).env("VIVAVOCE_MODEL", ".."))
    };
    refused(&run(&["--output-dir", "out"]), "../one.wav and one.wav would both be written to");
    let told = run(&["--format", "trn"]);
    assert!(told.err.contains("../one.wav and one.wav have the same id"), "{told:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_utf8_are_names_all_the_same() {
    use std::os::unix::ffi::OsStrExt;

    let place = Place::new();
    let name =
        |byte: u8| std::ffi::OsStr::from_bytes(&[b'a', byte, b'.', b'w', b'a', b'v']).to_owned();
    std::fs::create_dir(place.path().join("in")).unwrap();
    for (i, byte) in [0xfe, 0xff].into_iter().enumerate() {
        let path = place.path().join("in").join(name(byte));
        write_wav(&path, PLAIN_WAV, &babble(1.0, i as u32));
    }
    let ran = place.run(&["transcribe", "in", "--output-dir", "out"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert_eq!(names(&place.path().join("out")), ["a%FE.txt", "a%FF.txt"]);
    let list = [b"in/a\xfe.wav\n".as_slice(), b"one.wav\n", b"in/a\xff.wav\n"].concat();
    write(&place, "list.txt", list);
    let ran = place.run(&["transcribe", "--files-from", "list.txt", "--format", "jsonl"]);
    let files: Vec<_> = json_lines(&ran.out).iter().map(|v| v["file"].clone()).collect();
    assert_eq!(files, ["in/a%FE.wav", "one.wav", "in/a%FF.wav"], "{ran:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn nobody_has_to_read_the_messages() {
    let place = Place::new();
    write(&place, "bad.wav", "no audio");
    write(&place, "cut.wav", &bytes(&place, "one.wav")[..40_000]);
    let files = ["bad.wav", "cut.wav", "one.wav", "bad.wav", "two.wav"];
    let arguments = [&["transcribe"], &files[..]].concat();
    let expected = place.run(&arguments);
    assert_eq!((expected.code, expected.out.lines().count()), (1, 3), "{expected:?}");
    for stream in [&[][..], &["--stream"], &["--output-dir", "out"]] {
        let arguments = [&arguments, stream].concat();
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ran_full = ran(place.command(&arguments).stderr(full));
        assert_eq!(ran_full.code, 1, "{ran_full:?}");
        if stream.is_empty() {
            assert_eq!(ran_full.out, expected.out);
        }
        let mut command = place.command(&[&arguments[..], &["--overwrite"]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stderr.take());
        let closed = child.wait_with_output().unwrap();
        assert_eq!(closed.status.code(), Some(1));
        if stream.is_empty() {
            assert_eq!(String::from_utf8(closed.stdout).unwrap(), expected.out);
        }
    }
    assert_eq!(names(&place.path().join("out")).len(), 3);
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_saved_is_a_failure() {
    let place = Place::new();
    let ran = place.run(&["listen", "one.wav", "--save", "/dev/full"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("cannot write /dev/full"), "{ran:?}");
    assert!(ran.out.lines().count() > 0, "listening goes on");
    let ran = place.run(&["transcribe", "one.wav", "--output", "/dev/full"]);
    assert_eq!(ran.code, 1, "{ran:?}");
}

#[test]
fn where_there_should_be_audio_and_is_none_the_user_is_told() {
    let place = Place::new();
    write_wav(&place.path().join("empty.wav"), PLAIN_WAV, &[]);
    write(
        &place,
        "cut.jsonl",
        "{\"audio_filepath\":\"two.wav\",\"offset\":5,\"duration\":1}\n\
         {\"audio_filepath\":\"two.wav\",\"offset\":2,\"duration\":5}\n",
    );
    let ran = place.run(&["transcribe", "empty.wav"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("empty.wav: there is no audio in it"), "{ran:?}");
    let ran = place.run(&["transcribe", "cut.jsonl"]);
    assert_eq!((ran.code, ran.out.lines().count()), (1, 1), "{ran:?}");
    let beyond = "two.wav: the excerpt from 5 s on begins behind the end at 3.00 s";
    assert!(ran.err.contains(beyond), "{ran:?}");
    let short = "warning: two.wav: the excerpt from 2 s to 7 s goes on behind the end at 3.00 s";
    assert!(ran.err.contains(short), "{ran:?}");
    let ran = place.run(&["listen", "-"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("there is no audio in it"), "{ran:?}");
}

#[test]
fn a_file_on_its_way_has_a_name_that_nobody_can_guess() {
    let place = Place::new();
    write(&place, "victim", "precious");
    #[cfg(unix)]
    for guess in [".one.txt.part", ".all.txt.part"] {
        std::os::unix::fs::symlink("victim", place.path().join(guess)).unwrap();
    }
    let long = format!("{}.wav", "n".repeat(251));
    std::fs::copy(place.path().join("one.wav"), place.path().join(&long)).unwrap();
    let ran = place.run(&["transcribe", "one.wav", &long, "--output-dir"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let ran = place.run(&["transcribe", "one.wav", "--output", "all.txt"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(bytes(&place, "victim"), b"precious");
    assert!(place.path().join(format!("{}.txt", "n".repeat(251))).exists());
    // What was left behind goes; what merely looks like it does not.
    write(&place, ".vivavoce-abcdef.part", "");
    write(&place, ".other.part", "");
    let ran = place.run(&["transcribe", "two.wav", "--output-dir"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let left = names(place.path());
    assert!(!left.contains(&".vivavoce-abcdef.part".into()), "{left:?}");
    assert!(left.contains(&".other.part".into()), "{left:?}");
}

#[test]
fn two_runs_on_one_folder_do_not_disturb_each_other() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("in")).unwrap();
    for i in 0..30 {
        let path = place.path().join(format!("in/clip{i:02}.wav"));
        write_wav(&path, PLAIN_WAV, &babble(0.5, i));
    }
    let arguments = ["transcribe", "in", "--output-dir", "out", "--resume", "--jobs", "2"];
    let children: Vec<_> = (0..3)
        .map(|_| {
            let mut command = place.command(&arguments);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{err}");
        assert!(!err.contains("error"), "{err}");
    }
    assert_eq!(names(&place.path().join("out")).len(), 30);
}

#[test]
fn a_bench_without_end_is_refused() {
    let place = Place::new();
    for seconds in ["nan", "inf", "0", "-1"] {
        let ran = place.run(&["bench", "one.wav", &format!("--seconds={seconds}")]);
        refused(&ran, "expected a length in seconds above 0");
    }
}

#[cfg(feature = "media")]
#[test]
fn listen_knows_the_files_that_transcribe_knows() {
    let place = Place::new();
    for name in ["clock.flac", "clock.ogg", "voip-6k.opus", "clock.webm", "clock.m4a", "clock.mp3"]
    {
        let path = crate::common::root().join("tests/media").join(name);
        let file = || std::fs::File::open(&path).unwrap();
        let heard = ran(place.command(&["listen", "-", "--json"]).stdin(file()));
        let expected = place.run(&["listen", path.to_str().unwrap(), "--json"]);
        assert_eq!((heard.code, heard.out), (0, expected.out), "{name}: {}", heard.err);
    }
}

#[cfg(unix)]
#[test]
fn what_a_folder_lists_and_nobody_can_look_at_is_told() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("in")).unwrap();
    std::fs::copy(place.path().join("one.wav"), place.path().join("in/one.wav")).unwrap();
    std::os::unix::fs::symlink("gone.wav", place.path().join("in/lost.wav")).unwrap();
    let ran = place.run(&["transcribe", "in", "--output-dir", "out"]);
    assert_eq!((ran.code, ran.err.lines().count()), (1, 1), "{ran:?}");
    assert!(ran.err.contains("in/lost.wav"), "{ran:?}");
    assert_eq!(names(&place.path().join("out")), ["one.txt"]);
}
