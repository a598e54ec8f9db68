//! Bytes from a socket to samples, however they are cut into messages.

/// How a sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// 16 bits, little-endian.
    S16,
    /// G.711, as in North America and Japan.
    MuLaw,
    /// G.711, elsewhere.
    ALaw,
}

impl Encoding {
    fn bytes(self) -> usize {
        if self == Self::S16 { 2 } else { 1 }
    }

    fn sample(self, bytes: &[u8]) -> f32 {
        let value = match (self, bytes) {
            (Self::S16, [low, high, ..]) => i16::from_le_bytes([*low, *high]),
            (Self::MuLaw, [byte, ..]) => mu_law(*byte),
            (Self::ALaw, [byte, ..]) => a_law(*byte),
            _ => 0,
        };
        f32::from(value) / 32_768.0
    }
}

/// ITU-T G.711, mu-law.
fn mu_law(byte: u8) -> i16 {
    let byte = !byte;
    let value = ((i16::from(byte & 15) << 3) + 0x84) << ((byte >> 4) & 7);
    if byte & 0x80 == 0 { value - 0x84 } else { 0x84 - value }
}

/// ITU-T G.711, A-law.
fn a_law(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (exponent, mantissa) = ((byte >> 4) & 7, i16::from(byte & 15) << 4);
    let value = if exponent == 0 { mantissa + 8 } else { (mantissa + 0x108) << (exponent - 1) };
    if byte & 0x80 == 0 { -value } else { value }
}

/// More is no header.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Takes the bytes of a stream and gives its samples, mixed to one channel.
#[derive(Debug)]
pub struct Intake {
    encoding: Encoding,
    channels: usize,
    rate_hz: u32,
    /// What came before it was known whether there is a header; none: it is known.
    head: Option<Vec<u8>>,
    /// Bytes of a sample whose rest has not come.
    carry: Vec<u8>,
    /// Bytes that the header promises.
    left: Option<u64>,
}

/// What the header of a WAV file says.
struct Header {
    encoding: Encoding,
    channels: usize,
    rate_hz: u32,
    /// Where samples begin, and how many bytes of them there are.
    data: (usize, Option<u64>),
}

impl Intake {
    /// Bare samples.
    pub fn bare(encoding: Encoding, channels: usize, rate_hz: u32) -> Self {
        let carry = Vec::new();
        Self { encoding, channels: channels.max(1), rate_hz, head: None, carry, left: None }
    }

    /// 16-bit samples at `rate_hz`, unless they begin with the header of a WAV file.
    pub fn sniffing(rate_hz: u32) -> Self {
        Self { head: Some(Vec::new()), ..Self::bare(Encoding::S16, 1, rate_hz) }
    }

    /// Whether the rate is known for good.
    pub fn is_known(&self) -> bool {
        self.head.is_none()
    }

    /// Samples a second.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// The samples that `bytes` complete.
    ///
    /// # Errors
    /// What is wrong with the header.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Vec<f32>, String> {
        let Some(mut head) = self.head.take() else { return Ok(self.samples(bytes)) };
        head.extend_from_slice(bytes);
        match header(&head)? {
            Found::Bare => Ok(self.samples(&head)),
            Found::More => {
                self.head = Some(head);
                Ok(Vec::new())
            }
            Found::Header(header) => {
                (self.encoding, self.channels) = (header.encoding, header.channels);
                (self.rate_hz, self.left) = (header.rate_hz, header.data.1);
                Ok(self.samples(&head[header.data.0..]))
            }
        }
    }

    /// Nothing more will come: what was held back as the possible beginning of a header.
    pub fn finish(&mut self) -> Vec<f32> {
        let head = self.head.take().unwrap_or_default();
        self.samples(&head)
    }

    fn samples(&mut self, bytes: &[u8]) -> Vec<f32> {
        let mut bytes = bytes;
        if let Some(left) = &mut self.left {
            bytes = &bytes[..bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX))];
            *left -= bytes.len() as u64;
        }
        let group = self.encoding.bytes() * self.channels;
        let mut samples = Vec::with_capacity((self.carry.len() + bytes.len()) / group);
        if !self.carry.is_empty() {
            let missing = (group - self.carry.len()).min(bytes.len());
            self.carry.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if self.carry.len() < group {
                return samples;
            }
            samples.push(self.mixed(&self.carry));
            self.carry.clear();
        }
        let whole = bytes.chunks_exact(group);
        self.carry.extend_from_slice(whole.remainder());
        samples.extend(whole.map(|bytes| self.mixed(bytes)));
        samples
    }

    fn mixed(&self, group: &[u8]) -> f32 {
        let sum: f32 = group.chunks(self.encoding.bytes()).map(|b| self.encoding.sample(b)).sum();
        sum / self.channels as f32
    }
}

enum Found {
    Bare,
    More,
    Header(Header),
}

/// What `head`, the beginning of a stream, is.
fn header(head: &[u8]) -> Result<Found, String> {
    let mark = |at: usize, mark: &[u8; 4]| {
        let have = head.get(at..).unwrap_or_default();
        mark.starts_with(&have[..have.len().min(4)])
    };
    if !mark(0, b"RIFF") || !mark(8, b"WAVE") {
        return Ok(Found::Bare);
    }
    let (mut at, mut format) = (12, None);
    while let Some(start) = head.get(at..at + 8) {
        let size = u32::from_le_bytes([start[4], start[5], start[6], start[7]]);
        if &start[..4] == b"data" {
            let (encoding, channels, rate_hz) = format.ok_or("a WAV file without a format")?;
            // Those who write while they record do not know the size.
            let bytes = (size != 0 && size < 0x7fff_0000).then_some(u64::from(size));
            return Ok(Found::Header(Header {
                encoding,
                channels,
                rate_hz,
                data: (at + 8, bytes),
            }));
        }
        if &start[..4] == b"fmt " {
            let Some(f) = head.get(at + 8..at + 24) else { return Ok(Found::More) };
            format = Some(wav_format(f)?);
        }
        at += 8 + size as usize + (size as usize & 1);
        if at > MAX_HEADER_BYTES {
            return Err("a WAV file with a header too long".into());
        }
    }
    Ok(Found::More)
}

fn wav_format(f: &[u8]) -> Result<(Encoding, usize, u32), String> {
    let word = |at: usize| u16::from_le_bytes([f[at], f[at + 1]]);
    let encoding = match (word(0), word(14)) {
        (1 | 0xfffe, 16) => Encoding::S16,
        (7, 8) => Encoding::MuLaw,
        (6, 8) => Encoding::ALaw,
        (format, bits) => {
            return Err(format!(
                "a WAV file of format {format} with {bits} bits; 16-bit PCM is wanted"
            ));
        }
    };
    let channels = usize::from(word(2));
    if !(1..=64).contains(&channels) {
        return Err(format!("a WAV file of {channels} channels"));
    }
    Ok((encoding, channels, u32::from_le_bytes([f[4], f[5], f[6], f[7]])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(channels: u16, samples: &[i16]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0".to_vec();
        bytes.extend(channels.to_le_bytes());
        bytes.extend(16_000_u32.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend((channels * 2).to_le_bytes());
        bytes.extend(16_u16.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend((samples.len() as u32 * 2).to_le_bytes());
        bytes.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
        bytes.extend(b"LIST\x04\0\0\0abcd");
        bytes
    }

    #[test]
    fn samples_do_not_depend_on_how_bytes_arrive() {
        let samples: Vec<i16> = (0..200).map(|i| i * 150 - 10_000).collect();
        let bare: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        for (bytes, channels, rate) in
            [(bare, 1, 8_000), (wav(1, &samples), 1, 16_000), (wav(2, &samples), 2, 16_000)]
        {
            let expected: Vec<f32> = samples
                .chunks(channels)
                .map(|c| c.iter().map(|s| f32::from(*s) / 32_768.0).sum::<f32>() / channels as f32)
                .collect();
            for size in [1, 3, 7, 1000] {
                let mut intake = Intake::sniffing(8_000);
                let mut heard = Vec::new();
                for piece in bytes.chunks(size) {
                    heard.extend(intake.take(piece).unwrap());
                }
                assert_eq!((intake.is_known(), intake.rate_hz()), (true, rate));
                assert_eq!(heard, expected, "{size} bytes at a time");
            }
        }
    }

    #[test]
    fn the_laws_of_telephones_are_those_of_the_standard() {
        for (byte, mu, a) in [
            (0x00, -32_124, -5_504),
            (0x80, 32_124, 5_504),
            (0xff, 0, 848),
            (0xd5, 716, 8),
            (0x55, -716, -8),
        ] {
            assert_eq!((mu_law(byte), a_law(byte)), (mu, a), "{byte:#x}");
        }
    }

    #[test]
    fn what_only_begins_like_a_header_is_sound_and_odd_headers_are_refused() {
        let mut intake = Intake::sniffing(8_000);
        assert!(intake.take(b"RI").unwrap().is_empty());
        assert!(!intake.is_known());
        assert_eq!(intake.take(b"XX").unwrap().len(), 2);
        let mut short = Intake::sniffing(8_000);
        assert!(short.take(b"RIFF").unwrap().is_empty());
        assert_eq!(short.finish().len(), 2);
        let mut bytes = wav(1, &[1, 2]);
        bytes[32] = 3;
        assert!(Intake::sniffing(8_000).take(&bytes).unwrap_err().contains("format 3"));
    }
}
