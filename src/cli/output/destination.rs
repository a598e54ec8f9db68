//! Where results go.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Style, Transcript};
use crate::cli::Misuse;
use crate::cli::input::Entry;

/// A place for results. Files come into being as a whole: they are written under another name first.
pub enum Destination {
    /// One after the other.
    Stream {
        style: Style,
        out: Box<dyn Write>,
        /// The file and the name it has until it is whole; none: stdout, a pipe or a device.
        file: Option<(PathBuf, PathBuf)>,
        several: bool,
        written: usize,
    },
    /// A file each.
    Files { style: Style, paths: Vec<PathBuf> },
}

impl Destination {
    /// A stream of results, `several` or one.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn stream(style: Style, path: Option<&Path>, several: bool) -> anyhow::Result<Self> {
        let mut file = None;
        let mut out: Box<dyn Write> = Box::new(std::io::stdout());
        if let Some(path) = path.filter(|path| is_special(path)) {
            let cannot = || format!("cannot write {}", path.display());
            out = Box::new(File::options().write(true).open(path).with_context(cannot)?);
        } else if let Some(path) = path {
            let part = part(path);
            out = Box::new(BufWriter::new(create(&part)?));
            file = Some((part, path.to_path_buf()));
        }
        out.write_all(style.head(several).as_bytes())?;
        Ok(Self::Stream { style, out, file, several, written: 0 })
    }

    /// Whether results must come in order.
    pub fn is_ordered(&self) -> bool {
        matches!(self, Self::Stream { .. })
    }

    /// Writes the result of entry `i`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, i: usize, transcript: &Transcript) -> anyhow::Result<()> {
        match self {
            Self::Stream { style, out, several, written, .. } => {
                let mut text =
                    if *written > 0 { style.between().to_owned() } else { String::new() };
                text += &style.render(transcript, *several)?;
                *written += 1;
                out.write_all(text.as_bytes())?;
                Ok(out.flush()?)
            }
            Self::Files { style, paths } => {
                let text = format!("{}{}", style.head(false), style.render(transcript, false)?);
                replace(&paths[i], text.as_bytes())
            }
        }
    }

    /// Writes what stands at the end.
    ///
    /// # Errors
    /// As [`Destination::write`].
    pub fn finish(self) -> anyhow::Result<()> {
        let Self::Stream { style, mut out, file, several, .. } = self else { return Ok(()) };
        out.write_all(style.tail(several).as_bytes())?;
        out.flush()?;
        drop(out);
        file.map_or(Ok(()), |(part, path)| rename(&part, &path))
    }
}

/// Where the result of each entry is to be, in the order of the entries.
///
/// # Errors
/// If an entry has no folder, or two would have the same file.
pub fn result_paths(
    entries: &[Entry],
    dir: Option<&Path>,
    style: &Style,
) -> anyhow::Result<Vec<PathBuf>> {
    let mut taken: HashMap<PathBuf, &Entry> = HashMap::new();
    let mut paths = Vec::new();
    for entry in entries {
        let file = format!("{}.{}", entry.name, style.extension());
        let path = match (dir, entry.path()) {
            (Some(dir), _) => dir.join(file),
            (None, Some(input)) if input != Path::new("-") => {
                input.with_file_name(Path::new(&file).file_name().unwrap_or_default())
            }
            // A broken entry has no result.
            (None, None) => PathBuf::new(),
            (None, Some(_)) => {
                return Err(Misuse("stdin has no folder: say --output-dir DIR".into()).into());
            }
        };
        if entry.path().is_some()
            && let Some(other) = taken.insert(path.clone(), entry)
        {
            let (one, two) = (&other.shown, &entry.shown);
            anyhow::bail!("{one} and {two} would both be written to {}", path.display());
        }
        paths.push(path);
    }
    Ok(paths)
}

/// Whether `path` is a pipe or a device, which is written to as it is: another file must not take its place.
fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| !data.is_file() && !data.is_dir())
}

/// The name of a file that is not yet whole; the same for every attempt, so that none are left behind.
fn part(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    path.with_file_name(name)
}

fn create(path: &Path) -> anyhow::Result<File> {
    let cannot = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(cannot)?;
    }
    File::create(path).with_context(cannot)
}

fn rename(part: &Path, path: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let file = File::options().write(true).open(part).with_context(cannot)?;
    file.sync_data().with_context(cannot)?;
    std::fs::rename(part, path).with_context(cannot)
}

/// Puts a whole file in its place, or nothing.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let part = part(path);
    create(&part)?.write_all(bytes).with_context(|| format!("cannot write {}", part.display()))?;
    rename(&part, path)
}
