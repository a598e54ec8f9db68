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
    let parts =
        Parts { lexicon: Some(lexicon.into()), lm: Some(lm.into()), prior: Some(prior.into()) };
    Recognizer::from_parts(model, file!("tokens.txt"), parts)
}
