//! Completions and manual pages are of this command line.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vivavoce")).args(arguments).output().unwrap()
}

fn said(arguments: &[&str]) -> String {
    let ran = run(arguments);
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn every_shell_completes_commands_and_options() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = said(&["completions", shell]);
        for word in ["transcribe", "evaluate", "hotwords", "output-dir"] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
    let ran = run(&["completions", "cmd"]);
    assert_eq!(ran.status.code(), Some(2));
}

#[cfg(unix)]
#[test]
fn bash_completes_what_was_begun() {
    if Command::new("bash").arg("-c").arg("true").status().is_err() {
        return;
    }
    let script = said(&["completions", "bash"]);
    let ask = "COMP_WORDS=(vivavoce transcribe --hot); COMP_CWORD=2; _vivavoce vivavoce --hot transcribe; echo ${COMPREPLY[@]}";
    let ran = Command::new("bash").arg("-c").arg(format!("{script}\n{ask}")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), "--hotwords", "{ran:?}");
}

#[test]
fn a_manual_page_for_each_command() {
    let first = said(&["man"]);
    assert!(first.contains(".TH vivavoce 1") && first.contains("transcribe"), "{first}");
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man1");
    said(&["man", "--output-dir", dir.to_str().unwrap()]);
    let page = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    assert_eq!(page("vivavoce.1"), first);
    let transcribe = page("vivavoce-transcribe.1");
    assert!(transcribe.contains("hotwords") && transcribe.contains("Audio files, folders, lists"));
    assert!(page("vivavoce-inspect-attention.1").contains("FILE"));
    assert!(!dir.join("vivavoce-help.1").exists());
}
