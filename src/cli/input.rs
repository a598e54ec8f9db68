//! What is to be transcribed.

mod excerpt;
mod list;
mod names;

pub use list::{Entry, gather};

use std::path::Path;

use vivavoce::audio::{self, BoxedSource};

/// Opens a file of any kind; `-` reads stdin.
pub fn open(path: &Path) -> anyhow::Result<BoxedSource> {
    if path == Path::new("-") {
        return Ok(audio::from_stream("(stdin)", std::io::stdin())?);
    }
    Ok(audio::open(path)?)
}

/// Decodes a file in memory.
pub fn decode(name: &str, bytes: Vec<u8>) -> anyhow::Result<BoxedSource> {
    Ok(audio::from_bytes(name, bytes)?)
}
