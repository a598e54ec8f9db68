//! Every target on its seeds and on damaged copies of them, for a moment: `cargo test --manifest-path fuzz/Cargo.toml`.
//! `VIVAVOCE_FUZZ_SECONDS` makes the moment longer, `VIVAVOCE_FUZZ_SEED` another one, `VIVAVOCE_FUZZ_TARGET` names a single target,
//! `VIVAVOCE_FUZZ_KEEP=1` keeps the bytes of the run that goes on in a file of the temporary folder.

use std::time::{Duration, Instant};

use vivavoce_fuzz::{TARGETS, seeds};

/// Numbers from a seed (Steele, Lea and Flood 2014, `SplitMix`).
struct Dice(u64);

impl Dice {
    /// Below `n`, which is above 0.
    fn next(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

/// Damages `bytes` in one of the ways that bytes are damaged.
fn damage(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    const NUMBERS: [u32; 8] = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, u32::MAX];
    if bytes.is_empty() {
        bytes.push(dice.next(256) as u8);
    }
    let at = dice.next(bytes.len());
    match dice.next(8) {
        0 => bytes[at] ^= 1 << dice.next(8),
        1 => bytes[at] = dice.next(256) as u8,
        2 => bytes.truncate(at),
        3 => bytes.insert(at, dice.next(256) as u8),
        4 => {
            let end = (at + 1 + dice.next(32)).min(bytes.len());
            bytes.drain(at..end);
        }
        5 => {
            let end = (at + 1 + dice.next(64)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            let to = dice.next(bytes.len() + 1);
            bytes.splice(to..to, part);
        }
        6 => {
            let number = NUMBERS[dice.next(NUMBERS.len())];
            let number =
                if dice.next(2) == 0 { number.to_le_bytes() } else { number.to_be_bytes() };
            let end = (at + 1 + dice.next(4)).min(bytes.len());
            bytes[at..end].copy_from_slice(&number[..end - at]);
        }
        _ => {
            let from = dice.next(other.len().max(1)).min(other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn no_reader_panics_at_damaged_bytes() {
    let seconds = Duration::from_secs(number("VIVAVOCE_FUZZ_SECONDS", 2));
    // Where a run takes all memory nobody is left to write its bytes.
    let keeps = std::env::var_os("VIVAVOCE_FUZZ_KEEP").is_some();
    let only = std::env::var("VIVAVOCE_FUZZ_TARGET").ok();
    let mut dice = Dice(number("VIVAVOCE_FUZZ_SEED", 1));
    let mut total = 0_u64;
    for (name, run) in TARGETS.iter().filter(|(name, _)| only.as_deref().is_none_or(|o| o == *name))
    {
        let seeds = seeds(name);
        seeds.iter().for_each(|seed| run(seed));
        let (start, mut runs) = (Instant::now(), seeds.len() as u64);
        let mut slowest = Duration::ZERO;
        while start.elapsed() < seconds {
            let mut bytes = seeds[dice.next(seeds.len())].clone();
            let other = &seeds[dice.next(seeds.len())];
            for _ in 0..=dice.next(4) {
                damage(&mut bytes, other, &mut dice);
            }
            let kept = Kept { name, bytes: &bytes };
            if keeps {
                std::fs::write(std::env::temp_dir().join("vivavoce-fuzz-last"), &bytes).unwrap();
            }
            let before = Instant::now();
            run(&bytes);
            slowest = slowest.max(before.elapsed());
            std::mem::forget(kept);
            runs += 1;
        }
        println!("{name}: {runs} runs, the slowest {slowest:.1?}");
        total += runs;
    }
    println!("{total} runs");
    assert!(total > 0, "no such target");
}

/// Writes the bytes to a file if their run panics.
struct Kept<'a> {
    name: &'a str,
    bytes: &'a [u8],
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        let path = std::env::temp_dir().join(format!("vivavoce-fuzz-{}", self.name));
        if std::fs::write(&path, self.bytes).is_ok() {
            println!("{}: these bytes are in {}", self.name, path.display());
        }
    }
}
