//! What may be written to: nothing that is read, and nothing that is there already unless the user says so.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::cli::Misuse;
use crate::cli::input::text;

/// What two names of one file have in common.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = PathBuf;

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;

    let data = path.metadata().ok()?;
    Some((data.dev(), data.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<Identity> {
    path.canonicalize().ok()
}

/// What a model folder holds.
const MODEL_FILES: [&str; 2] = ["config.json", "tokens.txt"];
const MODEL_ENDINGS: [&str; 2] = ["safetensors", "bin"];

/// The files that a command reads.
#[derive(Default)]
pub struct Guard {
    inputs: Vec<PathBuf>,
}

impl Guard {
    /// Nothing is to be written to these files, under any name.
    pub fn protect<'a>(&mut self, paths: impl IntoIterator<Item = &'a Path>) {
        self.inputs.extend(paths.into_iter().map(Path::to_path_buf));
    }

    /// Nothing is to be written to the files of this model.
    pub fn protect_model(&mut self, folder: &Path) {
        for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = file.path();
            let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            let named = MODEL_FILES.iter().any(|name| path.ends_with(name));
            if named || MODEL_ENDINGS.contains(&ending) {
                self.inputs.push(path);
            }
        }
    }

    /// Refuses outputs that are inputs, by whatever name or link, and outputs that are there unless `overwrite`. Pipes and devices are
    /// written to as they are.
    ///
    /// # Errors
    /// [`Misuse`] with the first of them.
    pub fn check(&self, outputs: &[PathBuf], overwrite: bool) -> anyhow::Result<()> {
        let there: HashMap<_, _> = outputs
            .iter()
            .filter(|path| !is_special(path))
            .filter_map(|path| Some((identity(path)?, path)))
            .collect();
        if there.is_empty() {
            return Ok(());
        }
        for input in &self.inputs {
            if let Some(output) = identity(input).and_then(|id| there.get(&id)) {
                let (output, input) = (text(output), text(input));
                let reason = format!(
                    "{output} cannot be written: it is the input {input}; choose another name"
                );
                return Err(Misuse(reason).into());
            }
        }
        if overwrite {
            return Ok(());
        }
        let first = outputs.iter().find(|path| !is_special(path) && path.exists());
        let first = first.map_or(String::new(), |path| text(path));
        let way_out = match outputs.len() {
            1 => ": --overwrite replaces it".to_owned(),
            all => format!(
                " ({} of {all} results are): --resume leaves out what is done, --overwrite replaces it",
                there.len()
            ),
        };
        Err(Misuse(format!("{first} is there already{way_out}")).into())
    }
}

/// Whether `path` is a pipe or a device, which is written to as it is: another file must not take its place.
pub fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| !data.is_file() && !data.is_dir())
}
