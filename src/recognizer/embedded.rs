//! `models/en-small`, compiled in.

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$((
            $name,
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/en-small/", $name)),
        )),*]
    };
}

/// Names and contents.
pub(super) const FILES: &[(&str, &[u8])] = files![
    "config.json",
    "g2p.bin",
    "lexicon.bin",
    "lm.bin",
    "model.safetensors",
    "prior.bin",
    "punctuation.bin",
    "tokens.txt",
];

/// The neural language model, if there is one.
#[cfg(embedded_word_lm)]
pub(super) const WORD_LM: &[(&str, &[u8])] = files!["word_lm.safetensors"];
#[cfg(not(embedded_word_lm))]
pub(super) const WORD_LM: &[(&str, &[u8])] = &[];
