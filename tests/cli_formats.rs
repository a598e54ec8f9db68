//! The formats of `vivavoce transcribe --format`, compared with each other. Parsers by others read them in tests/formats.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cli::Place;

/// A word with start and end in milliseconds.
type Word = (String, u64, u64);

fn run(place: &Place, format: &str, more: &[&str]) -> String {
    let ran = place.run(&[&["transcribe", "--format", format], more].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    ran.out
}

fn ms(seconds: &str) -> u64 {
    (seconds.parse::<f64>().unwrap() * 1000.0).round() as u64
}

fn words(document: &Value) -> Vec<Word> {
    let of = |w: &Value, key: &str| (w[key].as_f64().unwrap() * 1000.0).round() as u64;
    let all = document["result"].as_array().unwrap().iter();
    all.map(|w| (w["word"].as_str().unwrap().to_owned(), of(w, "start"), of(w, "end"))).collect()
}

fn texts(words: &[Word]) -> Vec<&str> {
    words.iter().map(|(word, _, _)| word.as_str()).collect()
}

/// Milliseconds of `00:01:02,345`.
fn clock(text: &str) -> u64 {
    let parts: Vec<u64> = text.split([':', ',', '.']).map(|p| p.parse().unwrap()).collect();
    ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1000 + parts[3]
}

#[test]
fn every_format_has_the_same_words_and_times() {
    let place = Place::new();
    let document: Value = serde_json::from_str(&run(&place, "json", &["two.wav"])).unwrap();
    let expected = words(&document);
    assert!(expected.len() > 5);
    let text = texts(&expected).join(" ");
    assert_eq!(document["text"], text);
    let line = run(&place, "jsonl", &["two.wav"]);
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), document);
    assert_eq!(
        run(&place, "txt", &["two.wav"]).split_whitespace().collect::<Vec<_>>().join(" "),
        text
    );
    assert_eq!(run(&place, "trn", &["two.wav"]), format!("{text} (two)\n"));

    let ctm = run(&place, "ctm", &["two.wav"]);
    let rows = ctm.lines().map(|l| l.split(' ').collect::<Vec<_>>());
    let from_ctm: Vec<Word> = rows
        .map(|r| {
            assert_eq!((r.len(), r[0], r[1]), (6, "two", "1"), "{r:?}");
            assert!((0.0..=1.0).contains(&r[5].parse::<f64>().unwrap()));
            (r[4].to_owned(), ms(r[2]), ms(r[2]) + ms(r[3]))
        })
        .collect();
    assert_eq!(from_ctm, expected);

    let table = run(&place, "csv", &["two.wav"]);
    let rows =
        csv::Reader::from_reader(table.as_bytes()).into_deserialize::<BTreeMap<String, String>>();
    let from_csv: Vec<Word> = rows
        .map(|row| {
            let row = row.unwrap();
            assert_eq!((row["file"].as_str(), row["id"].as_str()), ("two.wav", "two"));
            (row["word"].clone(), ms(&row["start"]), ms(&row["end"]))
        })
        .collect();
    assert_eq!(from_csv, expected);

    let stm = run(&place, "stm", &["two.wav"]);
    let mut rest = expected.as_slice();
    for line in stm.lines() {
        let fields: Vec<_> = line.splitn(6, ' ').collect();
        assert_eq!(fields[..3], ["two", "1", "unknown"]);
        let (now, later) = rest.split_at(fields[5].split(' ').count());
        assert_eq!(fields[5], texts(now).join(" "));
        assert_eq!(ms(fields[3]), now.iter().map(|w| w.1).min().unwrap());
        assert_eq!(ms(fields[4]), now.iter().map(|w| w.2).max().unwrap());
        rest = later;
    }
    assert!(rest.is_empty());
    assert_eq!(stm.lines().count(), document["segments"].as_array().unwrap().len());

    for (format, arrow) in [("srt", ','), ("vtt", '.')] {
        let out =
            run(&place, format, &["two.wav", "--max-line-width", "12", "--max-cue-duration", "2"]);
        let (mut heard, mut before) = (Vec::new(), 0);
        for cue in out.split("\n\n").filter(|cue| cue.contains("-->")) {
            let (head, text) = cue.split_once(" --> ").unwrap();
            let (end, text) = text.split_once('\n').unwrap();
            let start = head.lines().last().unwrap();
            assert!(start.contains(arrow), "{cue}");
            assert!(before <= clock(start) && clock(start) < clock(end), "{cue}");
            assert!(clock(end) - clock(start) <= 2000 && text.lines().count() <= 2, "{cue}");
            assert!(text.lines().all(|l| l.len() <= 12), "{cue}");
            before = clock(end);
            heard.extend(text.split_whitespace().map(str::to_owned));
        }
        assert_eq!(heard.join(" "), text, "{format}");
    }
}

#[test]
fn json_tells_how_it_came_about() {
    let place = Place::new();
    let out = run(&place, "json", &["one.wav", "--alternatives", "2", "--latency", "balanced"]);
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&value["file"], &value["id"]), (&"one.wav".into(), &"one".into()));
    assert_eq!((&value["model"], &value["latency"]), (&"tiny".into(), &"balanced".into()));
    assert_eq!(value["duration"], 2.0);
    assert_eq!(value["segments"][0]["alternatives"][0]["text"], value["segments"][0]["text"]);
}

#[test]
fn several_files_share_one_document() {
    let place = Place::new();
    let both: Value = serde_json::from_str(&run(&place, "json", &["one.wav", "two.wav"])).unwrap();
    let ids: Vec<_> = both.as_array().unwrap().iter().map(|d| d["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["one", "two"]);
    let table = run(&place, "csv", &["one.wav", "two.wav"]);
    assert_eq!(table.lines().filter(|l| l.starts_with("file,")).count(), 1);
    let lines = run(&place, "txt", &["one.wav", "two.wav"]);
    assert!(lines.lines().all(|l| l.starts_with("one.wav: ") || l.starts_with("two.wav: ")));
}

/// The numbers of `value` as they were written, by key, in order.
fn numbers(value: &Value, key: &str, out: &mut Vec<(String, String)>) {
    match value {
        Value::Number(number) => out.push((key.to_owned(), number.to_string())),
        Value::Array(all) => all.iter().for_each(|value| numbers(value, key, out)),
        Value::Object(all) => all.iter().for_each(|(key, value)| numbers(value, key, out)),
        _ => {}
    }
}

#[test]
fn numbers_have_one_form_in_all_json() {
    let place = Place::new();
    let words = |arguments: &[&str]| {
        let ran = place.run(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
        let last = ran.out.trim().lines().last().unwrap();
        let whole: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|_| serde_json::from_str(last).unwrap());
        let mut all = Vec::new();
        numbers(&whole, "", &mut all);
        assert!(all.len() > 10, "{whole}");
        for (key, number) in all {
            let decimals = number.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            assert!(decimals <= 3, "{arguments:?}: {key} {number}");
        }
        whole["result"].clone()
    };
    let stream = words(&["transcribe", "two.wav", "--stream", "--json", "--alternatives", "3"]);
    let whole = words(&["transcribe", "two.wav", "--json", "--alternatives", "3"]);
    let format = ["transcribe", "two.wav", "--format", "json", "--no-endpoints"];
    assert_eq!(stream, whole);
    assert_eq!(stream, words(&format));
    assert_eq!(stream, words(&["listen", "two.wav", "--no-endpoints"]));
}
