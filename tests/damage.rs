//! Damaged files lose nothing in silence: what is missing is told, or nothing is missing.

use std::path::Path;

use vivavoce::audio;

use crate::common::root;

/// Shorter by less is no loss: a frame of any codec.
const FRAME_S: f64 = 0.1;
/// Files with compressed audio, of all kinds together.
const LEAST_KINDS: usize = 15;
/// Mutants of each file.
const MUTANTS: u32 = 100;

/// What came of a file: seconds and warnings, or the error.
type Heard = Result<(f64, Vec<String>), String>;

fn hear(name: &str, bytes: &[u8]) -> Heard {
    let mut source = audio::from_bytes(name, bytes.to_vec()).map_err(|e| e.to_string())?;
    let samples = source.read_all().map_err(|e| e.to_string())?;
    assert!(samples.iter().all(|s| s.is_finite()), "{name}");
    let seconds = samples.len() as f64 / f64::from(source.sample_rate_hz());
    Ok((seconds, source.warnings().to_vec()))
}

/// Random numbers that are the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// A damaged copy and what was done to it.
fn mutant(whole: &[u8], dice: &mut Dice) -> (String, Vec<u8>) {
    let mut bytes = whole.to_vec();
    match dice.below(5) {
        0 => {
            let keep = dice.below(bytes.len());
            bytes.truncate(keep);
            (format!("cut at {keep}"), bytes)
        }
        1 => {
            let count = 1 + dice.below(4);
            let places: Vec<_> = (0..count).map(|_| dice.below(whole.len())).collect();
            for place in &places {
                bytes[*place] ^= 1 << dice.below(8);
            }
            (format!("bits flipped at {places:?}"), bytes)
        }
        2 => {
            let place = dice.below(bytes.len().min(300));
            bytes[place] = dice.below(256) as u8;
            (format!("byte {place} of the header set to {}", bytes[place]), bytes)
        }
        3 => {
            let (start, length) = (dice.below(bytes.len()), 1 + dice.below(2000));
            let end = (start + length).min(bytes.len());
            bytes.drain(start..end);
            (format!("bytes {start} to {end} taken out"), bytes)
        }
        _ => {
            let (start, length) = (dice.below(bytes.len()), 1 + dice.below(2000));
            let end = (start + length).min(bytes.len());
            bytes[start..end].fill(0);
            (format!("bytes {start} to {end} set to 0"), bytes)
        }
    }
}

fn is_silent_loss(whole_s: f64, heard: &Heard) -> bool {
    matches!(heard, Ok((seconds, warnings)) if warnings.is_empty() && *seconds < whole_s - FRAME_S)
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let media = std::fs::read_dir(root().join("tests/media")).unwrap();
    let mut paths: Vec<_> = media.map(|entry| entry.unwrap().path()).collect();
    paths.push(root().join("audio-samples/clock-float32-16000-mono.wav"));
    paths.retain(|path| path.extension().is_some_and(|e| e != "py"));
    if !cfg!(feature = "media") {
        paths.retain(|path| path.ends_with("clock-float32-16000-mono.wav"));
    }
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

#[test]
fn nothing_is_lost_in_silence() {
    let (mut losses, mut refused, mut warned, mut fine) = (Vec::new(), 0, 0, 0);
    let seeds = seeds();
    // Every kind of file that can be read, and none that was forgotten.
    assert!(
        seeds.len() >= if cfg!(feature = "media") { LEAST_KINDS } else { 1 },
        "{}",
        seeds.len()
    );
    let cases = seeds.len() * MUTANTS as usize;
    for (name, whole) in seeds {
        let (whole_s, warnings) = hear(&name, &whole).unwrap();
        assert!(warnings.is_empty(), "{name}: {warnings:?}");
        let mut dice = Dice(88_172_645_463_325_252);
        for _ in 0..MUTANTS {
            let (what, bytes) = mutant(&whole, &mut dice);
            let heard = hear(&name, &bytes);
            match &heard {
                Err(_) => refused += 1,
                Ok((_, warnings)) if !warnings.is_empty() => warned += 1,
                Ok(_) => fine += 1,
            }
            if is_silent_loss(whole_s, &heard) {
                losses.push(format!("{name}: {what}: {heard:?} of {whole_s}"));
            }
        }
    }
    println!("{cases} damaged files: {refused} refused, {warned} with warnings, {fine} without");
    assert_eq!(refused + warned + fine, cases);
    assert!(refused > 0 && warned > cases / 20, "{refused} refused, {warned} warned");
    assert!(losses.is_empty(), "{} silent losses:\n{}", losses.len(), losses.join("\n"));
}

/// A frame of AAC whose first bits are damaged may ask for what no decoder of it has; those behind it are heard.
#[test]
fn a_packet_that_asks_for_what_is_not_supported_ends_no_file() {
    let whole = std::fs::read(root().join("tests/media/clock.aac")).unwrap();
    let (length_s, _) = hear("clock.aac", &whole).unwrap();
    let mut frames = vec![0];
    while let Some(header) = whole.get(frames[frames.len() - 1]..).filter(|rest| rest.len() > 7) {
        let bytes = usize::from(header[3] & 3) << 11
            | usize::from(header[4]) << 3
            | usize::from(header[5]) >> 5;
        frames.push(frames[frames.len() - 1] + bytes);
    }
    assert!(frames.len() > 20);
    for frame in &frames[3..frames.len() - 3] {
        let mut bytes = whole.clone();
        // The element is now of the kind that couples channels.
        bytes[frame + 7] = 0x40 | bytes[frame + 7] & 0x1f;
        let (seconds, warnings) = hear("clock.aac", &bytes).unwrap();
        assert!((seconds - length_s).abs() < FRAME_S, "{frame}: {seconds} of {length_s} s");
        assert!(!warnings.is_empty(), "{frame}");
    }
}
