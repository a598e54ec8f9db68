//! `vivavoce bench serve`, which measures a server from outside.

use serde_json::Value;

use super::Server;
use crate::cli::{Ran, ran};
use crate::common::clip_path;

fn bench(server: &Server, arguments: &[&str]) -> Ran {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vivavoce"));
    command.args(["bench", "serve", &format!("ws://{}", server.address), "--json"]);
    command.args(["harbour-int16-16000-mono.wav", "edges-int16-16000-mono.wav"].map(clip_path));
    ran(command
        .env("VIVAVOCE_MODEL", crate::common::root().join("models/en-small"))
        .args(arguments))
}

fn reports(ran: &Ran) -> Vec<Value> {
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"))
}

#[test]
fn streams_at_the_pace_of_speech_are_counted_and_their_words_compared() {
    let Some(server) = Server::start(&["--max-streams", "3", "--api-key", "k"]) else { return };
    // However slow this machine is, nothing is lost by it.
    let patient = ["--seconds", "3", "--target-ms", "60000", "--api-key", "k", "--streams"];
    let fine = bench(&server, &[&patient[..], &["3"]].concat());
    assert_eq!(fine.code, 0, "{fine:?}");
    let report = &reports(&fine)[0];
    let number = |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap();
    assert_eq!((report["kept"].as_bool(), number("/streams")), (Some(true), 3.0));
    // A message of 100 ms each has its answer; three results end the streams.
    assert_eq!((number("/answer_ms/count"), number("/final_ms/count")), (90.0, 3.0), "{report}");
    assert!(number("/word_ms/count") > 8.0 && number("/speech") > 0.1, "{report}");
    assert!(number("/wall_s") > 2.9 && number("/server_cores") > 0.0, "{report}");
    assert!(number("/server_bytes_most") >= number("/server_bytes"), "{report}");
    server.wait_until_empty();

    // A fourth finds no place.
    let full = bench(&server, &[&patient[..], &["4"]].concat());
    assert_eq!(full.code, 1, "{full:?}");
    let report = &reports(&full)[0];
    assert_eq!((&report["lost"], &report["kept"]), (&1.into(), &false.into()), "{report}");
    assert!(full.err.contains("closed: 1013"), "{full:?}");
    server.wait_until_empty();

    // Another search says other words, which is noticed.
    let other = bench(&server, &[&patient[..], &["2", "--search", "greedy"]].concat());
    assert_eq!((other.code, &reports(&other)[0]["different"]), (1, &2.into()), "{other:?}");
}

#[test]
fn the_largest_number_of_streams_is_found() {
    let Some(server) = Server::start(&["--max-streams", "2"]) else { return };
    let searched = ["--largest", "--seconds", "1", "--target-ms", "60000"];
    let found = bench(&server, &searched);
    assert_eq!(found.code, 0, "{found:?}");
    assert!(found.err.contains("2 streams keep 60000 ms"), "{found:?}");
    let tried = reports(&found);
    let tried: Vec<_> =
        tried.iter().map(|r| (r["streams"].as_u64(), r["kept"].as_bool())).collect();
    let expected = [(1, true), (2, true), (4, false), (3, false)];
    assert_eq!(tried, expected.map(|(streams, kept)| (Some(streams), Some(kept))));
}

#[test]
fn a_server_that_is_not_there_loses_every_stream_and_other_schemes_are_refused() {
    let place = crate::cli::Place::new();
    let ran =
        place.run(&["bench", "serve", "ws://127.0.0.1:9", "--seconds", "0.2", "--json", "one.wav"]);
    assert_eq!((ran.code, &reports(&ran)[0]["lost"]), (1, &1.into()), "{ran:?}");
    let ran = place.run(&["bench", "serve", "ftp://127.0.0.1", "one.wav"]);
    assert!(ran.code == 1 && ran.err.contains("ws://HOST:PORT"), "{ran:?}");
}
