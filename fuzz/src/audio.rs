//! Files of sound.

use std::io::Cursor;

use vivavoce::audio::{AudioSource, BoxedSource, from_bytes, from_stream};

/// Samples that a byte may at most become: half an hour of silence fits into 3 kB of FLAC.
const MOST_SAMPLES: usize = 4_000_000;

fn read(name: &str, data: &[u8]) {
    if let Ok(source) = from_bytes(name, data.to_vec()) {
        samples(source);
    }
}

/// All samples that come, as bits.
fn samples(mut source: BoxedSource) -> Vec<u32> {
    assert!((8_000..=192_000).contains(&source.sample_rate_hz()));
    let told_s = source.duration_s();
    assert!(told_s.is_none_or(|seconds| seconds >= 0.0));
    let (mut chunk, mut all) = (Vec::new(), Vec::new());
    while all.len() < MOST_SAMPLES {
        match source.next_chunk(&mut chunk) {
            Ok(true) => {
                assert!(!chunk.is_empty(), "a chunk without samples");
                all.extend(chunk.iter().map(|sample| sample.to_bits()));
            }
            Ok(false) | Err(_) => break,
        }
    }
    all
}

/// From a file and from a pipe come the same samples.
pub fn wav(data: &[u8]) {
    let file = from_bytes("a.wav", data.to_vec());
    let pipe = from_stream("a.wav", Cursor::new(data.to_vec()));
    if let (Ok(file), Ok(pipe)) = (file, pipe) {
        assert!(samples(file) == samples(pipe), "other samples from a pipe");
    }
}

pub fn opus(data: &[u8]) {
    read("a.opus", data);
}

/// The first byte says what the name ends with.
pub fn media(data: &[u8]) {
    let endings = ["flac", "mp3", "ogg", "m4a", "aac", "aiff", "mkv", "webm", "mp4"];
    let Some((kind, data)) = data.split_first() else { return };
    read(&format!("a.{}", endings[usize::from(*kind) % endings.len()]), data);
}
