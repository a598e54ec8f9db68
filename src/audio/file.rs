//! Files of any kind that the library was built for.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

use super::riff::{is_rare, is_wav};
use super::{AudioSource, WavSource, whole};
use crate::error::{Error, Result};

/// A source of any kind.
pub type BoxedSource = Box<dyn AudioSource + Send>;

/// Endings of names under which [`open`] expects audio, in small letters. All but the first two need the feature `media`.
pub const EXTENSIONS: [&str; 17] = [
    "wav", "wave", "opus", "ogg", "oga", "flac", "mp3", "m4a", "m4b", "mp4", "mov", "aac", "aif",
    "aiff", "mkv", "mka", "webm",
];

/// Bytes that [`is_container`] wants to see.
pub const MARK_BYTES: usize = 12;

/// Bytes at the front that tell what a file is.
const HEAD_BYTES: usize = 512;
/// Those of a WAV file without samples.
const WAV_BYTES: u64 = 44;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Wav,
    Opus,
    /// By its name for the user.
    Media(&'static str),
}

/// Opens a file by how it begins, then by the ending of its name.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; [`Error::Audio`] if it is not audio, or of a kind that needs the feature `media` in a
/// library built without it.
pub fn open(path: impl AsRef<Path>) -> Result<BoxedSource> {
    let path = path.as_ref();
    let fail = |e| Error::io(path, e);
    let mut file = File::open(path).map_err(fail)?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(fail)?;
    let kind = kind(&head, path);
    if file.rewind().is_ok() {
        return match kind {
            Kind::Wav => wav(path, BufReader::new(file)),
            Kind::Opus => opus(path, BufReader::new(file)),
            Kind::Media(name) => media_file(path, name),
        };
    }
    from_pipe(path, head, file)
}

/// Goes on with a stream that cannot seek and of which `head` was read: WAV as it comes, and what is no audio is refused at once.
fn from_pipe(
    name: &Path,
    head: Vec<u8>,
    reader: impl Read + Send + 'static,
) -> Result<BoxedSource> {
    let known = kind(&head, name);
    let mut stream = Cursor::new(head).chain(reader);
    if known == Kind::Wav {
        return Ok(Box::new(WavSource::from_reader(name, stream)?));
    }
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map_err(|e| Error::io(name, e))?;
    from_bytes(name, bytes)
}

/// Decodes a file in memory; `name` stands for it in messages.
///
/// # Errors
/// [`Error::Audio`] as for [`open`].
pub fn from_bytes(name: impl AsRef<Path>, bytes: Vec<u8>) -> Result<BoxedSource> {
    let name = name.as_ref();
    match kind(&bytes[..bytes.len().min(HEAD_BYTES)], name) {
        Kind::Wav => wav(name, Cursor::new(bytes)),
        Kind::Opus => opus(name, Cursor::new(bytes)),
        Kind::Media(kind) => media(name, kind, bytes),
    }
}

/// Reads from a stream that cannot seek: WAV as it comes, other kinds once they have ended.
///
/// # Errors
/// As for [`open`].
pub fn from_stream(
    name: impl AsRef<Path>,
    mut reader: impl Read + Send + 'static,
) -> Result<BoxedSource> {
    let name = name.as_ref();
    let fail = |e| Error::io(name, e);
    // What tells a WAV file is in its first bytes; waiting for more would hold up a live pipe.
    let mut head = Vec::new();
    reader.by_ref().take(WAV_BYTES).read_to_end(&mut head).map_err(fail)?;
    if !is_wav(&head) {
        reader.by_ref().take(HEAD_BYTES as u64 - WAV_BYTES).read_to_end(&mut head).map_err(fail)?;
    }
    from_pipe(name, head, reader)
}

/// Whether a stream that begins so says itself what it is, and [`from_stream`] can tell; bare samples do not.
pub fn is_container(head: &[u8]) -> bool {
    marked(head).is_some()
}

/// What a file is by the mark at its front.
fn marked(head: &[u8]) -> Option<Kind> {
    let has = |at: usize, what: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(what));
    Some(if is_wav(head) {
        if is_rare(head) { Kind::Media("WAV of this encoding") } else { Kind::Wav }
    } else if has(0, b"OggS") {
        let opus = head.windows(8).any(|bytes| bytes == b"OpusHead");
        if opus { Kind::Opus } else { Kind::Media("Ogg Vorbis") }
    } else if has(0, b"fLaC") {
        Kind::Media("FLAC")
    } else if has(0, b"FORM") && (has(8, b"AIFF") || has(8, b"AIFC")) {
        Kind::Media("AIFF")
    } else if has(4, b"ftyp") {
        Kind::Media("M4A")
    } else if has(0, b"ID3") {
        Kind::Media("MP3")
    } else if has(0, b"\x1a\x45\xdf\xa3") {
        Kind::Media("Matroska")
    } else {
        return None;
    })
}

fn kind(head: &[u8], path: &Path) -> Kind {
    if let Some(kind) = marked(head) {
        return kind;
    }
    let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    match extension.as_deref() {
        Some("opus") => Kind::Opus,
        Some("ogg" | "oga") => Kind::Media("Ogg Vorbis"),
        Some("flac") => Kind::Media("FLAC"),
        Some("mp3") => Kind::Media("MP3"),
        Some("m4a" | "m4b" | "mp4" | "mov") => Kind::Media("M4A"),
        Some("aac") => Kind::Media("AAC"),
        Some("mkv" | "mka" | "webm") => Kind::Media("Matroska"),
        Some("aif" | "aiff" | "aifc") => Kind::Media("AIFF"),
        Some("wav" | "wave") => Kind::Wav,
        // The sync word of MPEG audio, of which AAC has layer 0.
        _ if matches!(head, [0xff, second, ..] if second & 0xf6 == 0xf0) => Kind::Media("AAC"),
        _ if matches!(head, [0xff, second, ..] if second & 0xe0 == 0xe0) => Kind::Media("MP3"),
        _ => Kind::Wav,
    }
}

/// WAV that can be looked at as a whole before it is read.
fn wav(name: &Path, mut reader: impl Read + Seek + Send + 'static) -> Result<BoxedSource> {
    let flaw = whole::missing(&mut reader).map_err(|e| Error::io(name, e))?;
    let mut source = WavSource::from_reader(name, reader)?;
    if let Some(flaw) = flaw {
        source.warn(format!("{} is damaged: {flaw}", name.display()));
    }
    Ok(Box::new(source))
}

#[cfg(feature = "media")]
fn opus(name: &Path, reader: impl Read + Seek + Send + 'static) -> Result<BoxedSource> {
    Ok(Box::new(super::OpusSource::from_reader(name, reader)?))
}

#[cfg(feature = "media")]
fn media_file(path: &Path, _: &str) -> Result<BoxedSource> {
    Ok(Box::new(super::MediaSource::open(path)?))
}

#[cfg(feature = "media")]
fn media(name: &Path, _: &str, bytes: Vec<u8>) -> Result<BoxedSource> {
    Ok(Box::new(super::MediaSource::from_bytes(name, bytes)?))
}

#[cfg(not(feature = "media"))]
fn opus(name: &Path, _: impl Read + Seek + Send + 'static) -> Result<BoxedSource> {
    media_file(name, "Ogg Opus")
}

#[cfg(not(feature = "media"))]
fn media(name: &Path, kind: &str, _: Vec<u8>) -> Result<BoxedSource> {
    media_file(name, kind)
}

#[cfg(not(feature = "media"))]
fn media_file(path: &Path, kind: &str) -> Result<BoxedSource> {
    let reason =
        format!("{kind} needs the feature media; build with it or convert the file to WAV");
    Err(Error::audio(path, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is_shows_at_its_front_before_its_name_counts() {
        for (head, name, expected) in [
            (&b"RIFF\0\0\0\0WAVE"[..], "a.mp3", Kind::Wav),
            (b"OggS\0\x02 .. OpusHead", "a.ogg", Kind::Opus),
            (b"OggS\0\x02 .. \x01vorbis", "a.opus", Kind::Media("Ogg Vorbis")),
            (b"RF64\xff\xff\xff\xffWAVEds64", "a", Kind::Wav),
            (b"\x1a\x45\xdf\xa3\x9fB\x86", "a", Kind::Media("Matroska")),
            (b"fLaC", "a", Kind::Media("FLAC")),
            (b"FORM\0\0\0\0AIFC", "a", Kind::Media("AIFF")),
            (b"\0\0\0\x20ftypM4A ", "a", Kind::Media("M4A")),
            (b"ID3\x04", "a.wav", Kind::Media("MP3")),
            (b"\xff\xfb\x90", "a", Kind::Media("MP3")),
            (b"\xff\xf1\x50", "a", Kind::Media("AAC")),
            (b"\0\0\0\0", "a.MP3", Kind::Media("MP3")),
            (b"text", "a.opus", Kind::Opus),
            (b"text", "a.txt", Kind::Wav),
            (b"", "", Kind::Wav),
        ] {
            assert_eq!(kind(head, Path::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn an_endless_pipe_without_audio_is_refused_at_once() {
        let Err(error) = from_stream("(stdin)", std::io::repeat(0)) else { panic!("zeros") };
        assert!(error.to_string().contains("not a WAV file"), "{error}");
    }

    #[cfg(not(feature = "media"))]
    #[test]
    fn without_the_feature_its_name_is_told() {
        let Err(error) = from_bytes("a.flac", b"fLaC".to_vec()) else { panic!("no FLAC here") };
        let message = error.to_string();
        assert!(message.contains("a.flac: FLAC needs the feature media"), "{message}");
    }
}
