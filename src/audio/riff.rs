//! The header of a WAV file (Multimedia Programming Interface 1.0, IBM and Microsoft, 1991, and
//! `WAVE_FORMAT_EXTENSIBLE`).
//!
//! Read here rather than by a crate because streamed files, which state no or an impossible
//! length, and truncated ones must be accepted.

use std::io::{ErrorKind, Read};

const PCM: u16 = 1;
const IEEE_FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xfffe;
/// No format description is longer.
const MAX_FORMAT_BYTES: u32 = 4096;
/// Writers that cannot seek leave 0 or a number near the largest of 31 or 32 bits.
const STREAMED_BYTES: u32 = 0x7fff_0000;

/// How one sample is stored, little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    U8,
    I16,
    I24,
    I32,
    F32,
}

impl Encoding {
    pub fn num_bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::I16 => 2,
            Self::I24 => 3,
            Self::I32 | Self::F32 => 4,
        }
    }

    /// The value of one stored sample, full scale 1.
    pub fn decode(self, b: &[u8]) -> f32 {
        match self {
            Self::U8 => (f32::from(b[0]) - 128.0) / 128.0,
            Self::I16 => f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0,
            Self::I24 => i32::from_le_bytes([0, b[0], b[1], b[2]]) as f32 / 2_147_483_648.0,
            Self::I32 => i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32 / 2_147_483_648.0,
            Self::F32 => f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
        }
    }
}

/// What stands before the samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub encoding: Encoding,
    pub channels: usize,
    pub sample_rate_hz: u32,
    /// Bytes of samples; `None` means until the end of the file.
    pub data_bytes: Option<u64>,
}

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

/// Reads up to the first sample.
pub(super) fn read_header(reader: &mut impl Read) -> Result<Header, HeaderError> {
    let mut riff = [0; 12];
    reader.read_exact(&mut riff)?;
    if &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
        return Err(HeaderError::Format("not a WAV file".into()));
    }
    let mut format = None;
    loop {
        let mut chunk = [0; 8];
        reader.read_exact(&mut chunk)?;
        let [a, b, c, d, ref size @ ..] = chunk;
        let size = u32::from_le_bytes(*size);
        // Chunks start at even offsets.
        let padded = u64::from(size) + u64::from(size % 2);
        match &[a, b, c, d] {
            b"fmt " => {
                if !(16..=MAX_FORMAT_BYTES).contains(&size) {
                    let reason = format!("format description of {size} bytes");
                    return Err(HeaderError::Format(reason));
                }
                let mut bytes = vec![0; padded as usize];
                reader.read_exact(&mut bytes)?;
                format = Some(parse_format(&bytes).map_err(HeaderError::Format)?);
            }
            b"data" => {
                let Some((encoding, channels, sample_rate_hz)) = format else {
                    return Err(HeaderError::Format("no format description before data".into()));
                };
                let known = (1..STREAMED_BYTES).contains(&size);
                let data_bytes = known.then_some(u64::from(size));
                return Ok(Header { encoding, channels, sample_rate_hz, data_bytes });
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

fn parse_format(b: &[u8]) -> Result<(Encoding, usize, u32), String> {
    let word = |at: usize| u16::from_le_bytes([b[at], b[at + 1]]);
    let mut tag = word(0);
    let channels = usize::from(word(2));
    let sample_rate_hz = u32::from_le_bytes([b[4], b[5], b[6], b[7]]);
    let (frame_bytes, bits) = (usize::from(word(12)), word(14));
    if tag == EXTENSIBLE {
        // The sub-format is a GUID whose first two bytes are the plain tag. Samples with fewer
        // valid bits than their container are left-justified, so the container's scale holds.
        if b.len() < 40 {
            return Err("extensible format description is too short".into());
        }
        tag = word(24);
    }
    if channels == 0 {
        return Err("no channels".into());
    }
    let encoding = match (tag, bits) {
        (PCM, 8) => Encoding::U8,
        (PCM, 16) => Encoding::I16,
        (PCM, 24) => Encoding::I24,
        (PCM, 32) => Encoding::I32,
        (IEEE_FLOAT, 32) => Encoding::F32,
        (PCM, _) => return Err(format!("integer samples of {bits} bits are not supported")),
        (IEEE_FLOAT, _) => return Err(format!("float samples of {bits} bits are not supported")),
        _ => return Err(format!("WAV encoding {tag:#06x} is not supported; convert it to PCM")),
    };
    if frame_bytes != channels * encoding.num_bytes() {
        return Err(format!("{frame_bytes} bytes for {channels} samples of {bits} bits"));
    }
    Ok((encoding, channels, sample_rate_hz))
}
