//! One thing to be transcribed.

use std::path::{Path, PathBuf};

use vivavoce::audio::BoxedSource;

use super::excerpt::Excerpt;

/// Something to be transcribed.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its id, and the path of its result without the ending.
    pub name: String,
    /// What it is called in messages and in results.
    pub shown: String,
    pub audio: Audio,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Audio {
    /// `-` is stdin.
    File(PathBuf),
    Excerpt {
        path: PathBuf,
        offset_s: f64,
        duration_s: f64,
    },
    /// A line of a list that cannot be followed.
    Broken(String),
}

impl Entry {
    pub fn open(&self) -> anyhow::Result<BoxedSource> {
        match &self.audio {
            Audio::File(path) => super::open(path),
            Audio::Excerpt { path, offset_s, duration_s } => {
                Ok(Box::new(Excerpt::new(path, super::open(path)?, *offset_s, *duration_s)))
            }
            Audio::Broken(reason) => anyhow::bail!("{reason}"),
        }
    }

    pub fn path(&self) -> Option<&Path> {
        match &self.audio {
            Audio::File(path) | Audio::Excerpt { path, .. } => Some(path),
            Audio::Broken(_) => None,
        }
    }

    /// Whether one result is enough for this and another.
    pub fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.audio == other.audio
    }
}
