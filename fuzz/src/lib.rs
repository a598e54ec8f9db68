//! What is done with bytes that nobody vouches for: a target for every reader of vivavoce. Nothing may panic, hang, or take memory
//! that the bytes do not account for; what a target knows besides is asserted.

#[allow(dead_code, unreachable_pub, unused_imports, reason = "the program's")]
#[path = "../../src/cli/mod.rs"]
mod cli;
#[allow(dead_code, unreachable_pub, unused_imports, reason = "the tests'")]
#[path = "../../tests/common.rs"]
mod common;
#[allow(dead_code, unreachable_pub, unused_imports, reason = "the program's")]
#[path = "../../src/serve/mod.rs"]
mod serve;

mod audio;
mod model;
mod program;
mod seeds;

pub use seeds::seeds;

/// Name and what is run.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 24] = [
    ("wav", audio::wav),
    ("opus", audio::opus),
    ("media", audio::media),
    ("hotwords", model::hotwords),
    ("grammar", model::grammar),
    ("config", model::config),
    ("tokens", model::tokens),
    ("lexicon", model::lexicon),
    ("lm", model::lm),
    ("g2p", model::g2p),
    ("prior", model::prior),
    ("punctuation", model::punctuation),
    ("weights", model::weights),
    ("word_lm", model::word_lm),
    ("list", program::list),
    ("settings", program::settings),
    ("pcm", program::pcm),
    ("deepgram", program::deepgram),
    ("realtime", program::realtime),
    ("wyoming", program::wyoming),
    ("vosk", program::vosk),
    ("form", program::form),
    ("journal", program::journal),
    ("ctm", program::ctm),
];

/// Lays the seeds of a target where `cargo fuzz run` looks for them.
///
/// # Panics
/// If they cannot be written.
pub fn begin(name: &str) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    for (i, seed) in seeds(name).iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{i}")), seed).expect("a seed");
    }
}

/// Runs a target by its name.
///
/// # Panics
/// If there is none of that name, or if something is wrong with the reader.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(own, _)| *own == name).expect("a target");
    target(data);
}
