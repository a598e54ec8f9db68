//! `OpenAI`'s Realtime interface: commits.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{Client, Server, clip_i16, heard, pcm, text};

fn client(server: &Server) -> Client {
    let mut client = server.socket("/v1/realtime?intent=transcription");
    assert_eq!(client.answer()["type"], "session.created");
    let format = json!({"type": "audio/pcm", "rate": 16_000});
    let input = json!({"format": format, "turn_detection": null});
    let session = json!({"type": "transcription", "audio": {"input": input}});
    client.text(&json!({"type": "session.update", "session": session}).to_string());
    assert_eq!(client.answer()["type"], "session.updated");
    client
}

/// Commits after every piece; gives the transcripts in order, each checked against its deltas.
fn committed(server: &Server, audio: &[u8], size: usize) -> Vec<String> {
    let mut client = client(server);
    let mut commits = 0;
    for piece in audio.chunks(size) {
        let audio = BASE64_STANDARD.encode(piece);
        client.text(&json!({"type": "input_audio_buffer.append", "audio": audio}).to_string());
        client.text("{\"type\": \"input_audio_buffer.commit\"}");
        commits += 1;
    }
    let (mut items, mut deltas) = (Vec::new(), BTreeMap::<String, String>::new());
    let mut last = Value::Null;
    let mut transcripts = Vec::new();
    while transcripts.len() < commits {
        let event = client.answer();
        let kind = event["type"].as_str().unwrap().to_owned();
        let id = event["item_id"].as_str().unwrap_or_default().to_owned();
        match kind.as_str() {
            "input_audio_buffer.committed" => {
                assert_eq!(event["previous_item_id"], last);
                last = event["item_id"].clone();
                items.push(id);
            }
            "conversation.item.input_audio_transcription.delta" => {
                *deltas.entry(id).or_default() += event["delta"].as_str().unwrap();
            }
            "conversation.item.input_audio_transcription.completed" => {
                assert_eq!(id, items[transcripts.len()], "items end in their order");
                let transcript = event["transcript"].as_str().unwrap();
                assert_eq!(transcript, deltas.get(&id).map_or("", String::as_str));
                transcripts.push(transcript.to_owned());
            }
            "conversation.item.added" => {}
            _ => panic!("{event}"),
        }
    }
    transcripts
}

fn joined(transcripts: &[String]) -> String {
    let said = transcripts.iter().map(String::as_str).filter(|text| !text.is_empty());
    said.collect::<Vec<_>>().join(" ")
}

#[test]
fn commits_neither_lose_a_word_nor_cut_one_in_two_however_often_they_come() {
    let Some(server) = Server::start(&[]) else { return };
    let (samples, rate) = clip_i16("story-int16-16000-mono.wav");
    let samples = &samples[..(rate * 25) as usize];
    let audio = pcm(samples);
    let whole = committed(&server, &audio, audio.len());
    assert_eq!(whole, [text(&heard(samples, rate))]);
    for milliseconds in [1000, 330, 100] {
        let items = committed(&server, &audio, (rate * 2) as usize * milliseconds / 1000);
        assert_eq!(joined(&items), whole[0], "a commit every {milliseconds} ms");
        assert!(items.iter().filter(|text| !text.is_empty()).count() > 5, "{items:?}");
    }
    server.wait_until_empty();
}

#[test]
fn an_item_ends_though_nothing_follows_and_the_next_begins_afresh() {
    let Some(server) = Server::start(&[]) else { return };
    let (samples, rate) = clip_i16("harbour-int16-16000-mono.wav");
    let expected = text(&heard(&samples, rate));
    let mut client = client(&server);
    let append = json!({"type": "input_audio_buffer.append", "audio": BASE64_STANDARD.encode(pcm(&samples))});
    for turn in 0..2 {
        client.text(&append.to_string());
        client.text("{\"type\": \"input_audio_buffer.commit\"}");
        let completed = loop {
            let event = client.answer();
            if event["type"].as_str().unwrap().ends_with("completed") {
                break event;
            }
        };
        assert_eq!(completed["transcript"], expected);
        assert_eq!(completed["item_id"], format!("item_{turn}"));
    }
    // Nothing was appended since.
    client.text("{\"type\": \"input_audio_buffer.commit\", \"event_id\": \"mine\"}");
    let error = client.answer();
    assert_eq!(error["error"]["code"], "input_audio_buffer_commit_empty");
    assert_eq!(error["error"]["event_id"], "mine");
}
