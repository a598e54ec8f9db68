//! Files of sound.

use vivavoce::audio::{AudioSource, from_bytes};

/// Samples that a byte may at most become: half an hour of silence fits into 3 kB of FLAC.
const MOST_SAMPLES: usize = 4_000_000;

fn read(name: &str, data: &[u8]) {
    let Ok(mut source) = from_bytes(name, data.to_vec()) else { return };
    assert!((8_000..=192_000).contains(&source.sample_rate_hz()));
    let told_s = source.duration_s();
    assert!(told_s.is_none_or(|seconds| seconds >= 0.0));
    let (mut chunk, mut samples) = (Vec::new(), 0);
    while samples < MOST_SAMPLES {
        match source.next_chunk(&mut chunk) {
            Ok(true) => {
                assert!(!chunk.is_empty(), "a chunk without samples");
                samples += chunk.len();
            }
            Ok(false) | Err(_) => return,
        }
    }
}

pub fn wav(data: &[u8]) {
    read("a.wav", data);
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
