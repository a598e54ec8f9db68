//! FLAC, MP3, Ogg Vorbis, M4A (AAC, ALAC), AAC, AIFF, Matroska and `WebM`, and WAV of rare encodings, decoded by symphonia.

mod decoder;
mod tally;

use std::fs::File;
use std::io::{Cursor, ErrorKind};
use std::path::{Path, PathBuf};

use symphonia::core::errors::Error as Failure;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{
    MediaSource as Bytes, MediaSourceStream, MediaSourceStreamOptions, ReadOnlySource,
};
use symphonia::core::meta::MetadataOptions;

use super::{AudioSource, riff, whole};
use crate::error::{Error, Result};
use decoder::{Decoder, Refusal, explain};
use tally::Tally;

/// Places in a row that may be damaged before the rest is given up.
const MOST_FAILURES: usize = 1000;
/// Parts of a second by which lengths in headers may be wrong.
const TOLERANCE: u64 = 10;
/// Gaps between packets that rounding can explain, and those that are too long to be filled.
const SHORT_GAP_S: f64 = 0.05;
const LONG_GAP_S: f64 = 60.0;
/// What is missing in all is filled up to this; what a damaged file says must not cost hours of silence.
const MOST_FILLED_S: f64 = 600.0;

/// The first audio track of a compressed file, any number of channels (their mean is taken), 8 to 192 kHz. A chunk is one packet;
/// what cannot be decoded is left out with a warning.
pub struct MediaSource {
    format: Box<dyn FormatReader>,
    decoder: Decoder,
    path: PathBuf,
    duration_s: Option<f64>,
    /// Samples passed on, and those that the files before in a chain promised.
    passed: u64,
    promised: Option<u64>,
    /// Whether a packet was decoded, so that the file is of a kind that can be.
    known: bool,
    /// Places left out, how many in a row, and why the first was.
    damaged: usize,
    failures: usize,
    reason: String,
    /// Why the file is known to be cut off.
    truncated: Option<String>,
    /// For frames in no container.
    tally: Option<Tally>,
    /// When the next packet is due, and the silence put in where one was late.
    due_s: Option<f64>,
    filled_s: f64,
    ended: bool,
    warnings: Vec<String>,
}

impl MediaSource {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Audio`] if it is of no kind that can be decoded.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        Self::new(path, file)
    }

    /// Decodes a file in memory; `name` stands for it in messages.
    ///
    /// # Errors
    /// [`Error::Audio`] as for [`open`](Self::open).
    pub fn from_bytes(name: impl AsRef<Path>, bytes: Vec<u8>) -> Result<Self> {
        Self::new(name.as_ref(), Cursor::new(bytes))
    }

    fn new(path: &Path, mut bytes: impl Bytes + 'static) -> Result<Self> {
        let truncated = whole::missing(&mut bytes).map_err(|e| Error::io(path, e))?;
        let tally = Tally::new(&mut bytes).map_err(|e| Error::io(path, e))?;
        let flaw = riff::flaw(&mut bytes).map_err(|e| Error::io(path, e))?;
        let warnings = flaw.map(|flaw| format!("{} is damaged: {flaw}", path.display()));
        // Readers that may jump look for what is behind the end; others take what comes.
        let bytes: Box<dyn Bytes> = match truncated {
            None => Box::new(bytes),
            Some(_) => Box::new(ReadOnlySource::new(bytes)),
        };
        let fail = |reason: String| Error::audio(path, reason);
        let stream = MediaSourceStream::new(bytes, MediaSourceStreamOptions::default());
        let mut hint = Hint::new();
        if let Some(extension) = path.extension().and_then(|e| e.to_str()) {
            hint.with_extension(extension);
        }
        let cut =
            || truncated.as_ref().map_or(String::new(), |t| format!("; it is truncated: {t}"));
        let format = symphonia::default::get_probe()
            .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(|e| fail(format!("not audio of a kind that can be read ({e}){}", cut())))?;
        let decoder = Decoder::new(&*format).map_err(fail)?;
        let promised_s = decoder.promised.map(|n| n as f64 / f64::from(decoder.rate_hz));
        let (tally, is_told) = match format.format_info().short_name {
            // Where no frame of marks tells the length it was guessed.
            "mp1" | "mp2" | "mp3" => {
                let is_told = tally.as_ref().is_some_and(Tally::is_told);
                (tally, is_told)
            }
            "aac" => {
                let counts = |mut tally: Tally| {
                    tally.headers_are_left_out();
                    tally
                };
                (tally.map(counts), true)
            }
            _ => (None, true),
        };
        Ok(Self {
            duration_s: promised_s,
            promised: decoder.promised.filter(|_| is_told),
            format,
            decoder,
            path: path.to_path_buf(),
            passed: 0,
            known: false,
            damaged: 0,
            failures: 0,
            reason: String::new(),
            truncated,
            tally,
            due_s: None,
            filled_s: 0.0,
            ended: false,
            warnings: Vec::from_iter(warnings),
        })
    }

    /// Something that is no audio; gives up where nothing else comes.
    fn skip(&mut self, reason: String) {
        self.damaged += 1;
        self.failures += 1;
        if self.damaged == 1 {
            self.reason = reason;
        }
        self.ended |= self.failures > MOST_FAILURES;
    }

    /// Another file behind the one that is over.
    fn next_in_chain(&mut self) {
        match Decoder::new(&*self.format) {
            Ok(next) if next.rate_hz == self.decoder.rate_hz => {
                self.promised = self.promised.zip(next.promised).map(|(a, b)| a + b);
                self.decoder = next;
                self.due_s = None;
            }
            Ok(next) => {
                let reason = format!("its rate changes to {} Hz; cut it there", next.rate_hz);
                self.give_up(reason);
            }
            Err(reason) => self.give_up(reason),
        }
    }

    fn give_up(&mut self, reason: String) {
        self.skip(reason);
        self.ended = true;
    }

    /// The next packet as mono samples.
    fn decode_into(&mut self, out: &mut Vec<f32>) -> Result<()> {
        let mut packet = match self.format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => {
                self.ended = true;
                return Ok(());
            }
            // Files that were cut off end so.
            Err(Failure::IoError(e)) if e.kind() == ErrorKind::UnexpectedEof => {
                self.truncated.get_or_insert_with(|| "it ends inside a packet".into());
                self.ended = true;
                return Ok(());
            }
            Err(Failure::IoError(e)) => return Err(Error::io(&self.path, e)),
            Err(Failure::ResetRequired) => {
                self.next_in_chain();
                return Ok(());
            }
            Err(e @ Failure::DecodeError(_)) => {
                self.skip(explain(&e));
                return Ok(());
            }
            Err(e) => {
                self.give_up(explain(&e));
                return Ok(());
            }
        };
        if packet.track_id != self.decoder.track {
            return Ok(());
        }
        if let Some(tally) = &mut self.tally {
            tally.add(&packet.data);
        }
        self.decoder.keep_what_is_no_padding(&mut packet);
        let begin_s = self.decoder.begin_s(&packet);
        self.fill(begin_s, out);
        let before = out.len();
        match self.decoder.decode_into(&packet, out) {
            Ok(()) => {
                let length_s = (out.len() - before) as f64 / f64::from(self.decoder.rate_hz);
                self.due_s = begin_s.map(|s| s + length_s);
                self.failures = 0;
                self.known = true;
            }
            Err(Refusal::Stream(reason)) if !self.known => self.give_up(reason),
            // Of a file that could be decoded so far it is one packet that says what is new.
            Err(Refusal::Packet(reason) | Refusal::Stream(reason)) => {
                self.skip(reason);
                let end_s = begin_s.zip(self.decoder.length_s(&packet)).map(|(b, l)| b + l);
                self.due_s = begin_s.or(self.due_s);
                self.fill(end_s, out);
                self.due_s = end_s.or(self.due_s);
            }
        }
        Ok(())
    }

    /// Silence for what is missing before a packet, so that times stay right.
    fn fill(&mut self, begin_s: Option<f64>, out: &mut Vec<f32>) {
        let gap_s = begin_s.zip(self.due_s).map_or(0.0, |(begin, due)| begin - due);
        if gap_s < if self.failures > 0 { 0.0 } else { SHORT_GAP_S } {
            return;
        }
        if self.damaged == 0 {
            self.skip("packets are missing".into());
        }
        if gap_s <= LONG_GAP_S && self.filled_s + gap_s <= MOST_FILLED_S {
            self.filled_s += gap_s;
            let silence = (gap_s * f64::from(self.decoder.rate_hz)).round() as usize;
            out.resize(out.len() + silence, 0.0);
        }
    }

    /// Says what is wrong once all was read.
    fn close(&mut self) -> Result<()> {
        let (name, damaged, reason) = (self.path.display(), self.damaged, &self.reason);
        if damaged > 0 {
            self.warnings
                .push(format!("{name} is damaged: {damaged} places are left out ({reason})"));
        }
        if let Some(flaw) = self.tally.as_ref().and_then(Tally::flaw) {
            self.warnings.push(format!("{name} is damaged: {flaw}"));
        }
        let rate_hz = u64::from(self.decoder.rate_hz);
        let missing = self.promised.map_or(0, |n| n.saturating_sub(self.passed));
        if let Some(reason) = &self.truncated {
            self.warnings.push(format!("{name} is truncated: {reason}"));
        } else if missing > rate_hz / TOLERANCE {
            let s = |samples: u64| samples as f64 / rate_hz as f64;
            self.warnings.push(format!(
                "{name} is incomplete: it promises {:.1} s, and {:.1} s are missing",
                s(self.passed + missing),
                s(missing)
            ));
        }
        match self.warnings.first() {
            Some(reason) if self.passed == 0 => Err(Error::audio(&self.path, reason.clone())),
            _ => Ok(()),
        }
    }
}

impl AudioSource for MediaSource {
    fn sample_rate_hz(&self) -> u32 {
        self.decoder.rate_hz
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        out.clear();
        while !self.ended && out.is_empty() {
            self.decode_into(out)?;
            self.passed += out.len() as u64;
            if self.ended {
                self.close()?;
            }
        }
        Ok(!out.is_empty())
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn duration_s(&self) -> Option<f64> {
        self.duration_s
    }
}
