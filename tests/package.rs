//! The package of the crate is small, and can be built although it has no model.

use std::path::Path;
use std::process::Command;

use crate::common::root;

/// A registry takes five times as much, compressed.
const MAX_BYTES: u64 = 2_000_000;

/// What the package has.
fn listed() -> Vec<String> {
    let ran = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["package", "--list", "--allow-dirty", "--offline"])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let made = ["Cargo.toml.orig", ".cargo_vcs_info.json"];
    let list = String::from_utf8(ran.stdout).unwrap();
    list.lines().filter(|name| !made.contains(name)).map(str::to_owned).collect()
}

#[test]
fn the_package_of_the_crate_is_small_and_whole() {
    let files = listed();
    let size = |name: &String| std::fs::metadata(root().join(name)).unwrap().len();
    let bytes: u64 = files.iter().map(size).sum();
    assert!(bytes < MAX_BYTES, "{bytes} bytes: {files:#?}");
    for needed in
        ["src/lib.rs", "src/serve/page/index.html", "build.rs", "LICENSE-MIT", "README.md"]
    {
        assert!(files.iter().any(|name| name == needed), "{needed} is not in the package");
    }
    for left_out in ["models/", "tests/", "training/", "audio-samples/", "bindings/"] {
        let found = files.iter().find(|name| name.starts_with(left_out));
        assert_eq!(found, None, "what is in {left_out} does not belong into the package");
    }
}

#[test]
#[ignore = "compiles the library once more"]
fn the_package_of_the_crate_can_be_built_without_a_model() {
    let folder = tempfile::tempdir().unwrap();
    for name in listed() {
        let to = folder.path().join(&name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(root().join(&name), to).unwrap();
    }
    // As a registry writes it: without what the package lacks.
    let manifest = folder.path().join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let lacking = ["[[test]]", "[workspace]"];
    let parts = text.split("\n\n");
    let alone = parts.filter(|part| !lacking.iter().any(|name| part.starts_with(name)));
    std::fs::write(&manifest, alone.collect::<Vec<_>>().join("\n\n")).unwrap();
    let source = "fn main() {
        let error = vivavoce::Recognizer::builder().build().unwrap_err().to_string();
        assert!(error.contains(\"has no model to compile in\"), \"{error}\");
    }";
    std::fs::write(folder.path().join("examples/no_model.rs"), source).unwrap();
    let ran = Command::new(env!("CARGO"))
        .current_dir(folder.path())
        .args(["run", "--quiet", "--offline", "--no-default-features", "--features", "embed-model"])
        .args(["--example", "no_model", "--target-dir"])
        .arg(target())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// The folder with what was compiled for these tests.
fn target() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_vivavoce")).parent().unwrap().parent().unwrap()
}
