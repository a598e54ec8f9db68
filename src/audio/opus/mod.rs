//! Ogg Opus files (RFC 7845), decoded in Rust.

mod packets;

pub(super) use packets::{Packets, RATE_HZ, duration};

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use ogg::{OggReadError, PacketReader};

use super::AudioSource;
use crate::error::{Error, Result};

/// A page that does not say where it ends.
const NO_POSITION: u64 = u64::MAX;
/// Gaps that rounding can explain.
const TOLERANCE: u64 = 120;
/// Places after which the rest is given up.
const MOST_DAMAGED: usize = 100_000;
/// What is missing in all is filled up to this; what a damaged page says must not cost hours of silence.
const MOST_FILLED: u64 = 600 * RATE_HZ as u64;

/// An Ogg Opus stream, mono or stereo (the mean is taken), at 48 kHz; streams that follow each other in a file are one. A chunk is
/// one packet. Pages that are damaged are left out with a warning; what follows stands at its time.
pub struct OpusSource<R: Read + Seek> {
    reader: PacketReader<R>,
    path: PathBuf,
    packets: Packets,
    serial: u32,
    /// Packets of the page at hand.
    page: VecDeque<Vec<u8>>,
    /// Granule position of the next packet; none before the first page.
    position: Option<u64>,
    /// Granule position at which the stream is over, once its last page was met.
    last: Option<u64>,
    /// Samples still to be dropped at the start.
    skip: u64,
    /// Samples to be made up, those made up so far, and those passed on.
    gap: u64,
    filled: u64,
    passed: u64,
    /// Places that could not be read, and why the first was.
    damaged: usize,
    reason: String,
    ended: bool,
    warnings: Vec<String>,
}

impl OpusSource<BufReader<File>> {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Audio`] if it is not Ogg Opus.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        Self::from_reader(path, BufReader::new(file))
    }
}

impl<R: Read + Seek> OpusSource<R> {
    /// Reads from anything; `name` stands for it in messages.
    ///
    /// # Errors
    /// As [`open`](OpusSource::open).
    pub fn from_reader(name: impl AsRef<Path>, reader: R) -> Result<Self> {
        let path = name.as_ref().to_path_buf();
        let fail = |reason: String| Error::audio(&path, reason);
        let mut reader = PacketReader::new(reader);
        // Other streams may begin before.
        let head = loop {
            let packet = reader
                .read_packet()
                .map_err(|e| fail(format!("not an Ogg file: {e}")))?
                .ok_or_else(|| fail("not Ogg Opus: no OpusHead packet".into()))?;
            if packet.data.starts_with(b"OpusHead") {
                break packet;
            }
            if !packet.first_in_stream() {
                return Err(fail("not Ogg Opus: no OpusHead packet".into()));
            }
        };
        let packets = Packets::new(&head.data).map_err(fail)?;
        Ok(Self {
            reader,
            serial: head.stream_serial(),
            page: VecDeque::new(),
            position: None,
            last: None,
            skip: packets.pre_skip,
            packets,
            gap: 0,
            filled: 0,
            passed: 0,
            damaged: 0,
            reason: String::new(),
            ended: false,
            warnings: Vec::new(),
            path,
        })
    }

    fn damage(&mut self, reason: String) {
        self.damaged += 1;
        if self.damaged == 1 {
            self.reason = reason;
        }
    }

    /// The packets of the next page; at the end of the file none, and `ended`.
    fn read_page(&mut self) -> Result<()> {
        loop {
            let packet = match self.reader.read_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(OggReadError::ReadError(e)) if e.kind() == ErrorKind::UnexpectedEof => break,
                Err(OggReadError::ReadError(e)) => return Err(Error::io(&self.path, e)),
                Err(e) => {
                    // Bytes behind the end of a stream are nobody's.
                    let junk = matches!(e, OggReadError::NoCapturePatternFound);
                    if self.last.is_none() || !junk {
                        self.damage(e.to_string());
                    }
                    if self.damaged > MOST_DAMAGED {
                        break;
                    }
                    self.reader.delete_unread_packets();
                    self.page.clear();
                    continue;
                }
            };
            if packet.first_in_stream() {
                if packet.data.starts_with(b"OpusHead") && self.last.is_some() {
                    self.begin(&packet.data, packet.stream_serial());
                }
                continue;
            }
            if packet.stream_serial() != self.serial || self.last.is_some() {
                continue;
            }
            let (position, last) = (packet.absgp_page(), packet.last_in_stream());
            let whole = packet.last_in_page();
            if !packet.data.starts_with(b"OpusTags") {
                self.page.push_back(packet.data);
            }
            if whole {
                self.place(position, last);
                return Ok(());
            }
        }
        self.ended = true;
        Ok(())
    }

    /// Another stream behind the one that is over.
    fn begin(&mut self, head: &[u8], serial: u32) {
        match Packets::new(head) {
            Ok(packets) => {
                (self.skip, self.packets, self.serial) = (packets.pre_skip, packets, serial);
                (self.position, self.last) = (None, None);
            }
            Err(reason) => self.damage(reason),
        }
    }

    /// Where the page at hand begins, and what is missing before it.
    fn place(&mut self, end: u64, last: bool) {
        let length: usize = self.page.iter().filter_map(|p| duration(p)).sum();
        let length = length as u64;
        if end == NO_POSITION {
            return;
        }
        let start = end.saturating_sub(length);
        // A stream that was joined late begins anywhere; one whose first pages are lost at 0.
        let at = *self.position.get_or_insert(if self.damaged > 0 || last { 0 } else { start });
        let mut gap = start.saturating_sub(at);
        if last && let Some(step) = self.page.front().and_then(|p| duration(p)) {
            // Where the last page ends inside a packet, it begins later than its length says; what is lost are whole packets.
            gap = gap.next_multiple_of(step as u64);
        }
        if gap > TOLERANCE && self.filled + gap <= MOST_FILLED {
            self.gap = gap;
            self.filled += gap;
            if self.damaged == 0 {
                self.damage("packets are missing".into());
            }
        } else if !last {
            self.position = Some(start);
        }
        if last {
            self.last = Some(end.max(at));
            // The same number may be a stream's once more.
            self.reader.delete_unread_packets();
        }
    }

    /// The next packet, or what stands for it.
    fn decode_into(&mut self, out: &mut Vec<f32>) {
        if self.gap > 0 {
            let count = self.gap.min(u64::from(RATE_HZ));
            self.gap -= count;
            self.packets.conceal_into(count as usize, out);
        } else if let Some(packet) = self.page.pop_front()
            && let Err(reason) = self.packets.decode_into(&packet, out)
        {
            self.damage(reason);
            out.clear();
            self.packets.conceal_into(duration(&packet).unwrap_or(0), out);
        }
        let begin = self.position.unwrap_or(0);
        self.position = Some(begin + out.len() as u64);
        if let Some(last) = self.last {
            // The last position says how many samples are meant.
            out.truncate(last.saturating_sub(begin).min(out.len() as u64) as usize);
        }
        let skipped = self.skip.min(out.len() as u64);
        out.drain(..skipped as usize);
        self.skip -= skipped;
    }

    /// Says what is wrong once all was read.
    fn close(&mut self) -> Result<()> {
        let (name, damaged, reason) = (self.path.display(), self.damaged, &self.reason);
        if damaged > 0 {
            let made_up_s = self.filled as f64 / f64::from(RATE_HZ);
            self.warnings.push(format!(
                "{name} is damaged: {damaged} places are left out ({reason}); {made_up_s:.1} s are made up"
            ));
        }
        if self.last.is_none() {
            self.warnings.push(format!("{name} is truncated: its last page is missing"));
        }
        match self.warnings.last() {
            Some(reason) if self.passed == 0 => Err(Error::audio(&self.path, reason.clone())),
            _ => Ok(()),
        }
    }
}

impl<R: Read + Seek> AudioSource for OpusSource<R> {
    fn sample_rate_hz(&self) -> u32 {
        RATE_HZ
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        out.clear();
        while !self.ended && out.is_empty() {
            if self.gap == 0 && self.page.is_empty() {
                self.read_page()?;
                if self.ended {
                    self.close()?;
                }
                continue;
            }
            self.decode_into(out);
        }
        self.passed += out.len() as u64;
        Ok(!out.is_empty())
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
