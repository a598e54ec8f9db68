//! Files, folders and lists as entries in a fixed order.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use vivavoce::audio::EXTENSIONS;

use super::entry::{Audio, Entry};
use super::names::{Origin, assign, plain};
use super::text;
use crate::cli::args::InputArguments;

/// A line of a manifest as `NeMo` writes them; other keys mean nothing here.
#[derive(Debug, Deserialize)]
struct Line {
    audio_filepath: String,
    #[serde(default)]
    offset: Option<f64>,
    #[serde(default)]
    duration: Option<f64>,
    #[serde(default, alias = "utt_id", alias = "utterance_id")]
    id: Option<String>,
}

/// All that is asked for, less what other shares hold, and whether that may be more than one file.
///
/// # Errors
/// If a list or folder cannot be read, or there is nothing to do.
pub fn gather(arguments: &InputArguments) -> anyhow::Result<(Vec<Entry>, bool)> {
    let mut found = Found::default();
    for path in &arguments.files {
        match extension(path).as_deref() {
            Some("jsonl" | "scp") if path.is_file() => found.list(path)?,
            _ if path.is_dir() => found.folder(path, arguments.recursive)?,
            _ => found.file(path, path.file_name().map_or(path.as_path(), Path::new)),
        }
    }
    if let Some(path) = &arguments.files_from {
        found.list(path)?;
    }
    anyhow::ensure!(!found.0.is_empty(), "nothing to transcribe: the list is empty");
    let first = found.0[0].0.path.clone();
    let mut entries = found.entries();
    if let Some(shard) = arguments.shard {
        let mut place = 0..;
        entries.retain(|_| place.next().is_some_and(|i: usize| i % shard.count == shard.index));
    }
    let one = match arguments.files.as_slice() {
        [path] => arguments.files_from.is_none() && text(path) == first,
        _ => false,
    };
    Ok((entries, !one))
}

/// What was named so far.
#[derive(Default)]
pub struct Found(Vec<(Origin, Audio)>);

impl Found {
    /// All of it, with names that differ.
    pub fn entries(self) -> Vec<Entry> {
        let names = assign(&self.0.iter().map(|(origin, _)| origin.clone()).collect::<Vec<_>>());
        let all = self.0.into_iter().zip(names);
        all.map(|((origin, audio), name)| Entry { name, shown: origin.path, audio }).collect()
    }

    fn file(&mut self, path: &Path, below: &Path) {
        let below = if path == Path::new("-") { "stdin".into() } else { text(below) };
        let origin = Origin { id: None, path: text(path), below, excerpt_ms: None };
        self.0.push((origin, Audio::File(path.to_path_buf())));
    }

    fn broken(&mut self, shown: String, reason: String) {
        let origin =
            Origin { id: Some(shown.clone()), path: shown, below: String::new(), excerpt_ms: None };
        self.0.push((origin, Audio::Broken(reason)));
    }

    fn folder(&mut self, folder: &Path, recursive: bool) -> anyhow::Result<()> {
        let (before, mut folders, mut files) =
            (self.0.len(), vec![folder.to_path_buf()], Vec::new());
        while let Some(next) = folders.pop() {
            let unreadable = || format!("cannot read folder {}", next.display());
            for entry in std::fs::read_dir(&next).with_context(unreadable)? {
                let entry = entry.with_context(unreadable)?;
                let path = entry.path();
                // A folder behind a link may hold the link.
                if entry.file_type().with_context(unreadable)?.is_dir() {
                    folders.extend(recursive.then_some(path));
                } else if is_audio(&path) && path.metadata().map_or(true, |data| data.is_file()) {
                    // What cannot even be looked at is told when it is its turn.
                    files.push(path);
                }
            }
        }
        files.sort();
        for path in &files {
            self.file(path, path.strip_prefix(folder).unwrap_or(path));
        }
        let hint = if recursive { "" } else { " (its folders are searched with --recursive)" };
        let name = folder.display();
        anyhow::ensure!(self.0.len() > before, "folder {name} holds no audio files{hint}");
        Ok(())
    }

    fn list(&mut self, path: &Path) -> anyhow::Result<()> {
        let unreadable = || format!("cannot read the list {}", text(path));
        let mut bytes = Vec::new();
        if path == Path::new("-") {
            std::io::stdin().read_to_end(&mut bytes).with_context(unreadable)?;
        } else {
            bytes = std::fs::read(path).with_context(unreadable)?;
        }
        self.lines(path, &bytes);
        Ok(())
    }

    /// Adds what the lines of a list name, or what is wrong with them; the ending of its `path` says of what kind it is.
    pub fn lines(&mut self, path: &Path, bytes: &[u8]) {
        let name = text(path);
        let folder = path.parent().unwrap_or(Path::new(""));
        let kaldi = extension(path).as_deref() == Some("scp");
        let mut ids: HashSet<String> =
            self.0.iter().filter_map(|(origin, _)| origin.id.clone()).collect();
        for (i, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let place = format!("{name}:{}", i + 1);
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let Ok(line) = str::from_utf8(line) else {
                match path_of(line).filter(|_| !kaldi) {
                    Some(line) => self.path(&resolve(folder, &line)),
                    None => self.broken(place.clone(), format!("{place}: not UTF-8")),
                }
                continue;
            };
            if kaldi {
                self.scp(line, folder, place, &mut ids);
            } else if line.starts_with('{') {
                match serde_json::from_str::<Line>(line) {
                    Ok(line) => self.manifest(line, folder, place, &mut ids),
                    Err(e) => self
                        .broken(place.clone(), format!("{place}: not a line of a manifest: {e}")),
                }
            } else {
                self.path(&resolve(folder, Path::new(line)));
            }
        }
    }

    fn path(&mut self, path: &Path) {
        self.file(path, path.file_name().map_or(path, Path::new));
    }

    fn scp(&mut self, line: &str, folder: &Path, place: String, ids: &mut HashSet<String>) {
        let Some((id, rest)) = line.split_once(char::is_whitespace) else {
            let reason = format!("{place}: expected an id and a path, found {line:?}");
            return self.broken(place, reason);
        };
        let rest = rest.trim();
        if rest.ends_with('|') || rest.starts_with('|') {
            let reason = format!(
                "{place}: {id} is the output of a command, and commands are not run; write it to a file and list its path"
            );
            return self.broken(id.to_owned(), reason);
        }
        if let Err(reason) = check_id(id, ids) {
            return self.broken(place.clone(), format!("{place}: {reason}"));
        }
        let path = resolve(folder, Path::new(rest));
        self.file(&path, Path::new(rest));
        if let Some((origin, _)) = self.0.last_mut() {
            origin.id = Some(id.to_owned());
        }
    }

    fn manifest(&mut self, line: Line, folder: &Path, place: String, ids: &mut HashSet<String>) {
        let offset_s = line.offset.unwrap_or(0.0);
        let is_excerpt = offset_s != 0.0 || line.offset.is_some() && line.duration > Some(0.0);
        let duration_s = line.duration.filter(|_| is_excerpt);
        let length_s = duration_s.unwrap_or(f64::MAX);
        if is_excerpt && !(offset_s >= 0.0 && length_s > 0.0) {
            let reason =
                format!("{place}: offset {offset_s} and duration {length_s} s make no excerpt");
            return self.broken(place, reason);
        }
        if let Some(Err(reason)) = line.id.as_ref().map(|id| check_id(id, ids)) {
            return self.broken(place.clone(), format!("{place}: {reason}"));
        }
        let path = resolve(folder, Path::new(&line.audio_filepath));
        let below = Path::new(&line.audio_filepath);
        let below =
            if below.is_absolute() { below.file_name().map_or(below, Path::new) } else { below };
        self.file(&path, below);
        let Some((origin, audio)) = self.0.last_mut() else { return };
        origin.id = line.id;
        if is_excerpt {
            let ms = |seconds: f64| (seconds * 1000.0).round() as u64;
            origin.excerpt_ms = Some((ms(offset_s), duration_s.map(ms)));
            *audio = Audio::Excerpt { path, offset_s, duration_s: length_s };
        }
    }
}

/// Refuses ids that are there already, that name nothing, or that no file can have.
fn check_id(id: &str, ids: &mut HashSet<String>) -> Result<(), String> {
    if id.chars().any(char::is_control) {
        return Err(format!("the id {id:?} has a control character in it"));
    }
    if plain(id).is_empty() {
        return Err(format!("the id {id:?} names nothing"));
    }
    if !ids.insert(id.to_owned()) {
        return Err(format!("the id {id} is there twice"));
    }
    Ok(())
}

/// A path of any bytes, where paths are bytes.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
fn path_of(line: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;

    Some(PathBuf::from(std::ffi::OsStr::from_bytes(line)))
}

#[cfg(not(unix))]
fn path_of(_: &[u8]) -> Option<PathBuf> {
    None
}

/// A path in a list: from here, or from where the list is.
fn resolve(folder: &Path, path: &Path) -> PathBuf {
    let (here, there) = (path.to_path_buf(), folder.join(path));
    if !here.exists() && there.exists() { there } else { here }
}

fn extension(path: &Path) -> Option<String> {
    path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase)
}

fn is_audio(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
    !hidden && extension(path).is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
}
