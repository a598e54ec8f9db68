//! Audio files of any kind that the program was built for.

use std::io::Cursor;
use std::path::Path;

use vivavoce::audio::{AudioSource, WavSource};

type Source = Box<dyn AudioSource + Send>;

/// Opens a file by its extension; `-` reads WAV from stdin.
pub fn open(path: &Path) -> anyhow::Result<Source> {
    if path == Path::new("-") {
        return Ok(Box::new(WavSource::from_reader("(stdin)", std::io::stdin())?));
    }
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("opus")) {
        return opus(path);
    }
    Ok(Box::new(WavSource::open(path)?))
}

/// Decodes a file in memory by how it begins.
pub fn decode(name: &str, bytes: Vec<u8>) -> anyhow::Result<Source> {
    if bytes.starts_with(b"OggS") {
        return opus_bytes(name, bytes);
    }
    Ok(Box::new(WavSource::from_reader(name, Cursor::new(bytes))?))
}

#[cfg(feature = "media")]
fn opus(path: &Path) -> anyhow::Result<Source> {
    Ok(Box::new(vivavoce::audio::OpusSource::open(path)?))
}

#[cfg(feature = "media")]
fn opus_bytes(name: &str, bytes: Vec<u8>) -> anyhow::Result<Source> {
    Ok(Box::new(vivavoce::audio::OpusSource::from_reader(name, Cursor::new(bytes))?))
}

#[cfg(not(feature = "media"))]
fn opus(path: &Path) -> anyhow::Result<Source> {
    anyhow::bail!("{}: Opus needs the feature media; convert it to WAV", path.display())
}

#[cfg(not(feature = "media"))]
fn opus_bytes(name: &str, _: Vec<u8>) -> anyhow::Result<Source> {
    anyhow::bail!("{name}: Opus needs the feature media; convert it to WAV")
}
