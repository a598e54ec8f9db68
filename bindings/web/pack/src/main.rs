//! Makes what `bindings/web` consists of: `glue MODULE.wasm FOLDER` writes a module for browsers with its glue in JavaScript,
//! `model FOLDER...` writes the list of a model's files, `files.json`, into its folder.

use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use wasm_bindgen_cli_support::Bindgen;

/// What a model folder may hold for the library; those without which there is no model come first.
const FILES: [&str; 9] = [
    "config.json",
    "model.safetensors",
    "tokens.txt",
    "lexicon.bin",
    "lm.bin",
    "word_lm.safetensors",
    "prior.bin",
    "g2p.bin",
    "punctuation.bin",
];
const NEEDED: usize = 3;
/// As much of a digest as tells versions apart.
const VERSION_DIGITS: usize = 16;

fn glue(module: &Path, folder: &Path) -> Result<()> {
    Bindgen::new()
        .input_path(module)
        .out_name("vivavoce")
        .web(true)
        .context("no glue for browsers")?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(folder)
        .with_context(|| format!("cannot make the glue of {}", module.display()))
}

/// Its name, a version that changes with any of its files, and for each its size and digest.
fn model(folder: &Path) -> Result<()> {
    let (mut files, mut all) = (Vec::new(), Sha256::new());
    for (i, name) in FILES.iter().enumerate() {
        let path = folder.join(name);
        if !path.exists() && i >= NEEDED {
            continue;
        }
        let contents =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let digest = format!("{:x}", Sha256::digest(&contents));
        all.update(format!("{name} {digest}\n"));
        files.push(serde_json::json!({ "name": name, "bytes": contents.len(), "sha256": digest }));
    }
    let config = std::fs::read_to_string(folder.join("config.json"))?;
    let config: serde_json::Value =
        serde_json::from_str(&config).context("config.json is no JSON")?;
    let version = &format!("{:x}", all.finalize())[..VERSION_DIGITS];
    let list = serde_json::json!({ "name": config["name"], "version": version, "files": files });
    let path = folder.join("files.json");
    std::fs::write(&path, format!("{list:#}\n"))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["glue", module, folder] => glue(Path::new(module), Path::new(folder)),
        ["model", folder] => model(Path::new(folder)),
        _ => bail!(
            "use: vivavoce-web-pack glue MODULE.wasm FOLDER, or vivavoce-web-pack model FOLDER"
        ),
    }
}
