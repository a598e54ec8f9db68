//! Whether a file is shorter than it says: its boxes, chunks or pages, as containers nest them, reach behind its end.

use std::io::{Read, Result, Seek, SeekFrom};

use super::riff::{STREAMED_BYTES, is_wav};

/// Ids of Matroska's head and segment.
const EBML: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];
const SEGMENT: [u8; 4] = [0x18, 0x53, 0x80, 0x67];
/// Longer heads are not looked at.
const MOST_HEAD_BYTES: u64 = 4096;
/// No file has more parts on the top level.
const MOST_PARTS: usize = 100_000;

/// What is missing, as far as the outermost structure tells; the reader stands at the start again.
pub(super) fn missing(file: &mut (impl Read + Seek)) -> Result<Option<String>> {
    // A pipe has no end.
    let Ok(end) = file.seek(SeekFrom::End(0)) else { return Ok(None) };
    file.rewind()?;
    let mut head = Vec::new();
    file.by_ref().take(12).read_to_end(&mut head)?;
    let starts = |at: usize, what: &[u8]| head.get(at..).is_some_and(|h| h.starts_with(what));
    let found = if starts(4, b"ftyp") {
        boxes(file, end)?
    } else if let [b'F', b'O', b'R', b'M', size @ .., _, _, _, _] = head.as_slice() {
        short(8 + number(size), end)
    } else if is_wav(&head) {
        chunks(file, end)?
    } else if starts(0, &EBML) {
        segment(file, end)?
    } else if starts(0, b"OggS") {
        pages(file)?
    } else {
        None
    };
    file.rewind()?;
    Ok(found)
}

/// Big-endian.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, byte| (n << 8) | u64::from(*byte))
}

/// Fewer bytes than promised; one may be padding.
fn short(promised: u64, end: u64) -> Option<String> {
    (promised > end + 1).then(|| format!("{} of its {promised} bytes are missing", promised - end))
}

/// Chunks of WAV: behind the samples there is another or nothing. Samples that are cut off are told where they are read.
fn chunks(file: &mut (impl Read + Seek), end: u64) -> Result<Option<String>> {
    let mut at = 12;
    for _ in 0..MOST_PARTS {
        file.seek(SeekFrom::Start(at))?;
        let mut head = Vec::new();
        file.by_ref().take(8).read_to_end(&mut head)?;
        let Some(([a, b, c, d], size)) = head.split_first_chunk() else { return Ok(None) };
        let Some(size) = size.first_chunk() else { return Ok(None) };
        if ![a, b, c, d].iter().all(|byte| (b' '..=b'~').contains(byte)) {
            let zeros = head.iter().all(|byte| *byte == 0);
            return Ok((!zeros).then(|| format!("what stands behind byte {at} cannot be read")));
        }
        let size = u64::from(u32::from_le_bytes(*size));
        // Writers that cannot seek leave 0 or the largest number.
        let is_streamed =
            head.starts_with(b"data") && !(1..u64::from(STREAMED_BYTES)).contains(&size);
        at += 8 + size + size % 2;
        if is_streamed || at >= end {
            return Ok(None);
        }
    }
    Ok(None)
}

/// The segment of Matroska (RFC 8794, section 6; RFC 9559, section 5).
fn segment(file: &mut (impl Read + Seek), end: u64) -> Result<Option<String>> {
    let mut head = Vec::new();
    file.rewind()?;
    file.by_ref().take(MOST_HEAD_BYTES).read_to_end(&mut head)?;
    let promised = variable(&head, 4).and_then(|(size, at)| {
        let at = at.checked_add(usize::try_from(size).ok()?)?;
        head.get(at..)?.strip_prefix(&SEGMENT)?;
        let (size, begin) = variable(&head, at + SEGMENT.len())?;
        Some(begin as u64 + size)
    });
    Ok(promised.and_then(|promised| short(promised, end)))
}

/// A number of variable length at a place, and the place behind it; none if it is unknown.
fn variable(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let first = *bytes.get(at)?;
    let length = first.leading_zeros() as usize + 1;
    let rest = bytes.get(at + 1..at + length)?;
    let mark = 0x80_u8.checked_shr(length as u32 - 1)?;
    let value = rest.iter().fold(u64::from(first & (mark - 1)), |n, b| (n << 8) | u64::from(*b));
    let unknown = (1_u64 << (7 * length)) - 1;
    (value != unknown).then_some((value, at + length))
}

/// Boxes of ISO base media (ISO/IEC 14496-12, section 4.2).
fn boxes(file: &mut (impl Read + Seek), end: u64) -> Result<Option<String>> {
    let mut at = 0;
    for _ in 0..MOST_PARTS {
        file.seek(SeekFrom::Start(at))?;
        let mut head = Vec::new();
        file.by_ref().take(16).read_to_end(&mut head)?;
        let size = match head.as_slice() {
            [] => return Ok(None),
            [0, 0, 0, 1, _, _, _, _, size @ ..] if size.len() == 8 => number(size),
            [size @ .., _, _, _, _] if size.len() == 4 => number(size),
            head if head.len() > 8 => number(&head[..4]),
            _ => return Ok(Some("it ends inside a box".into())),
        };
        // 0 means up to the end.
        if size == 0 {
            return Ok(None);
        }
        if size < 8 || !head[4..8].iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == 0xa9)
        {
            return Ok(Some(format!("what stands behind byte {at} cannot be read")));
        }
        at = at.saturating_add(size);
        if at > end {
            return Ok(short(at, end));
        }
    }
    Ok(None)
}

#[cfg(not(feature = "media"))]
#[expect(clippy::unnecessary_wraps, reason = "as with the feature")]
fn pages(_: &mut impl Read) -> Result<Option<String>> {
    Ok(None)
}

/// Pages of Ogg have checksums, and the last says that it is the last (RFC 3533, section 6).
#[cfg(feature = "media")]
fn pages(file: &mut (impl Read + Seek)) -> Result<Option<String>> {
    use ogg::OggReadError;

    file.rewind()?;
    let mut packets = ogg::PacketReader::new(std::io::BufReader::new(file));
    let (mut damaged, mut ended) = (0, false);
    loop {
        match packets.read_packet() {
            Ok(Some(packet)) => ended = packet.last_in_stream(),
            Ok(None) => break,
            Err(OggReadError::ReadError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                ended = false;
                break;
            }
            Err(OggReadError::ReadError(e)) => return Err(e),
            Err(OggReadError::NoCapturePatternFound) => {
                damaged += usize::from(!ended);
                break;
            }
            Err(_) => {
                damaged += 1;
                packets.delete_unread_packets();
            }
        }
        if ended {
            packets.delete_unread_packets();
        }
    }
    Ok(match (damaged, ended) {
        (0, true) => None,
        (0, false) => Some("its last page is missing".into()),
        _ => Some(format!("{damaged} of its pages are damaged")),
    })
}
