//! `vivavoce transcribe` on many files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::cli::{Place, Ran, json_lines, ran};
use crate::common::{PLAIN_WAV, babble, clip_path, write_wav};

/// `count` clips in `folder`, some in folders of it.
fn clips(place: &Place, folder: &str, count: usize) -> Vec<PathBuf> {
    let paths: Vec<_> = (0..count)
        .map(|i| PathBuf::from(format!("{folder}/part{}/clip{i:02}.wav", i % 3)))
        .collect();
    for (i, path) in paths.iter().enumerate() {
        let path = place.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_wav(&path, PLAIN_WAV, &babble(1.0, i as u32));
    }
    paths
}

/// Every file below `folder` with its text; one that a running program renames while this looks is seen the next time.
fn found(folder: &Path) -> BTreeMap<String, String> {
    let (mut all, mut folders) = (BTreeMap::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                match std::fs::read_to_string(path) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    read => drop(all.insert(name, read.unwrap())),
                }
            }
        }
    }
    all
}

fn is_result(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|e| e == "jsonl")
}

fn good(ran: Ran) -> String {
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    ran.out
}

#[test]
fn folders_lists_and_manifests_name_the_same_files() {
    let place = Place::new();
    let paths = clips(&place, "in", 6);
    let one_by_one: Vec<_> = paths.iter().map(|p| p.to_str().unwrap()).collect();
    let mut sorted = one_by_one.clone();
    sorted.sort_unstable();
    let expected = good(place.run(&[&["transcribe"], &sorted[..]].concat()));
    assert_eq!(expected.lines().count(), 6);
    assert_eq!(good(place.run(&["transcribe", "--recursive", "in"])), expected);

    std::fs::write(place.path().join("list.txt"), sorted.join("\n") + "\n\n").unwrap();
    assert_eq!(good(place.run(&["transcribe", "--files-from", "list.txt"])), expected);
    let list = std::fs::File::open(place.path().join("list.txt")).unwrap();
    let from_stdin = ran(place.command(&["transcribe", "--files-from", "-"]).stdin(list));
    assert_eq!(good(from_stdin), expected);

    let line = |path: &&str| {
        format!("{{\"audio_filepath\": \"{path}\", \"duration\": 1.0, \"text\": \"\"}}\n")
    };
    std::fs::write(place.path().join("all.jsonl"), sorted.iter().map(line).collect::<String>())
        .unwrap();
    assert_eq!(good(place.run(&["transcribe", "all.jsonl"])), expected);
    // Paths are also sought where the list is.
    let below = |path: &&str| line(&path.strip_prefix("in/").unwrap());
    std::fs::write(
        place.path().join("in/below.json"),
        sorted.iter().map(below).collect::<String>(),
    )
    .unwrap();
    assert_eq!(good(place.run(&["transcribe", "--files-from", "in/below.json"])), expected);
}

#[test]
fn a_folder_alone_is_not_descended_into() {
    let place = Place::new();
    clips(&place, "in", 1);
    std::fs::copy(place.path().join("one.wav"), place.path().join("in/one.wav")).unwrap();
    std::fs::write(place.path().join("in/notes.txt"), "no audio").unwrap();
    std::fs::write(place.path().join("in/.hidden.wav"), "no audio").unwrap();
    let out = good(place.run(&["transcribe", "in"]));
    assert!(out.starts_with("in/one.wav: ") && out.lines().count() == 1, "{out}");
    std::fs::create_dir(place.path().join("empty")).unwrap();
    let ran = place.run(&["transcribe", "empty"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("empty holds no audio files") && ran.err.contains("--recursive"),
        "{ran:?}"
    );
}

#[test]
fn ids_of_kaldi_stay_and_commands_are_refused() {
    let place = Place::new();
    let scp = "spk1-utt1 one.wav\nspk1-utt2 sph2pipe -f wav two.sph |\nspk2-utt1  two.wav\nspk2-utt1 one.wav\nalone\n";
    std::fs::write(place.path().join("wav.scp"), scp).unwrap();
    let ran = place.run(&["transcribe", "--format", "trn", "wav.scp"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let ids: Vec<_> = ran.out.lines().map(|l| l.rsplit_once('(').unwrap().1).collect();
    assert_eq!(ids, ["spk1-utt1)", "spk2-utt1)"], "{ran:?}");
    let errors: Vec<_> = ran.err.lines().collect();
    assert_eq!(errors.len(), 3, "{ran:?}");
    let has = |text: &str| errors.iter().filter(|e| e.contains(text)).count() == 1;
    assert!(
        has("wav.scp:2: spk1-utt2 is the output of a command, and commands are not run"),
        "{ran:?}"
    );
    assert!(has("wav.scp:4: the id spk2-utt1 is there twice"), "{ran:?}");
    assert!(has("wav.scp:5: expected an id and a path"), "{ran:?}");
    let ran = place.run(&["transcribe", "--format", "ctm", "wav.scp", "--output-dir", "out"]);
    assert_eq!(ran.code, 1);
    let files: Vec<_> = found(&place.path().join("out")).into_keys().collect();
    assert_eq!(files, ["spk1-utt1.ctm", "spk2-utt1.ctm"]);
}

#[test]
fn excerpts_of_a_manifest_are_cut_out() {
    let place = Place::new();
    let lines = "{\"audio_filepath\":\"two.wav\",\"offset\":1.5,\"duration\":1.0}\n\
                 {\"audio_filepath\":\"two.wav\",\"offset\":0.5,\"duration\":1.25,\"id\":\"mine\"}\n\
                 {\"audio_filepath\":\"two.wav\",\"offset\":-1,\"duration\":1.25}\n{broken\n";
    std::fs::write(place.path().join("cut.jsonl"), lines).unwrap();
    let ran = place.run(&["transcribe", "--format", "jsonl", "cut.jsonl"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("cut.jsonl:3: ") && ran.err.contains("cut.jsonl:4: "), "{ran:?}");
    let values = json_lines(&ran.out);
    let seen: Vec<_> = values.iter().map(|v| (v["id"].clone(), v["duration"].clone())).collect();
    assert_eq!(seen, [("two-0001500".into(), Value::from(1.0)), ("mine".into(), 1.25.into())]);
    let samples = babble(3.0, 2);
    write_wav(&place.path().join("part.wav"), PLAIN_WAV, &samples[24_000..40_000]);
    let alone = good(place.run(&["transcribe", "part.wav"]));
    assert_eq!(values[0]["text"], alone.trim());
}

#[test]
fn results_keep_folders_and_never_meet() {
    let place = Place::new();
    clips(&place, "in", 4);
    std::fs::copy(place.path().join("one.wav"), place.path().join("in/part0/clip00.wave")).unwrap();
    good(place.run(&["transcribe", "--recursive", "in", "--output-dir", "out"]));
    let files: Vec<_> = found(&place.path().join("out")).into_keys().collect();
    let expected = [
        "part0/clip00.wav.txt",
        "part0/clip00.wave.txt",
        "part0/clip03.txt",
        "part1/clip01.txt",
        "part2/clip02.txt",
    ];
    assert_eq!(files, expected);
    good(place.run(&[
        "transcribe",
        "in/part1/clip01.wav",
        "one.wav",
        "--format",
        "srt",
        "--output-dir",
    ]));
    assert!(
        place.path().join("in/part1/clip01.srt").exists() && place.path().join("one.srt").exists()
    );
    // The same name in two folders.
    good(place.run(&["transcribe", "in/part0", "in/part1", "--output-dir", "both"]));
    assert_eq!(found(&place.path().join("both")).len(), 4);
}

#[test]
fn what_is_there_is_replaced_only_on_request() {
    let place = Place::new();
    std::fs::write(place.path().join("one.txt"), "what was really said").unwrap();
    let ran = place.run(&["transcribe", "one.wav", "two.wav", "--output-dir"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
    assert!(
        ran.err.contains("one.txt is there already (1 of 2") && ran.err.contains("--overwrite"),
        "{ran:?}"
    );
    assert!(!place.path().join("two.txt").exists());
    good(place.run(&["transcribe", "one.wav", "two.wav", "--overwrite", "--output-dir"]));
    assert_ne!(
        std::fs::read_to_string(place.path().join("one.txt")).unwrap(),
        "what was really said"
    );
    let expected = good(place.run(&["transcribe", "one.wav", "two.wav"]));
    good(place.run(&["transcribe", "one.wav", "two.wav", "--output", "all.txt"]));
    assert_eq!(std::fs::read_to_string(place.path().join("all.txt")).unwrap(), expected);
}

#[test]
fn shards_are_a_partition_and_the_number_of_jobs_changes_nothing() {
    let place = Place::new();
    clips(&place, "in", 11);
    let all = good(place.run(&["transcribe", "-r", "in", "--jobs", "1"]));
    assert_eq!(good(place.run(&["transcribe", "-r", "in", "--jobs", "4"])), all);
    let mut shards = Vec::new();
    for i in 1..=3 {
        let out = good(place.run(&["transcribe", "-r", "in", "--shard", &format!("{i}/3")]));
        assert!((3..=4).contains(&out.lines().count()), "{out}");
        shards.extend(out.lines().map(str::to_owned));
    }
    shards.sort_unstable();
    assert_eq!(shards, all.lines().collect::<Vec<_>>());
}

#[test]
fn wrong_combinations_are_usage_errors() {
    let place = Place::new();
    for arguments in [
        &["one.wav", "two.wav", "--format", "srt"][..],
        &["one.wav", "--format", "vtt", "--stream"],
        &["one.wav", "--output-dir", "two.wav"],
        &["one.wav", "--resume"],
        &["one.wav", "--shard", "0/2"],
        &["one.wav", "--shard", "3/2"],
        &["one.wav", "--jobs", "0"],
        &["one.wav", "--max-cue-duration", "0"],
        &["one.wav", "--format", "doc"],
    ] {
        let ran = place.run(&[&["transcribe"], arguments].concat());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}: {ran:?}");
        assert!(!ran.err.is_empty());
    }
}

/// Good and broken files; the program is killed in the middle and started again.
#[cfg(unix)]
#[test]
fn a_batch_that_was_killed_is_resumed_with_nothing_lost_or_doubled() {
    let place = Place::new();
    let paths = clips(&place, "in", 60);
    let broken: Vec<_> = paths.iter().step_by(13).collect();
    for path in &broken {
        std::fs::write(place.path().join(path), "RIFFno audio at all").unwrap();
    }
    let plain: &[&str] = &["transcribe", "-r", "in", "--format", "jsonl", "--jobs", "2"];
    let whole = place.run(plain);
    assert_eq!(whole.code, 1);
    let expected: BTreeMap<_, _> = json_lines(&whole.out)
        .into_iter()
        .map(|v| (v["id"].as_str().unwrap().to_owned() + ".jsonl", v))
        .collect();
    assert_eq!(expected.len(), 60 - broken.len());

    let out = place.path().join("out");
    let resumed = [plain, &["--output-dir", "out", "--resume"]].concat();
    let mut child = place.command(&resumed).stderr(std::process::Stdio::null()).spawn().unwrap();
    while !out.exists() || found(&out).keys().filter(|n| is_result(n)).count() < 10 {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let results = |whole: bool| -> BTreeMap<String, String> {
        found(&out).into_iter().filter(|(name, _)| is_result(name) == whole).collect()
    };
    let before = results(true);
    for (name, text) in &before {
        assert_eq!(&serde_json::from_str::<Value>(text).unwrap(), &expected[name], "{name}");
    }

    let ran = place.run(&resumed);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains(&format!("{} of 60 files are done already", before.len())), "{ran:?}");
    for path in &broken {
        let named = ran
            .err
            .lines()
            .filter(|l| l.starts_with("error: ") && l.contains(path.to_str().unwrap()));
        assert_eq!(named.count(), 1, "{ran:?}");
    }
    let after = results(true);
    assert_eq!(after.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, text) in &after {
        assert_eq!(&serde_json::from_str::<Value>(text).unwrap(), &expected[name], "{name}");
    }
    assert!(results(false).is_empty(), "{:?}", results(false).keys());
    let again = place.run(&resumed);
    assert_eq!((again.code, again.err.lines().count()), (1, 1 + broken.len()), "{again:?}");
}

#[cfg(unix)]
#[test]
fn a_pipe_that_results_are_written_to_stays_one() {
    use std::os::unix::fs::FileTypeExt;

    let place = Place::new();
    let pipe = place.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = pipe.clone();
    let heard = std::thread::spawn(move || std::fs::read_to_string(reader).unwrap());
    let arguments = ["transcribe", "one.wav", "--format", "txt"];
    let ran = place.run(&[&arguments[..], &["--output", "pipe"]].concat());
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""), "{ran:?}");
    assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert_eq!(heard.join().unwrap(), good(place.run(&arguments)));
}

#[test]
fn an_id_counts_once_in_all_lists() {
    let place = Place::new();
    std::fs::write(place.path().join("a.scp"), "x one.wav\ny two.wav\nx two.wav\n").unwrap();
    std::fs::write(place.path().join("b.scp"), "y one.wav\nz one.wav\n").unwrap();
    let ran = place.run(&["transcribe", "--format", "trn", "a.scp", "b.scp"]);
    let ids = ran.out.lines().map(|line| line.rsplit(' ').next().unwrap()).collect::<Vec<_>>();
    assert_eq!((ran.code, ids), (1, vec!["(x)", "(y)", "(z)"]), "{ran:?}");
    for twice in ["a.scp:3: the id x is there twice", "b.scp:1: the id y is there twice"] {
        assert!(ran.err.contains(twice), "{ran:?}");
    }
}

#[cfg(unix)]
#[test]
fn whoever_breaks_off_a_file_gets_what_was_heard_of_it() {
    use std::io::{Read, Write};
    use std::process::Stdio;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let place = Place::new();
    let story = std::fs::read(clip_path("story-int16-16000-mono.wav")).unwrap();
    let broken_off = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A pipe holds 64 KiB: once this is written the work is under way.
        stdin.write_all(&story[..story.len() / 2]).unwrap();
        kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
        // Whoever waits for sound when the signal comes looks when there is more.
        let _ = stdin.write_all(&story[story.len() / 2..]);
        let (mut out, mut err) = (String::new(), String::new());
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (child.wait().unwrap().code(), out, err)
    };
    let (code, out, err) = broken_off(&["transcribe", "--format", "srt", "-"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("stopped at 0:0") && err.contains("the result ends there"), "{err}");
    let path = clip_path("story-int16-16000-mono.wav");
    let whole = place.run(&["transcribe", "--format", "srt", path.to_str().unwrap()]).out;
    let words = |cues: &str| -> Vec<String> {
        let shown = cues.lines().filter(|l| !l.contains("-->") && l.parse::<u32>().is_err());
        shown.flat_map(str::split_whitespace).map(str::to_owned).collect()
    };
    let (told, all) = (words(&out), words(&whole));
    assert!(told.len() > 10 && told.len() < all.len() && out.ends_with("\n\n"), "{out}");
    // The last second may be heard otherwise: the tiny model says some twenty words in it, and padding follows here.
    let same = told.iter().zip(&all).take_while(|(one, other)| one == other).count();
    assert!(same + 40 >= told.len() && same > 100, "{same} of {}: {out}\n{whole}", told.len());
    // A part in a folder would pass for the whole when the work is taken up again.
    let folder = place.path().join("results");
    let (code, out, err) =
        broken_off(&["transcribe", "--output-dir", folder.to_str().unwrap(), "-"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("stopped: 0 of 1 files are done"), "{err}");
    assert!(std::fs::read_dir(&folder).map_or(0, Iterator::count) == 0);
}
