//! `models/en-small`, compiled in.

use super::Recognizer;
use crate::error::Result;
use crate::model::{Model, Precision};

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/en-small/", $name))
    };
}

pub(super) fn load(precision: Precision) -> Result<Recognizer> {
    let model = Model::from_bytes_as(file!("config.json"), file!("model.safetensors"), precision)?;
    let lm: &'static [u8] = file!("lm.bin");
    Recognizer::from_parts(model, file!("tokens.txt"), Some(file!("lexicon.bin")), Some(lm.into()))
}
