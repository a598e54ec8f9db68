//! Files that come into being as a whole: they have another name until they are.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

const PREFIX: &str = ".vivavoce-";
const SUFFIX: &str = ".part";
/// Times that a file is written again when another run took it for left behind.
const MOST_TRIES: usize = 3;

/// What to do with a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meet {
    Replace,
    /// Another run has written it meanwhile; its work counts.
    Leave,
}

/// A file on its way. Dropped before it is whole it leaves nothing behind.
pub struct Part {
    file: NamedTempFile,
    path: PathBuf,
}

impl Part {
    /// A file that is to be `path`, whose folder is made.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot write {}", path.display());
        let folder = folder(path);
        std::fs::create_dir_all(folder).with_context(cannot)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX).suffix(SUFFIX);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder).with_context(cannot)?;
        // Tells other runs that somebody is at it; where locks are unknown nothing is swept either.
        let _ = file.as_file().try_lock();
        Ok(Self { file, path: path.to_path_buf() })
    }

    /// What it is to be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name; `false` if it was left to another.
    ///
    /// # Errors
    /// If that cannot be done; then nothing has changed.
    pub fn finish(self, meet: Meet) -> anyhow::Result<bool> {
        let cannot = || format!("cannot write {}", self.path.display());
        self.file.as_file().sync_data().with_context(cannot)?;
        let named = match meet {
            Meet::Replace => self.file.persist(&self.path),
            Meet::Leave => self.file.persist_noclobber(&self.path),
        };
        match named {
            Ok(_) => Ok(true),
            Err(e) if meet == Meet::Leave && e.error.kind() == ErrorKind::AlreadyExists => {
                Ok(false)
            }
            Err(e) => Err(e.error).with_context(|| format!("cannot write {}", self.path.display())),
        }
    }
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Puts a whole file in its place, or nothing; `false` if it was left to another.
///
/// # Errors
/// If it cannot be written.
pub fn put(path: &Path, bytes: &[u8], meet: Meet) -> anyhow::Result<bool> {
    let mut tries = 1;
    loop {
        let mut part = Part::create(path)?;
        part.write_all(bytes).with_context(|| format!("cannot write {}", path.display()))?;
        match part.finish(meet) {
            Err(e) if tries < MOST_TRIES && is_gone(&e) => tries += 1,
            done => return done,
        }
    }
}

fn is_gone(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::NotFound)
}

/// Removes what runs that were killed have left in a folder.
pub fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = name.starts_with(PREFIX) && name.ends_with(SUFFIX);
        if ours
            && entry.file_type().is_ok_and(|kind| kind.is_file())
            && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok())
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The folder that a file is in.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
