//! `OpenAI`'s REST interface.

use std::io::Write;

use serde_json::{Value, json};

use super::{Answer, Server};
use crate::common::{clip_path, real, root};
use vivavoce::{EndpointOptions, StreamOptions};

/// Posts a form.
fn post(server: &Server, file: &[u8], fields: &[(&str, &str)]) -> Answer {
    let mut body = Vec::new();
    for (name, value) in fields {
        let head = format!("--edge\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend(format!("{head}{value}\r\n").into_bytes());
    }
    body.extend(
        b"--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n",
    );
    body.extend(file);
    body.extend(b"\r\n--edge--\r\n");
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: multipart/form-data; \
         boundary=edge\r\ncontent-length: {}\r\n\r\n",
        server.address,
        body.len()
    );
    let mut stream = server.tcp();
    stream.write_all(head.as_bytes()).unwrap();
    // The server may refuse before it has read all.
    let _ = stream.write_all(&body);
    Answer::read(&mut stream)
}

/// What `transcribe --format` hears in a file.
fn transcribed(path: &std::path::Path) -> String {
    let options = StreamOptions::default().endpoints(EndpointOptions::default().sleep(false));
    let source = vivavoce::audio::open(path).unwrap();
    real().unwrap().transcribe(source, &options).unwrap().text()
}

/// File, fields; status, field to blame, what the message has.
type Case<'a> = (&'a [u8], &'a [(&'a str, &'a str)], u16, &'a str, &'a str);

/// The objects of a stream of events.
fn events(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let (events, rest) = text.split_once("data: [DONE]\n\n").expect("an end");
    assert_eq!(rest, "");
    let parse = |event: &str| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
    events.split("\n\n").filter(|event| !event.is_empty()).map(parse).collect()
}

#[test]
fn files_of_every_kind_say_what_transcribe_says_whole_or_as_it_is_found() {
    let Some(server) = Server::start(&[]) else { return };
    let media = root().join("tests/media");
    let mut files = vec![
        clip_path("story-int16-16000-mono.wav"),
        clip_path("market-float32-48000-stereo.wav"),
        clip_path("window-uint8-8000-mono.wav"),
    ];
    if cfg!(feature = "media") {
        files
            .extend(["clock.mp3", "clock.opus", "clock.flac", "clock.webm"].map(|n| media.join(n)));
    }
    for path in files {
        let file = std::fs::read(&path).unwrap();
        let expected = transcribed(&path);
        let answer = post(&server, &file, &[("model", "whisper-1")]);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["text"], expected, "{}", path.display());
        let answer = post(&server, &file, &[("stream", "true")]);
        assert!(answer.head.contains("content-type: text/event-stream"), "{}", answer.head);
        let events = events(&answer);
        let (done, deltas) = events.split_last().unwrap();
        assert_eq!(done, &json!({"type": "transcript.text.done", "text": expected}));
        let joined: String = deltas.iter().map(|d| d["delta"].as_str().unwrap()).collect();
        assert_eq!(joined, expected);
        assert!(deltas.len() > 1);
    }
    server.wait_until_empty();
}

#[test]
fn every_format_has_the_same_words() {
    let Some(server) = Server::start(&[]) else { return };
    let file = std::fs::read(clip_path("story-int16-16000-mono.wav")).unwrap();
    let ask = |format: &str, more: &[(&str, &str)]| {
        let answer = post(&server, &file, &[&[("response_format", format)], more].concat());
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    };
    let expected = transcribed(&clip_path("story-int16-16000-mono.wav"));
    assert_eq!(ask("text", &[]).text(), format!("{expected}\n"));
    let spoken = |subtitles: &str| -> String {
        let lines = subtitles.lines().filter(|l| {
            !l.is_empty() && !l.contains("-->") && *l != "WEBVTT" && l.parse::<u32>().is_err()
        });
        lines.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(spoken(&ask("srt", &[]).text()), expected);
    assert_eq!(spoken(&ask("vtt", &[]).text()), expected);

    let both = [("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")];
    let verbose = ask("verbose_json", &both).json();
    let words = verbose["words"].as_array().unwrap();
    let joined: Vec<_> = words.iter().map(|w| w["word"].as_str().unwrap()).collect();
    assert_eq!(joined.join(" "), expected);
    let segments = verbose["segments"].as_array().unwrap();
    let joined: Vec<_> = segments.iter().map(|s| s["text"].as_str().unwrap()).collect();
    assert_eq!(joined.join(" "), expected);
    assert!(segments.len() > 1);
    for (i, segment) in segments.iter().enumerate() {
        assert_eq!(segment["id"], i);
        assert!(segment["start"].as_f64() < segment["end"].as_f64());
        assert_eq!(segment.as_object().unwrap().len(), 10);
    }
    assert!((verbose["duration"].as_f64().unwrap() - 59.12).abs() < 0.5, "{}", verbose["duration"]);
    assert!(ask("verbose_json", &[]).json().get("words").is_none());
    assert!(ask("verbose_json", &both[..1]).json().get("segments").is_none());
    let log_probs = ask("json", &[("include[]", "logprobs")]).json();
    let tokens = log_probs["logprobs"].as_array().unwrap();
    assert!(tokens.iter().all(|t| t["logprob"].as_f64().unwrap() <= 0.0));
    assert_eq!(tokens.len(), words.len());
}

#[test]
fn refusals_have_the_shape_that_clients_read() {
    let Some(server) = Server::start(&["--max-body-bytes", "300000", "--max-seconds", "3"]) else {
        return;
    };
    let file = std::fs::read(clip_path("window-uint8-8000-mono.wav")).unwrap();
    let long = std::fs::read(clip_path("harbour-int16-16000-mono.wav")).unwrap();
    let many = "x".repeat(400_000);
    let cases: [Case; 11] = [
        (&file, &[("response_format", "diarized_json")], 400, "response_format", "diarized_json"),
        (&file, &[("language", "de")], 400, "language", "\"de\""),
        (
            &file,
            &[("stream", "true"), ("response_format", "srt")],
            400,
            "response_format",
            "stream",
        ),
        (&file, &[("stream", "maybe")], 400, "stream", "true nor false"),
        (
            &file,
            &[("timestamp_granularities[]", "word")],
            400,
            "timestamp_granularities",
            "verbose",
        ),
        (b"not audio at all, whatever its name", &[], 400, "file", "Invalid file format"),
        (b"", &[], 400, "file", "missing"),
        (&file, &[("latency", "never")], 400, "", "never"),
        (&file, &[("keywords[]", "a\nb")], 400, "", "no phrase"),
        (&long, &[], 400, "file", "more than 3 seconds"),
        (many.as_bytes(), &[], 413, "", "Maximum content size limit (300000) exceeded ("),
    ];
    for (file, fields, status, param, message) in cases {
        let answer = post(&server, file, fields);
        assert_eq!(answer.status, status, "{answer:?}");
        let error = &answer.json()["error"];
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
        assert_eq!(error["param"].as_str().unwrap_or_default(), param, "{error}");
        assert_eq!(error["type"], "invalid_request_error");
        assert!(error.get("code").is_some() && answer.head.contains("x-request-id: req_"));
    }
    let gone = server.get("/v1/models/gpt-4", "");
    assert_eq!(
        (gone.status, gone.json()["error"]["code"].as_str()),
        (404, Some("model_not_found"))
    );
    assert_eq!(server.get("/v1/models/en-small", "").json()["id"], "en-small");
    assert_eq!(server.get("/v1/models", "").json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(server.get("/v1/../etc/passwd", "").status, 404);
    server.wait_until_empty();
}
