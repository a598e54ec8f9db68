//! A long session, faster than it is spoken: memory, segments and endpoints. `VIVAVOCE_SOAK_MINUTES` makes it longer.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::Value;

use crate::cli::Place;
use crate::common::{clip, noise, real_folder};

const RATE: usize = 16_000;
const CLIPS: [&str; 5] = [
    "harbour-int16-16000-mono.wav",
    "edges-int16-16000-mono.wav",
    "train-int16-44100-mono.wav",
    "market-float32-48000-stereo.wav",
    "clock-float32-16000-mono.wav",
];
/// Growth of memory that is allowed once every sentence was heard: until then tables of the words in them are made.
const GROWTH_KIB: u64 = 1024;
const TOLERANCE_S: f64 = 0.2;

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sentences, the loud part of each, with pauses of 4 to 9 s of faint noise between; and where each sentence ends.
fn talk(minutes: f32) -> (Vec<f32>, Vec<f64>) {
    let power = |frame: &[f32]| frame.iter().map(|s| s * s).sum::<f32>();
    let sentences = CLIPS.map(|name| {
        let samples = clip(name);
        let powers: Vec<f32> = samples.chunks(RATE / 100).map(power).collect();
        let loud = powers.iter().copied().fold(0.0, f32::max) * 1e-4;
        let last = powers.iter().rposition(|p| *p > loud).unwrap() + 1;
        samples[..(last * RATE / 100).min(samples.len())].to_vec()
    });
    let length = (minutes * 60.0) as usize * RATE;
    let (mut samples, mut ends) = (Vec::with_capacity(length), Vec::new());
    for i in 0.. {
        let pause = RATE * (4 + i * 3 % 6);
        let sentence = &sentences[i % sentences.len()];
        if samples.len() + pause + sentence.len() + 3 * RATE > length {
            break;
        }
        samples.resize(samples.len() + pause, 0.0);
        samples.extend_from_slice(sentence);
        ends.push(samples.len() as f64 / RATE as f64);
    }
    samples.resize(length, 0.0);
    for (sample, noise) in samples.iter_mut().zip(noise(length, 5)) {
        *sample = (*sample + 1e-4 * noise).clamp(-1.0, 1.0);
    }
    (samples, ends)
}

#[test]
fn a_long_session_loses_nothing_and_does_not_grow() {
    let Some(model) = real_folder() else { return };
    let minutes = std::env::var("VIVAVOCE_SOAK_MINUTES");
    let minutes = minutes.map_or(1.5, |minutes| minutes.parse().unwrap());
    let (samples, ends) = talk(minutes);
    let mut child = Place::new()
        .command(&["listen", "-"])
        .env("VIVAVOCE_MODEL", model)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (pid, mut stdin) = (child.id(), child.stdin.take().unwrap());
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let finals = std::thread::spawn(move || {
        let values = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        values.filter(|value| value["text"].is_string()).collect::<Vec<_>>()
    });
    let mut resident = Vec::new();
    for second in samples.chunks(RATE) {
        let bytes: Vec<u8> =
            second.iter().flat_map(|s| ((s * 32_767.0) as i16).to_le_bytes()).collect();
        stdin.write_all(&bytes).unwrap();
        resident.push(resident_kib(pid));
    }
    drop(stdin);
    let finals = finals.join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let late: Vec<f64> = finals
        .iter()
        .zip(&ends)
        .map(|(value, end)| value["time"].as_f64().unwrap() - end - 1.2)
        .collect();
    let worst = late.iter().fold(0.0, |worst: f64, late| worst.max(late.abs()));
    // What was written may stand in the queue, which holds ten seconds.
    let warm = &resident[ends[CLIPS.len() - 1] as usize + 12..];
    let (start, peak) = (warm[0], warm.iter().max().unwrap());
    println!(
        "{minutes} min: {} of {} segments, endpoints at most {worst:.3} s off, {start} to {peak} KiB",
        finals.len(),
        ends.len()
    );
    assert_eq!(finals.len(), ends.len(), "{finals:?}");
    assert!(worst <= TOLERANCE_S, "{late:?}");
    assert!(*peak <= start + GROWTH_KIB, "{resident:?}");
}
