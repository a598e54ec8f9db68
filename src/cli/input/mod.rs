//! What is to be transcribed.

mod entry;
mod excerpt;
mod heard;
pub mod list;
mod names;

pub use entry::{Audio, Entry};
pub use list::gather;

use std::fmt::Write;
use std::path::Path;

use vivavoce::audio::{self, BoxedSource};

use heard::Heard;

/// What stdin is called in messages.
pub const STDIN: &str = "(stdin)";

/// Opens a file of any kind, in which there must be audio; `-` reads stdin.
pub fn open(path: &Path) -> anyhow::Result<BoxedSource> {
    if path == Path::new("-") {
        return Ok(must_hold_audio(STDIN, audio::from_stream(STDIN, std::io::stdin())?));
    }
    Ok(must_hold_audio(path, audio::open(path)?))
}

/// Decodes a file in memory.
pub fn decode(name: &str, bytes: Vec<u8>) -> anyhow::Result<BoxedSource> {
    Ok(must_hold_audio(name, audio::from_bytes(name, bytes)?))
}

/// A source that fails at its end if there was nothing in it.
pub fn must_hold_audio(name: impl AsRef<Path>, source: BoxedSource) -> BoxedSource {
    Box::new(Heard::new(name.as_ref(), source))
}

/// A path as text. Bytes that are no UTF-8 are written as `%` and two digits, so that names that differ look different.
pub fn text(path: &Path) -> String {
    let mut out = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
