//! The conversation of vosk-server, as its clients hold it.

use serde_json::{Value, json};

use super::{Server, clip_i16, heard, pcm, text};
use crate::common::clip_path;

/// Sends audio in lockstep, as every sample client does, and gives the results and the number of partial ones.
fn lockstep(server: &Server, config: Option<Value>, audio: &[u8], size: usize) -> Vec<Value> {
    let mut client = server.socket("/");
    if let Some(config) = config {
        client.text(&json!({ "config": config }).to_string());
    }
    let mut results = Vec::new();
    for piece in audio.chunks(size) {
        client.bytes(piece);
        let answer = client.answer();
        // FreeSWITCH takes whatever has no partial for a result, and any "" for an empty one.
        assert_ne!(answer.get("partial").is_some(), answer.get("text").is_some(), "{answer}");
        if answer.get("text").is_some() {
            results.push(answer);
        }
    }
    client.text("{\"eof\" : 1}");
    results.push(client.answer());
    assert_eq!(client.closed(), 1000);
    results
}

fn joined(results: &[Value]) -> String {
    let texts = results.iter().map(|r| r["text"].as_str().unwrap()).filter(|t| !t.is_empty());
    texts.collect::<Vec<_>>().join(" ")
}

fn words(results: &[Value]) -> Vec<(String, f64, f64)> {
    let all = results.iter().flat_map(|r| r["result"].as_array().cloned().unwrap_or_default());
    all.map(|w| {
        let time = |key: &str| w[key].as_f64().unwrap();
        (w["word"].as_str().unwrap().to_owned(), time("start"), time("end"))
    })
    .collect()
}

#[test]
fn words_and_times_are_those_of_the_library_however_audio_is_cut() {
    let Some(server) = Server::start(&[]) else { return };
    let (mut samples, rate) = clip_i16("harbour-int16-16000-mono.wav");
    samples.resize(samples.len() + 40_000, 0);
    samples.extend(clip_i16("edges-int16-16000-mono.wav").0);
    let expected = heard(&samples, rate);
    assert!(expected.len() > 1 && text(&expected).split(' ').count() > 8);
    let all_words = expected.iter().flat_map(|s| &s.result);
    let expected_words: Vec<_> = all_words.map(|w| (w.word.clone(), w.start, w.end)).collect();
    let audio = pcm(&samples);
    for size in [777, 3200, 8000, 64_000, 1 << 20] {
        let results = lockstep(&server, Some(json!({"sample_rate": 16000.0})), &audio, size);
        assert_eq!(joined(&results), text(&expected), "{size} bytes a message");
        assert_eq!(words(&results), expected_words, "{size} bytes a message");
    }
    let short = &samples[..8000];
    let expected = text(&heard(short, rate));
    let results = lockstep(&server, Some(json!({"sample_rate": 16000})), &pcm(short), 1);
    assert_eq!(joined(&results), expected, "a byte a message");
    server.wait_until_empty();
}

#[test]
fn without_a_config_it_is_telephony_or_what_the_header_says() {
    let Some(server) = Server::start(&[]) else { return };
    let (samples, rate) = clip_i16("kitchen-int16-8000-mono.wav");
    let expected = text(&heard(&samples, rate));
    assert!(!expected.is_empty());
    assert_eq!(joined(&lockstep(&server, None, &pcm(&samples), 3200)), expected);
    // A file with its header, and one that says another rate than the server takes for granted.
    for name in ["kitchen-int16-8000-mono.wav", "harbour-int16-16000-mono.wav"] {
        let file = std::fs::read(clip_path(name)).unwrap();
        let (samples, rate) = clip_i16(name);
        let expected = text(&heard(&samples, rate));
        for size in [4000, 15, file.len()] {
            assert_eq!(joined(&lockstep(&server, None, &file, size)), expected, "{name}: {size}");
        }
    }
}

#[test]
fn a_reset_gives_the_result_and_the_stream_goes_on() {
    let Some(server) = Server::start(&[]) else { return };
    let (samples, _) = clip_i16("harbour-int16-16000-mono.wav");
    let mut client = server.socket("/asr/en/");
    client.text("{\"config\" : {\"sample_rate\" : \"16000\", \"words\" : 0}}");
    let mut results = Vec::new();
    for _ in 0..2 {
        client.bytes(&pcm(&samples));
        let answer = client.answer();
        results.extend(answer.get("text").is_some().then_some(answer));
        client.text("{\"reset\" : 1}");
        results.push(client.answer());
    }
    // A result that was given is not given again.
    client.bytes(b"{\"eof\" : 1}");
    assert_eq!(client.answer(), json!({"text": ""}));
    assert_eq!(client.closed(), 1000);
    assert!(results.iter().all(|result| result.get("result").is_none()));
    let alone = text(&heard(&samples, 16_000));
    assert_eq!(joined(&results), format!("{alone} {alone}"));
}

#[test]
fn what_was_asked_for_is_given() {
    let Some(server) = Server::start(&[]) else { return };
    let (samples, _) = clip_i16("harbour-int16-16000-mono.wav");
    let audio = pcm(&samples);
    let ask = |config: Value| {
        let results = lockstep(&server, Some(config), &audio, 1 << 20);
        // A whole phrase ends its segment before the stream does.
        results.into_iter().rfind(|result| result["text"] != "").unwrap()
    };
    let base = json!({"sample_rate": 16000});
    let with = |key: &str, value: Value| {
        let mut config = base.clone();
        config[key] = value;
        config
    };
    let mut client = server.socket("/");
    client.text(&json!({"config": with("max_alternatives", json!(3))}).to_string());
    client.bytes(&audio);
    client.answer();
    client.text("{\"eof\":1}");
    let answer = client.answer();
    let readings = answer["alternatives"].as_array().unwrap();
    assert!((2..=3).contains(&readings.len()), "{answer}");
    assert_eq!(readings[0]["text"], text(&heard(&samples, 16_000)));
    assert!(readings[0]["result"].is_array());
    assert_ne!(readings[0]["text"], readings[1]["text"]);

    let phrases = json!([
        "[unk]",
        "before the storm",
        "the little boat came back to the harbour before the storm"
    ]);
    let answer = ask(with("phrase_list", phrases));
    assert_eq!(answer["text"], "the little boat came back to the harbour before the storm");
    let answer = ask(with("punctuate", json!(true)));
    assert!(answer["text"].as_str().unwrap().starts_with("The "), "{answer}");
    let answer = ask(with("hotwords", json!(["little boat"])));
    assert!(answer["text"].as_str().unwrap().contains("little boat"), "{answer}");
}

#[test]
fn what_cannot_be_understood_ends_with_the_right_code_and_no_answer() {
    let Some(server) = Server::start(&["--max-message-bytes", "65536"]) else { return };
    let closes: [(&str, u16); 6] = [
        ("not json", 1003),
        ("[1]", 1003),
        ("{\"config\":{\"sample_rate\":10}}", 1008),
        ("{\"config\":{\"phrase_list\":\"one\"}}", 1008),
        ("{\"config\":{\"hotwords\":[\"a<b\"]}}", 1008),
        ("{\"config\":{\"latency\":\"none\"}}", 1008),
    ];
    for (message, code) in closes {
        let mut client = server.socket("/");
        client.text(message);
        // What is wrong with a list or a mode shows when the stream is opened.
        let _ = client.socket.send(tungstenite::Message::binary(vec![0; 320]));
        assert_eq!(client.closed(), code, "{message}");
    }
    let mut client = server.socket("/");
    client.bytes(&vec![0; 70_000]);
    assert_eq!(client.closed(), 1009);
    let mut client = server.socket("/");
    client.bytes(
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x03\0\x01\0\x80\x3e\0\0\0\0\0\0\x04\0\x20\0data\0\0\0\0",
    );
    assert_eq!(client.closed(), 1003);
    server.wait_until_empty();
}
