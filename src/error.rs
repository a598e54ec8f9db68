//! What can go wrong, with the file and the fix in the message.

use std::path::{Path, PathBuf};

/// Result with the library's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Everything the library can refuse to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened or read. Check the path and its permissions.
    #[error("cannot read {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause, which the message has.
        cause: std::io::Error,
    },
    /// A file is not audio that can be decoded. Convert it to WAV.
    #[error("cannot decode {}: {reason}", path.display())]
    Audio {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Samples that are not numbers, a rate out of range, and the like.
    #[error("bad audio: {reason}")]
    Samples {
        /// What is wrong.
        reason: String,
    },
    /// A model folder is incomplete, damaged, or from another version. Get the folder again.
    #[error("cannot load model {}: {reason}", path.display())]
    Model {
        /// The folder or file inside it.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A setting is out of range.
    #[error("bad setting {field}: {reason}")]
    Config {
        /// Dotted name of the setting.
        field: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// A device cannot be recorded from. Choose another (`vivavoce devices`) or repair what the reason names.
    #[error("cannot record from {name}: {reason}")]
    Device {
        /// The device as it was asked for.
        name: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A list of words or a grammar has a line that cannot be used. Correct it.
    #[error("{}: line {line}: {reason}", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong, and what to write instead.
        reason: String,
    },
    /// A call that does not fit the state, such as audio after the end of the stream.
    #[error("wrong use: {reason}")]
    Usage {
        /// What was done and what to do instead.
        reason: String,
    },
}

/// Errors are equal if they say the same.
impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
            && self.to_string() == other.to_string()
    }
}

impl Error {
    /// A model error about `path`.
    #[doc(hidden)]
    pub fn model(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Model { path: path.as_ref().to_path_buf(), reason: reason.into() }
    }

    /// An error in a line, counted from 1, of a list.
    #[doc(hidden)]
    pub fn line(path: impl AsRef<Path>, line: usize, reason: impl Into<String>) -> Self {
        Self::List { path: path.as_ref().to_path_buf(), line, reason: reason.into() }
    }

    /// A configuration error about `field`.
    #[doc(hidden)]
    pub fn config(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config { field: field.into(), reason: reason.into() }
    }

    /// A read error about `path`.
    pub fn io(path: impl AsRef<Path>, cause: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_path_buf(), cause }
    }

    /// An audio decoding error about `path`.
    pub fn audio(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Audio { path: path.as_ref().to_path_buf(), reason: reason.into() }
    }
}
