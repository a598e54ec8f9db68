//! Where results go.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::guard::is_special;
use super::whole::{Meet, Part, folder, put, sweep};
use super::{Style, Transcript};
use crate::cli::Misuse;
use crate::cli::input::{Entry, text};

/// A place for results.
pub enum Destination {
    /// One after the other.
    Stream { style: Style, out: Out, several: bool, written: usize },
    /// A file each.
    Files { style: Style, paths: Vec<PathBuf>, meet: Meet },
}

/// What one result after the other is written to.
pub enum Out {
    /// Stdout, a pipe or a device.
    Open(Box<dyn Write>),
    File(BufWriter<Part>),
}

impl Out {
    fn put(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Open(out) => Ok(out.write_all(bytes).and_then(|()| out.flush())?),
            Self::File(out) => {
                let written = out.write_all(bytes).and_then(|()| out.flush());
                written.with_context(|| format!("cannot write {}", text(out.get_ref().path())))
            }
        }
    }
}

impl Destination {
    /// A stream of results, `several` or one.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn stream(style: Style, path: Option<&Path>, several: bool) -> anyhow::Result<Self> {
        let mut out = match path {
            None => Out::Open(Box::new(std::io::stdout())),
            Some(path) if is_special(path) => {
                let cannot = || format!("cannot write {}", path.display());
                Out::Open(Box::new(File::options().write(true).open(path).with_context(cannot)?))
            }
            Some(path) => {
                let part = Part::create(path)?;
                sweep(folder(path));
                Out::File(BufWriter::new(part))
            }
        };
        out.put(style.head(several).as_bytes())?;
        Ok(Self::Stream { style, out, several, written: 0 })
    }

    /// A file for each result; what another run has written meanwhile stays unless `overwrite`.
    pub fn files(style: Style, paths: Vec<PathBuf>, overwrite: bool) -> Self {
        let mut folders: Vec<_> = paths.iter().map(|path| folder(path)).collect();
        folders.sort_unstable();
        folders.dedup();
        folders.into_iter().for_each(sweep);
        let meet = if overwrite { Meet::Replace } else { Meet::Leave };
        Self::Files { style, paths, meet }
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
                out.put(text.as_bytes())
            }
            Self::Files { style, paths, meet } => {
                let text = format!("{}{}", style.head(false), style.render(transcript, false)?);
                put(&paths[i], text.as_bytes(), *meet).map(|_| ())
            }
        }
    }

    /// Writes what stands at the end.
    ///
    /// # Errors
    /// As [`Destination::write`].
    pub fn finish(self) -> anyhow::Result<()> {
        let Self::Stream { style, mut out, several, .. } = self else { return Ok(()) };
        out.put(style.tail(several).as_bytes())?;
        match out {
            Out::Open(_) => Ok(()),
            Out::File(out) => {
                let part = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
                part.finish(Meet::Replace).map(|_| ())
            }
        }
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
            let file = text(&path);
            let reason = format!("{one} and {two} would both be written to {file}: give them ids");
            return Err(Misuse(reason).into());
        }
        paths.push(path);
    }
    Ok(paths)
}
