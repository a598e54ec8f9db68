//! `vivavoce bench` and `vivavoce align`.

use serde_json::Value;

use crate::cli::Place;

fn reports(json: &str) -> Vec<Value> {
    serde_json::from_str::<Vec<Value>>(json).unwrap()
}

#[test]
fn a_bench_reports_every_figure_of_every_stream() {
    let place = Place::new();
    let ran = place.run(&[
        "bench",
        "--unpaced",
        "--seconds",
        "1",
        "--streams",
        "3",
        "--runs",
        "2",
        "--json",
        "one.wav",
        "two.wav",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let report = &reports(&ran.out)[0];
    let number = |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap();
    // Three streams of one second, twice.
    assert!((number("/audio_s") - 6.0).abs() < 0.01, "{}", ran.out);
    assert!(number("/real_time_factor") > 0.0 && number("/bytes_per_stream") > 0.0);
    // Blocks of 320 ms, and what is left at the end.
    assert!(number("/block_latency_ms/count") >= 18.0, "{}", ran.out);
    assert!(number("/final_after_end_ms/count") >= 6.0);
    let stages = report["stages"].as_object().unwrap();
    let sum: f64 = stages.values().map(|v| v.as_f64().unwrap()).sum();
    assert!(stages.len() == 5 && stages.values().all(|v| v.as_f64().unwrap() > 0.0), "{stages:?}");
    assert!(sum > 0.0);
    assert_eq!(report["block_latency_distribution_ms"].as_array().unwrap().len(), 101);
}

#[test]
fn a_paced_bench_says_how_late_chunks_were_taken() {
    let place = Place::new();
    let ran = place.run(&["bench", "--seconds", "0.3", "--jsonl", "one.wav"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let report: Value = serde_json::from_str(ran.out.lines().next().unwrap()).unwrap();
    assert_eq!(report["queue_lag_ms"]["count"], 15, "{}", ran.out);
    assert_eq!(report["paced"], true);
}

#[test]
fn a_sweep_can_be_drawn_and_compared_with_an_earlier_one() {
    let place = Place::new();
    let run = |more: &[&str]| {
        let base = ["bench", "--unpaced", "--seconds", "0.5", "--sweep", "beam", "one.wav"];
        place.run(&[&base[..], more].concat())
    };
    if cfg!(not(feature = "plot")) {
        assert!(run(&["--plot", "bench.svg"]).err.contains("feature plot"));
        return;
    }
    assert_eq!(run(&["--plot", "bench.png"]).code, 0);
    let png = std::fs::read(place.path().join("bench.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG") && png.len() > 5000, "{} bytes", png.len());
    let first = run(&["--json", "--plot", "bench.svg"]);
    assert_eq!(first.code, 0, "{}", first.err);
    assert_eq!(reports(&first.out).len(), 6);
    let svg = std::fs::read_to_string(place.path().join("bench.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("</svg>") && svg.contains("beam 32"));
    std::fs::write(place.path().join("old.json"), &first.out).unwrap();
    let second = run(&["--compare", "old.json"]);
    assert_eq!(second.code, 0, "{}", second.err);
    assert_eq!(second.err.matches("real-time factor x ").count(), 6, "{}", second.err);
    assert!(second.out.contains("word emission"), "{}", second.out);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = Place::new();
    for (arguments, code, named) in [
        (&["bench", "--plot", "bench.gif", "one.wav"][..], 2, "bench.gif"),
        (&["bench", "--compare", "none.json", "one.wav"], 1, "none.json"),
        (&["bench", "--times", "none.ctm", "one.wav"], 1, "none.ctm"),
        (&["bench", "none.wav"], 1, "none.wav"),
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}");
        assert!(ran.out.is_empty() && ran.err.contains(named), "{arguments:?}: {}", ran.err);
    }
    assert_eq!(place.run(&["bench"]).code, 2);
    assert_eq!(place.run(&["bench", "--latency", "none", "one.wav"]).code, 2);
}

#[test]
fn align_gives_every_word_of_the_text_its_time() {
    let place = Place::new();
    std::fs::write(place.path().join("one.txt"), "A b, a\n").unwrap();
    let ran = place.run(&["align", "one.wav"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let rows: Vec<Vec<&str>> = ran.out.lines().map(|l| l.split(' ').collect()).collect();
    assert_eq!(rows.iter().map(|r| r[4]).collect::<Vec<_>>(), ["a", "b", "a"], "{}", ran.out);
    let mut last = 0.0;
    for row in &rows {
        let (start, length): (f64, f64) = (row[2].parse().unwrap(), row[3].parse().unwrap());
        assert!(row[0] == "one" && start >= last && length > 0.0 && start + length <= 2.01);
        last = start;
    }
    let ran = place.run(&["align", "--json", "--text", "b", "two.wav"]);
    let value: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&value["complete"], &value["result"][0]["word"]), (&true.into(), &"b".into()));
}

#[test]
fn align_names_the_words_that_it_does_not_know() {
    let place = Place::new();
    let ran = place.run(&["align", "--text", "a xylophone", "one.wav"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("not in the lexicon: xylophone"), "{}", ran.err);
    let ran = place.run(&["align", "one.wav"]);
    assert!(ran.code == 1 && ran.err.contains("FILE.txt"), "{}", ran.err);
}

#[test]
fn what_attention_looks_at_is_printed_and_drawn() {
    let place = Place::new();
    let ran = place.run(&["inspect", "attention", "one.wav", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let trace: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let (frames, width) = (trace["num_frames"].as_u64(), trace["block_frames"].as_u64());
    let (frames, width) = (frames.unwrap(), width.unwrap());
    let steps = trace["steps"].as_array().unwrap();
    let ends = steps.iter().filter(|s| s["ends_block"] == true).count() as u64;
    assert_eq!(ends, frames.div_ceil(width));
    for step in steps {
        for head in step["weights"].as_array().unwrap() {
            let head: Vec<f64> =
                head.as_array().unwrap().iter().map(|w| w.as_f64().unwrap()).collect();
            assert!((head.iter().sum::<f64>() - 1.0).abs() < 1e-4, "{head:?}");
            assert!(step["first_frame"].as_u64().unwrap() + head.len() as u64 <= frames);
        }
    }
    for arguments in [&[][..], &["--json", "--latency", "none"]] {
        let ran = place.run(&[&["inspect", "attention", "one.wav"], arguments].concat());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
    }
    let ran = place.run(&["inspect", "attention", "one.wav", "--out", "x.gif"]);
    assert!(ran.code == 2 && ran.err.contains("x.gif"), "{ran:?}");
    if cfg!(feature = "plot") {
        for name in ["heat.svg", "heat.png", "heat.html"] {
            let ran = place.run(&["inspect", "attention", "one.wav", "--out", name]);
            assert_eq!(ran.code, 0, "{}", ran.err);
            assert!(std::fs::metadata(place.path().join(name)).unwrap().len() > 5000, "{name}");
        }
    }
}
