//! `vivavoce evaluate` on folders and shards.

use serde_json::Value;

use crate::cli::Place;

/// A folder `speech/` in `place` with two clips whose texts are what the small model says, the second with a word more.
fn speech(place: &Place) -> (String, String) {
    let folder = place.path().join("speech");
    std::fs::create_dir(&folder).unwrap();
    let mut texts = Vec::new();
    for (name, more) in [("one", ""), ("two", " indeed")] {
        let file = format!("{name}.wav");
        std::fs::copy(place.path().join(&file), folder.join(&file)).unwrap();
        let text = place.run(&["transcribe", &file]).out.trim().to_owned() + more;
        std::fs::write(folder.join(name).with_extension("txt"), text.to_uppercase() + ".\n")
            .unwrap();
        texts.push(text);
    }
    std::fs::write(folder.join("untold.wav"), "a file without text is left out").unwrap();
    (texts.remove(0), texts.remove(0))
}

fn figures(place: &Place, arguments: &[&str]) -> Value {
    let ran = place.run(&[&["evaluate", "--json"], arguments].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn a_folder_is_measured() {
    let place = Place::new();
    let (one, two) = speech(&place);
    let words = one.split(' ').count() + two.split(' ').count();
    let set = figures(&place, &["speech"])["speech"].clone();
    assert_eq!(set["utterances"], 2);
    assert_eq!(set["failed"], 0);
    assert_eq!(set["word"]["reference"], words);
    assert_eq!(set["word"]["deletions"], 1);
    assert!((set["word"]["rate"].as_f64().unwrap() - 1.0 / words as f64).abs() < 1e-9, "{set}");
    assert_eq!(set["audio_s"], 5.0);

    let ran = place.run(&["evaluate", "speech", "--limit", "1", "--show"]);
    assert_eq!(ran.code, 0);
    let row: Vec<_> = ran.out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..4], ["speech", "1", &one.split(' ').count().to_string(), "0.0"], "{ran:?}");
    assert!(ran.err.contains(&format!("ref {one}\n  hyp {one}")), "{ran:?}");
}

#[test]
fn shards_with_a_manifest_are_measured() {
    let place = Place::new();
    let (one, two) = speech(&place);
    let folder = place.path().join("shards");
    std::fs::create_dir(&folder).unwrap();
    let tar = |shard: &str, files: &[(&str, &str)]| {
        let mut archive = tar::Builder::new(std::fs::File::create(folder.join(shard)).unwrap());
        for (file, name) in files {
            archive.append_path_with_name(place.path().join(file), name).unwrap();
        }
        archive.finish().unwrap();
    };
    tar("near-00.tar", &[("one.wav", "a.wav")]);
    tar("near-01.tar", &[("two.wav", "b.wav")]);
    tar("far-00.tar", &[("two.wav", "a.wav"), ("one.wav", "c.wav")]);
    let manifest = format!(
        "id\tset\tsplit\tspeaker\tseconds\ttext\na\tnear\tdev\tx\t2.0\t{one}\nb\tnear\tdev\tx\t3.0\t{two}\n\
         a\tfar\tdev\ty\t3.0\t{two}\nc\tfar\ttrain\ty\t2.0\t{one}\n"
    );
    std::fs::write(folder.join("manifest.tsv"), manifest).unwrap();
    let all = figures(&place, &["shards"]);
    assert_eq!((&all["near"]["utterances"], &all["far"]["utterances"]), (&2.into(), &1.into()));
    assert_eq!(
        (&all["near"]["word"]["deletions"], &all["far"]["word"]["deletions"]),
        (&1.into(), &1.into())
    );
    let train = figures(&place, &["shards", "--split", "train"]);
    assert!(train["near"].is_null());
    assert_eq!(train["far"]["word"]["rate"], 0.0);
    let far = figures(&place, &["shards", "--set", "far", "--jobs", "1", "--phones"]);
    assert!(far["near"].is_null() && far["far"]["utterances"] == 1);
}

#[test]
fn what_cannot_be_read_is_counted_and_named() {
    let place = Place::new();
    speech(&place);
    let folder = place.path().join("speech");
    std::fs::write(folder.join("bad.wav"), "no audio").unwrap();
    std::fs::write(folder.join("bad.txt"), "some words").unwrap();
    let ran = place.run(&["evaluate", "--json", "speech"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("bad.wav"), "{ran:?}");
    let value: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&value["speech"]["utterances"], &value["speech"]["failed"]),
        (&3.into(), &1.into())
    );
}

#[test]
fn folders_without_speech_are_refused() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("empty")).unwrap();
    let ran = place.run(&["evaluate", "empty"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("empty: no utterance with text"), "{ran:?}");
    let ran = place.run(&["evaluate", "nowhere"]);
    assert!(ran.code == 1 && ran.err.contains("nowhere"), "{ran:?}");
    let bad = place.path().join("empty/manifest.tsv");
    std::fs::write(bad, "id\tset\n").unwrap();
    let ran = place.run(&["evaluate", "empty"]);
    assert!(ran.code == 1 && ran.err.contains("manifest.tsv: no column split"), "{ran:?}");
}

#[cfg(feature = "media")]
#[test]
fn audio_of_any_kind_is_evaluated() {
    let place = Place::new();
    let folder = place.path().join("speech");
    std::fs::create_dir(&folder).unwrap();
    let names = ["clock.flac", "clock.mp3", "clock.ogg", "clock.m4a", "clock.webm", "voip-6k.opus"];
    for name in names {
        std::fs::copy(crate::common::root().join("tests/media").join(name), folder.join(name))
            .unwrap();
    }
    for stem in ["clock", "voip-6k"] {
        std::fs::write(folder.join(stem).with_extension("txt"), "a b").unwrap();
    }
    let ran = place.run(&["evaluate", "--json", "speech"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(value["speech"]["utterances"], names.len());
}

#[test]
fn no_work_at_once_is_no_work_and_is_refused() {
    let place = Place::new();
    speech(&place);
    let ran = place.run(&["evaluate", "speech", "--jobs", "0"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("--jobs"), "{ran:?}");
}
