//! Speech with known text: a folder of audio files with texts beside them, or tar shards with a manifest.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use crossbeam_channel::Sender;
use vivavoce::audio::{AudioSource, EXTENSIONS};
use vivavoce::metrics::normalize_text;

use super::args::SelectionArguments;
use super::input::{decode, open};

/// One utterance; its audio is a file or has been read from a shard.
pub struct Utterance {
    pub set: String,
    pub id: String,
    /// Normalised reference.
    pub text: String,
    pub expected_ms: u64,
    audio: Audio,
}

enum Audio {
    File(PathBuf),
    Shard(PathBuf),
    Bytes(Vec<u8>),
}

impl Utterance {
    /// Its files, unless it is in a shard.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        let path = match &self.audio {
            Audio::File(path) => Some(path.clone()),
            Audio::Shard(_) | Audio::Bytes(_) => None,
        };
        path.into_iter().flat_map(|path| [path.with_extension("txt"), path])
    }

    /// The audio.
    pub fn open(&self) -> anyhow::Result<Box<dyn AudioSource + Send>> {
        match &self.audio {
            Audio::File(path) => open(path),
            Audio::Shard(path) => anyhow::bail!("{} is not in {}", self.id, path.display()),
            Audio::Bytes(bytes) => decode(&self.id, bytes.clone()),
        }
    }
}

/// The utterances in `folder` that are asked for, in a fixed order; nothing is decoded yet.
pub fn list(folder: &Path, arguments: &SelectionArguments) -> anyhow::Result<Vec<Utterance>> {
    let manifest = folder.join("manifest.tsv");
    let mut all = if manifest.exists() {
        shards(folder, &manifest, &arguments.split)?
    } else {
        files(folder)?
    };
    all.retain(|u| arguments.set.is_empty() || arguments.set.contains(&u.set));
    all.sort_by(|a, b| (&a.set, &a.id).cmp(&(&b.set, &b.id)));
    if let Some(limit) = arguments.limit {
        let mut taken: HashMap<String, usize> = HashMap::new();
        all.retain(|u| {
            let count = taken.entry(u.set.clone()).or_default();
            *count += 1;
            *count <= limit
        });
    }
    Ok(all)
}

fn shards(folder: &Path, manifest: &Path, split: &str) -> anyhow::Result<Vec<Utterance>> {
    let name = manifest.display();
    let text = std::fs::read_to_string(manifest).with_context(|| format!("cannot read {name}"))?;
    let mut lines = text.lines();
    let head: Vec<_> = lines.next().unwrap_or_default().split('\t').collect();
    let column = |wanted: &str| {
        head.iter()
            .position(|c| *c == wanted)
            .with_context(|| format!("{name}: no column {wanted}"))
    };
    let (id, set, part) = (column("id")?, column("set")?, column("split")?);
    let (seconds, words) = (column("seconds")?, column("text")?);
    let mut out = Vec::new();
    for (i, line) in lines.enumerate() {
        let row: Vec<_> = line.split('\t').collect();
        anyhow::ensure!(row.len() >= head.len(), "{name}: line {} is short", i + 2);
        if row[part] != split {
            continue;
        }
        out.push(Utterance {
            set: row[set].to_owned(),
            id: row[id].to_owned(),
            text: normalize_text(row[words]),
            expected_ms: (row[seconds].parse::<f64>().unwrap_or(0.0) * 1000.0) as u64,
            audio: Audio::Shard(folder.to_owned()),
        });
    }
    Ok(out)
}

/// Utterances of files and folders with their audio: a file needs no text.
pub fn gather(paths: &[PathBuf], arguments: &SelectionArguments) -> anyhow::Result<Vec<Utterance>> {
    let mut all = Vec::new();
    for path in paths {
        if path.is_dir() {
            let listed = list(path, arguments)?;
            let (sender, utterances) = crossbeam_channel::unbounded();
            load(listed, &sender);
            drop(sender);
            all.extend(utterances);
            continue;
        }
        let text = std::fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        all.push(Utterance {
            set: String::new(),
            id: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            text: normalize_text(&text),
            expected_ms: 0,
            audio: Audio::File(path.clone()),
        });
    }
    let names: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
    anyhow::ensure!(!all.is_empty(), "{}: no audio with text found", names.join(", "));
    Ok(all)
}

fn files(folder: &Path) -> anyhow::Result<Vec<Utterance>> {
    let mut out = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let entries = std::fs::read_dir(&next)
            .with_context(|| format!("cannot read folder {}", next.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let ending = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
            let known = ending.is_some_and(|e| EXTENSIONS.contains(&e.as_str()));
            let text = path.with_extension("txt");
            if !known || !text.exists() {
                continue;
            }
            let set = next.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
            let reference = std::fs::read_to_string(&text)
                .with_context(|| format!("cannot read {}", text.display()))?;
            out.push(Utterance {
                set,
                id: path.display().to_string(),
                text: normalize_text(&reference),
                expected_ms: 0,
                audio: Audio::File(path),
            });
        }
    }
    Ok(out)
}

/// Sends the utterances with what they need from shards, each shard read once from front to back.
pub fn load(utterances: Vec<Utterance>, work: &Sender<Utterance>) {
    let mut wanted: HashMap<(String, String), Utterance> = HashMap::new();
    let mut folder = None;
    for utterance in utterances {
        if let Audio::Shard(path) = &utterance.audio {
            folder = Some(path.clone());
            wanted.insert((utterance.set.clone(), utterance.id.clone()), utterance);
        } else if work.send(utterance).is_err() {
            return;
        }
    }
    let Some(folder) = folder else {
        return;
    };
    let mut shards: Vec<PathBuf> = std::fs::read_dir(&folder)
        .map(|entries| entries.filter_map(|e| e.ok().map(|e| e.path())).collect())
        .unwrap_or_default();
    shards.sort();
    for shard in shards.iter().filter(|s| s.extension().is_some_and(|e| e == "tar")) {
        let stem = shard.file_stem().map_or(String::new(), |s| s.to_string_lossy().into_owned());
        let set = stem.rsplit_once('-').map_or(stem.as_str(), |(set, _)| set);
        if wanted.keys().any(|(s, _)| s == set)
            && send_shard(shard, set, &mut wanted, work).is_none()
        {
            return;
        }
    }
    // What no shard held is reported as an error of each utterance.
    for (_, utterance) in wanted {
        if work.send(utterance).is_err() {
            return;
        }
    }
}

/// None if the receivers have gone.
fn send_shard(
    shard: &Path,
    set: &str,
    wanted: &mut HashMap<(String, String), Utterance>,
    work: &Sender<Utterance>,
) -> Option<()> {
    let Ok(file) = std::fs::File::open(shard) else {
        return Some(());
    };
    let mut archive = tar::Archive::new(std::io::BufReader::new(file));
    let Ok(entries) = archive.entries() else {
        return Some(());
    };
    for mut entry in entries.flatten() {
        let id = entry.path().ok().map(|p| p.with_extension("").to_string_lossy().into_owned());
        let Some(mut utterance) = id.and_then(|id| wanted.remove(&(set.to_owned(), id))) else {
            continue;
        };
        let mut bytes = Vec::new();
        if entry.read_to_end(&mut bytes).is_ok() {
            utterance.audio = Audio::Bytes(bytes);
        }
        work.send(utterance).ok()?;
    }
    Some(())
}
