//! Which bytes of a bare stream of frames (MP3, AAC) belong to none: nothing else tells what is missing in one.

use std::io::{Read, Result, Seek, SeekFrom};

/// Bytes in which a stream shows what it is.
const WINDOW_BYTES: u64 = 4096;
/// Marks of a frame that holds no audio but tells the length, and how far in they may be.
const MARKS: [&[u8]; 3] = [b"Xing", b"Info", b"VBRI"];
const MARK_WITHIN: usize = 64;
/// No frame of MPEG audio is longer.
const LONGEST_FRAME: usize = 1441 + FOUND_BY;
/// Bytes at the end in which tags are looked for.
const TAIL_BYTES: u64 = 160;
/// Enough of a frame to find it again.
const FOUND_BY: usize = 32;
/// Fewer are padding behind MPEG audio; ADTS has none.
const FEW_BYTES: u64 = 32;

/// Counts bytes.
pub(super) struct Tally {
    length: u64,
    known: u64,
    /// The length that a frame of marks tells.
    told: u64,
    /// The bytes from the first frame on, until it was met.
    window: Vec<u8>,
    /// Those of a frame that its packet lacks.
    header_bytes: u64,
    few_bytes: u64,
    /// Frames that the frame of marks tells, and those met.
    frames: u64,
    met: u64,
    /// The last bytes before the tags, and of the packet met last.
    tail: Vec<u8>,
    last: Vec<u8>,
}

impl Tally {
    /// Looks for tags at both ends; the file stands at its start again. None for a pipe.
    pub fn new(file: &mut (impl Read + Seek)) -> Result<Option<Self>> {
        let Ok(length) = file.seek(SeekFrom::End(0)) else { return Ok(None) };
        let front = front(&read_at(file, 0, 10)?);
        let mut tail = read_at(file, length.saturating_sub(TAIL_BYTES), TAIL_BYTES)?;
        let back = back(&tail);
        tail.truncate(tail.len().saturating_sub(back as usize));
        let window = read_at(file, front, WINDOW_BYTES)?;
        file.rewind()?;
        let known = front + back;
        let (frames, bytes) = told(&window);
        Ok(Some(Self {
            length,
            known,
            told: if bytes > 0 { known + bytes } else { 0 },
            window,
            header_bytes: 0,
            few_bytes: FEW_BYTES,
            frames,
            met: 0,
            tail,
            last: Vec::new(),
        }))
    }

    /// Packets are those of ADTS (ISO/IEC 13818-7, section 6.2), which come without their headers.
    pub fn headers_are_left_out(&mut self) {
        let has_checksum = self.window.get(1).is_some_and(|byte| byte & 1 == 0);
        self.header_bytes = if has_checksum { 9 } else { 7 };
        self.few_bytes = 1;
    }

    /// Whether a frame of marks tells how many frames there are.
    pub fn is_told(&self) -> bool {
        self.frames > 0
    }

    /// A packet was met.
    pub fn add(&mut self, packet: &[u8]) {
        let window = std::mem::take(&mut self.window);
        let head = &window[..window.len().min(MARK_WITHIN)];
        let is_marked = MARKS.iter().any(|mark| head.windows(4).any(|bytes| bytes == *mark));
        let wanted = &packet[..packet.len().min(FOUND_BY)];
        if is_marked
            && !wanted.is_empty()
            && let Some(at) = window[..window.len().min(LONGEST_FRAME)]
                .windows(wanted.len())
                .position(|bytes| bytes == wanted)
        {
            self.known += at as u64;
        }
        self.last.clear();
        self.last.extend_from_slice(&packet[packet.len().saturating_sub(FOUND_BY)..]);
        self.met += 1;
        self.known += self.header_bytes + packet.len() as u64;
    }

    /// What is wrong, if it is more than a few bytes.
    pub fn flaw(&self) -> Option<String> {
        // Behind the last frame there may be padding, between frames there is nothing.
        let few_bytes = if self.tail.ends_with(&self.last) { 1 } else { self.few_bytes };
        let many = |bytes: &u64| *bytes >= few_bytes;
        let stray = Some(self.length.saturating_sub(self.known)).filter(many);
        let lost = Some(self.frames.saturating_sub(self.met)).filter(|frames| *frames > 2);
        if let Some(frames) = lost {
            return Some(format!("{frames} of its {} frames are missing", self.frames));
        }
        let missing = Some(self.told.saturating_sub(self.length));
        let missing = missing.filter(|bytes| *bytes >= self.few_bytes);
        missing
            .map(|bytes| format!("{bytes} of its bytes are missing"))
            .or_else(|| stray.map(|bytes| format!("{bytes} of its bytes are no audio")))
            .or_else(|| self.is_cut().then(|| "its last frame is cut off".into()))
    }

    /// Whether the few bytes that belong to nothing begin a frame.
    fn is_cut(&self) -> bool {
        let stray = self.length.saturating_sub(self.known) as usize;
        let rest = self.tail.len().checked_sub(stray).map(|at| &self.tail[at..]);
        matches!(rest, Some([0xff] | [0xff, 0xe0..=0xff, ..]))
    }
}

/// Frames and bytes of MPEG audio, as the frame with the mark tells behind its flags; 0 where it does not.
fn told(window: &[u8]) -> (u64, u64) {
    let head = &window[..window.len().min(MARK_WITHIN)];
    let at = head.windows(4).position(|mark| mark == b"Xing" || mark == b"Info");
    let number = |at: usize| {
        let bytes = window.get(at..)?.first_chunk()?;
        Some(u64::from(u32::from_be_bytes(*bytes)))
    };
    let Some((at, flags)) = at.and_then(|at| Some((at, number(at + 4)?))) else { return (0, 0) };
    let frames = if flags & 1 == 0 { None } else { number(at + 8) };
    let bytes = if flags & 2 == 0 { None } else { number(at + 8 + 4 * (flags as usize & 1)) };
    (frames.unwrap_or(0), bytes.unwrap_or(0))
}

fn read_at(file: &mut (impl Read + Seek), at: u64, count: u64) -> Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.by_ref().take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Bytes of a tag of `ID3v2` (id3.org, version 2.4.0, section 3.1).
fn front(head: &[u8]) -> u64 {
    match head {
        [b'I', b'D', b'3', _, _, flags, size @ ..] if size.len() == 4 => {
            let size = size.iter().fold(0, |n, byte| (n << 7) | u64::from(byte & 0x7f));
            10 + size + if flags & 0x10 == 0 { 0 } else { 10 }
        }
        _ => 0,
    }
}

/// Bytes of a tag of `ID3v1` and of an APE tag before it.
fn back(tail: &[u8]) -> u64 {
    let (rest, old) = match tail.len().checked_sub(128) {
        Some(at) if tail[at..].starts_with(b"TAG") => (&tail[..at], 128),
        _ => (tail, 0),
    };
    let ape = rest.len().checked_sub(32).map(|at| &rest[at..]);
    match ape.and_then(|footer| footer.strip_prefix(b"APETAGEX")) {
        Some([_, _, _, _, a, b, c, d, _, _, _, _, _, _, _, flags, ..]) => {
            let size = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
            old + size + if flags & 0x80 == 0 { 0 } else { 32 }
        }
        _ => old,
    }
}
