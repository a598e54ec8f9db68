//! The front of a WAV file (Multimedia Programming Interface 1.0, IBM and Microsoft, 1991, and
//! `WAVE_FORMAT_EXTENSIBLE`), mended so that hound can take it.
//!
//! hound decodes the format description and the samples, but refuses much that is common: data of
//! no or an impossible length (programs that write into a pipe), data that ends inside a sample,
//! descriptions of unusual length, a wrong byte rate; it also loses its way after chunks of odd
//! length. RF64 (EBU Tech 3306), which goes on beyond 4 GiB, it does not know. So the chunks before the samples are walked here, and hound is given a plain header of
//! the same format with the true length of the samples at hand.

#[cfg(feature = "media")]
use std::io::Seek;
use std::io::{Chain, ErrorKind, Read};

use hound::WavReader;

use super::SAMPLE_RATES_HZ;

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const ALAW: u16 = 6;
const MULAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;
const EXTENSIBLE_BYTES: usize = 40;
const PLAIN_BYTES: usize = 16;
/// Lengths of 64 bits: of the file, of its samples, and their number.
const DS64_BYTES: u32 = 24;
/// No format description is longer.
const MAX_FORMAT_BYTES: u32 = 4096;
/// Writers that cannot seek leave 0 or a number near the largest of 31 or 32 bits.
pub(super) const STREAMED_BYTES: u32 = 0x7fff_0000;

/// What stands before the samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Everything up to the samples, for hound.
    bytes: Vec<u8>,
    /// Bytes of one sample of every channel.
    pub group_bytes: usize,
    /// Bytes of samples; `None` means until the end of the file.
    pub data_bytes: Option<u64>,
    /// What in the format description cannot all be true.
    pub flaw: Option<String>,
}

/// hound on a header and samples in memory.
pub(super) type Reader<'a> = WavReader<Chain<&'a [u8], &'a [u8]>>;

/// Why a header was not understood.
#[derive(Debug)]
pub(super) enum HeaderError {
    Io(std::io::Error),
    Format(String),
}

impl From<std::io::Error> for HeaderError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == ErrorKind::UnexpectedEof {
            return Self::Format("the file ends inside its header".into());
        }
        Self::Io(error)
    }
}

impl Header {
    /// `format` is a format description of at least 16 bytes.
    fn new(format: &[u8], data_bytes: Option<u64>) -> Self {
        let mut format = format.to_vec();
        let extensible = word(&format, 0) == EXTENSIBLE && format.len() >= EXTENSIBLE_BYTES;
        format.truncate(if extensible { EXTENSIBLE_BYTES } else { PLAIN_BYTES });
        if extensible {
            // Samples with fewer valid bits than their container are left-justified, so the
            // container's scale holds.
            let bits = word(&format, 14);
            format[16..18].copy_from_slice(&22_u16.to_le_bytes());
            format[18..20].copy_from_slice(&bits.to_le_bytes());
        }
        let group_bytes = word(&format, 12);
        let rate = u32::from_le_bytes([format[4], format[5], format[6], format[7]]);
        let flaw = two_rates(&format);
        let byte_rate = rate.wrapping_mul(u32::from(group_bytes));
        format[8..12].copy_from_slice(&byte_rate.to_le_bytes());
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
        bytes.extend_from_slice(&(format.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&format);
        bytes.extend_from_slice(b"data\0\0\0\0");
        Self { bytes, group_bytes: usize::from(group_bytes), data_bytes, flaw }
    }

    /// A reader of `samples`, which must be whole groups.
    pub fn reader<'a>(&'a mut self, samples: &'a [u8]) -> Result<Reader<'a>, String> {
        let length = (samples.len() as u32).to_le_bytes();
        let at = self.bytes.len() - length.len();
        self.bytes[at..].copy_from_slice(&length);
        WavReader::new(self.bytes.chain(samples)).map_err(|e| self.explain(&e))
    }

    /// hound's error with what the format description says.
    pub fn explain(&self, error: &hound::Error) -> String {
        let format = &self.bytes[20..];
        let (tag, channels, bits) = (word(format, 0), word(format, 2), word(format, 14));
        format!(
            "{error} (WAV encoding {tag:#06x}, {channels} channels, {bits} bits, {} bytes together); \
             convert it to PCM of 16 bits",
            self.group_bytes
        )
    }
}

/// What a format description says if its samples and its bytes a second are of two rates, each of which could be. Byte rates that cannot
/// be are common and mean nothing.
fn two_rates(format: &[u8]) -> Option<String> {
    let long = |at: usize| {
        u32::from_le_bytes([format[at], format[at + 1], format[at + 2], format[at + 3]])
    };
    let (rate, byte_rate, group) = (long(4), long(8), u32::from(word(format, 12)));
    let one_by_one = [PCM, FLOAT, ALAW, MULAW, EXTENSIBLE].contains(&word(format, 0));
    if !one_by_one || group == 0 || byte_rate % group != 0 {
        return None;
    }
    let other = byte_rate / group;
    (other != rate && SAMPLE_RATES_HZ.contains(&other)).then(|| {
        format!("its header says {rate} Hz, and {byte_rate} bytes a second, which are {other} Hz")
    })
}

/// [`two_rates`] of a file that can be looked at before it is read; the reader stands at the start again.
#[cfg(feature = "media")]
pub(super) fn flaw(file: &mut (impl Read + Seek)) -> std::io::Result<Option<String>> {
    // A pipe cannot be looked at.
    if file.rewind().is_err() {
        return Ok(None);
    }
    let header = read_header(&mut std::io::BufReader::new(&mut *file));
    file.rewind()?;
    Ok(header.ok().and_then(|header| header.flaw))
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Whether a file that begins so is WAV, or RF64, which is WAV with longer lengths.
pub(super) fn is_wav(head: &[u8]) -> bool {
    let marks = [b"RIFF", b"RF64", b"BW64"];
    marks.iter().any(|mark| head.starts_with(*mark)) && head.get(8..12) == Some(b"WAVE")
}

/// Whether a WAV file that begins so has samples that hound cannot decode, such as those of telephones.
pub(super) fn is_rare(head: &[u8]) -> bool {
    let Some(at) = head.windows(4).position(|name| name == b"fmt ") else { return false };
    let Some(format) = head.get(at + 8..at + 8 + PLAIN_BYTES) else { return false };
    let tag = match word(format, 0) {
        EXTENSIBLE => head.get(at + 32..at + 34).map_or(PCM, |tag| word(tag, 0)),
        tag => tag,
    };
    !matches!((tag, word(format, 14)), (PCM, 0..=32) | (FLOAT, 32))
}

/// Reads up to the first sample.
pub(super) fn read_header(reader: &mut impl Read) -> Result<Header, HeaderError> {
    let mut riff = [0; 12];
    reader.read_exact(&mut riff)?;
    if !is_wav(&riff) {
        return Err(HeaderError::Format("not a WAV file".into()));
    }
    let (mut format, mut long) = (None, None);
    loop {
        let mut chunk = [0; 8];
        reader.read_exact(&mut chunk)?;
        let [a, b, c, d, ref size @ ..] = chunk;
        let size = u32::from_le_bytes(*size);
        // Chunks start at even offsets.
        let padded = u64::from(size) + u64::from(size % 2);
        match &[a, b, c, d] {
            b"fmt " => {
                if !(PLAIN_BYTES as u32..=MAX_FORMAT_BYTES).contains(&size) {
                    let reason = format!("format description of {size} bytes");
                    return Err(HeaderError::Format(reason));
                }
                let mut bytes = vec![0; padded as usize];
                reader.read_exact(&mut bytes)?;
                format = Some(bytes);
            }
            b"ds64" if (DS64_BYTES..=MAX_FORMAT_BYTES).contains(&size) => {
                let mut bytes = vec![0; padded as usize];
                reader.read_exact(&mut bytes)?;
                long = bytes[8..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
            }
            b"data" => {
                let Some(format) = format else {
                    return Err(HeaderError::Format("no format description before data".into()));
                };
                let known = (1..STREAMED_BYTES).contains(&size);
                let long = long.filter(|bytes| size == u32::MAX && *bytes > 0);
                return Ok(Header::new(&format, known.then_some(u64::from(size)).or(long)));
            }
            _ => {
                let skipped = std::io::copy(&mut reader.take(padded), &mut std::io::sink())?;
                if skipped < padded {
                    return Err(HeaderError::Format("the file ends before its data".into()));
                }
            }
        }
    }
}
