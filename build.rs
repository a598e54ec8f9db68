//! Whether there is a model to compile in: a clone of the repository has one, the package of the crate is too small for it.

use std::path::Path;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(embedded_model, embedded_word_lm)");
    println!("cargo::rerun-if-changed=models/en-small");
    let wanted = std::env::var_os("CARGO_FEATURE_EMBED_MODEL").is_some();
    if wanted && Path::new("models/en-small/model.safetensors").exists() {
        println!("cargo::rustc-cfg=embedded_model");
        if Path::new("models/en-small/word_lm.safetensors").exists() {
            println!("cargo::rustc-cfg=embedded_word_lm");
        }
    }
}
