//! What a run begins with: files that the repository has anyway, and `seeds/TARGET/`, which holds what was once found.

use std::path::{Path, PathBuf};

use vivavoce::transcript::Final;

use crate::common::{config_json, in_8_bits, phone_tokens, root, serialize, tensors};

fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(root().join(folder))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)))
        .collect();
    found.sort();
    found
}

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    std::fs::read(root().join(path)).unwrap()
}

/// The first `most` bytes, so that runs are short.
fn short(paths: Vec<PathBuf>, most: usize) -> Vec<Vec<u8>> {
    paths
        .iter()
        .map(|path| read(path))
        .map(|bytes| bytes[..bytes.len().min(most)].to_vec())
        .collect()
}

/// The seeds of a target.
///
/// # Panics
/// If a file cannot be read.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let texts = |all: &[&str]| all.iter().map(|text| text.as_bytes().to_vec()).collect();
    let mut found: Vec<Vec<u8>> = match target {
        "wav" => short(
            [files("audio-samples", &[".wav"]), files("tests/media", &[".wav"])].concat(),
            4_000,
        ),
        "opus" => short(files("tests/media", &[".opus"]), 6_000),
        "media" => {
            let endings =
                [".flac", ".mp3", ".ogg", ".m4a", ".aac", ".aiff", ".mkv", ".webm", ".mp4"];
            let all = (0_u8..).zip(endings).flat_map(|(kind, ending)| {
                files("tests/media", &[ending]).into_iter().map(move |path| {
                    let mut bytes = read(path);
                    bytes.insert(0, kind);
                    bytes
                })
            });
            all.collect()
        }
        "hotwords" => {
            texts(&["# names\na fed : 2.5\nbee\n\nnguyen = W IH N : 7\n", "\u{feff}bed bead\r\n"])
        }
        "grammar" => texts(&[
            "a bed\nfed bee\n",
            "#JSGF V1.0;\ngrammar home;\npublic <go> = (a | bee)+ [fed] <how>* /2/ x {tag};\n<how> = bed;\n",
        ]),
        "config" => {
            let mut all = vec![config_json(false).into_bytes()];
            all.push(read("models/en-small/config.json"));
            all
        }
        "tokens" => vec![phone_tokens().into_bytes()],
        "lexicon" => vec![read("tests/golden/lexicon-tiny.bin")],
        "lm" => vec![read("tests/golden/lm-tiny.bin")],
        "g2p" => vec![read("tests/golden/g2p-tiny.bin")],
        "punctuation" => vec![read("tests/golden/punctuation-tiny.bin")],
        "prior" => vec![read("models/en-small/prior.bin")],
        "weights" => {
            let config = config_json(false).into_bytes();
            let mut bytes = (config.len() as u16).to_le_bytes().to_vec();
            bytes.extend(config);
            bytes.extend(serialize(&tensors(false)));
            let mut all = vec![bytes];
            all.extend(["context-layers", "limited-history"].map(|name| {
                let files = in_8_bits(name);
                let (config, weights) = (&files["config.json"], &files["model.safetensors"]);
                [&(config.len() as u16).to_le_bytes(), config.as_slice(), weights].concat()
            }));
            all
        }
        "word_lm" => vec![read("tests/golden/word-lm-tiny.safetensors")],
        "list" => texts(&[
            "\0{\"audio_filepath\": \"a/b.wav\", \"offset\": 0.5, \"duration\": 1.5, \"id\": \"x\"}\nb.wav\n{\"audio_filepath\": \"a/b.wav\"}\n",
            "\u{1}utt1 a.wav\nutt2 sox b.flac -t wav - |\nutt1 c.wav\n",
        ]),
        "settings" => texts(&[
            "max_streams = 7\nlisten = \"127.0.0.1:1\"\nno-sleep = true\nallow_origin = [\"https://a.example\"]\nidle_seconds = 1.5\n",
        ]),
        "pcm" => {
            let mut all = short(files("audio-samples", &[".wav"]), 600);
            all.extend(short(files("tests/media", &[".wav"]), 600));
            all.iter_mut().for_each(|bytes| bytes.insert(0, 20));
            all
        }
        "deepgram" => texts(&[
            "encoding=linear16&sample_rate=16000&channels=2&interim_results=true&endpointing=300&utterance_end_ms=1000&keywords=a%20b%3A2&punctuate=true",
        ]),
        "realtime" => texts(&[
            "{\"type\":\"transcription\",\"audio\":{\"input\":{\"format\":{\"type\":\"audio/pcm\",\"rate\":24000},\"turn_detection\":null,\"transcription\":{\"model\":\"m\",\"language\":\"en\"}}}}",
            "{\"input_audio_format\":\"g711_ulaw\",\"turn_detection\":{\"type\":\"server_vad\",\"silence_duration_ms\":500},\"include\":[\"x\"]}",
        ]),
        "wyoming" => texts(&[
            "{\"type\":\"audio-chunk\",\"data\":{\"rate\":16000,\"width\":2,\"channels\":1},\"payload_length\":4}\nabcd{\"type\":\"describe\"}\n",
            "{\"type\":\"transcribe\",\"data_length\":17}\n{\"language\":\"en\"}",
        ]),
        "vosk" => texts(&[
            "{\"sample_rate\":8000.0,\"words\":true,\"detail\":0,\"punctuate\":true,\"digits\":false,\"max_alternatives\":3,\"latency\":\"low\",\"phrase_list\":[\"yes\",\"[unk]\"],\"hotwords\":[\"ann : 2\"]}",
            "{\"sample_rate\":\" 16000 \"}",
        ]),
        "form" => texts(&[
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--x\r\nContent-Disposition: form-data; name=\"response_format\"\r\n\r\nverbose_json\r\n--x\r\nContent-Disposition: form-data; name=\"timestamp_granularities[]\"\r\n\r\nword\r\n--x--\r\n",
            "--x\r\nContent-Disposition: form-data; name=\"chunking_strategy\"\r\n\r\n{\"silence_duration_ms\":300}\r\n--x\r\nContent-Disposition: form-data; name=\"language\"\r\n\r\nen-US\r\n--x--\r\n",
        ]),
        "journal" => {
            let mut last = Final::default();
            (last.text, last.time) = ("a bed".into(), 31.5);
            let mut journal =
                b"{\"input\":\"a.wav\",\"bytes\":4,\"modified_s\":5,\"settings\":6}\n".to_vec();
            serde_json::to_writer(&mut journal, &last).unwrap();
            vec![journal]
        }
        "ctm" => texts(&["a 1 0.5 0.25 bed 0.9\na 1 0.75 1e-1 Fed\n"]),
        _ => Vec::new(),
    };
    found.extend(files(&format!("fuzz/seeds/{target}"), &[""]).iter().map(read));
    assert!(!found.is_empty(), "{target} has no seeds");
    found
}
