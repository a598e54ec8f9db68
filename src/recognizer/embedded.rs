//! `models/en-small`, compiled in.

use super::{Parts, Recognizer};
use crate::error::Result;
use crate::model::{Model, Precision};

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/en-small/", $name))
    };
}

pub(super) fn load(precision: Precision) -> Result<Recognizer> {
    let model = Model::from_bytes_as(file!("config.json"), file!("model.safetensors"), precision)?;
    let (lexicon, lm): (&'static [u8], &'static [u8]) = (file!("lexicon.bin"), file!("lm.bin"));
    let prior: &'static [u8] = file!("prior.bin");
    let punctuation: &'static [u8] = file!("punctuation.bin");
    let letter_to_sound: &'static [u8] = file!("g2p.bin");
    let parts = Parts {
        lexicon: Some(lexicon.into()),
        lm: Some(lm.into()),
        prior: Some(prior.into()),
        letter_to_sound: Some(letter_to_sound.into()),
        punctuation: Some(punctuation.into()),
    };
    Recognizer::from_parts(model, file!("tokens.txt"), parts)
}
