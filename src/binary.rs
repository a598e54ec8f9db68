//! Reading the binary files of a model folder (docs/model-format.md): little-endian, nothing aligned.

use std::cmp::Ordering;
use std::ops::Range;

use crate::error::{Error, Result};

/// The `i`th u16 of those that begin at `start`.
pub(crate) fn u16_at(data: &[u8], start: usize, i: usize) -> u16 {
    let at = start + 2 * i;
    u16::from_le_bytes([data[at], data[at + 1]])
}

/// The `i`th of numbers of three bytes.
pub(crate) fn u24_at(data: &[u8], start: usize, i: usize) -> u32 {
    let at = start + 3 * i;
    u32::from_le_bytes([data[at], data[at + 1], data[at + 2], 0])
}

/// The `i`th u32.
pub(crate) fn u32_at(data: &[u8], start: usize, i: usize) -> u32 {
    let at = start + 4 * i;
    u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]])
}

/// Which of the rising u16 that begin at `start` is `wanted`, among those of `range`.
pub(crate) fn find_u16(
    data: &[u8],
    start: usize,
    range: Range<usize>,
    wanted: u16,
) -> Option<usize> {
    let Range { start: mut low, end: mut high } = range;
    while low < high {
        let middle = low + (high - low) / 2;
        match u16_at(data, start, middle).cmp(&wanted) {
            Ordering::Equal => return Some(middle),
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
        }
    }
    None
}

/// Walks a file from its front to its end. Tables are not copied: what is taken is where they lie.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    file: &'static str,
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads `data`, the bytes of `file`, behind its first four bytes, `magic`, and its version.
    ///
    /// # Errors
    /// [`Error::Model`] if these are others, as are all errors of this type.
    pub fn new(file: &'static str, data: &'a [u8], magic: [u8; 4], version: u32) -> Result<Self> {
        let mut reader = Self { file, data, at: magic.len() };
        if !data.starts_with(&magic) {
            return Err(reader.damaged("not a file of this kind"));
        }
        let found = reader.u32()?;
        if found != version {
            return Err(reader.damaged(format!("version {found}, expected {version}")));
        }
        Ok(reader)
    }

    /// What is wrong with the file.
    pub fn damaged(&self, reason: impl Into<String>) -> Error {
        Error::model(self.file, reason)
    }

    /// Passes `count` values of `size` bytes and gives where they begin.
    pub fn take(&mut self, count: usize, size: usize) -> Result<usize> {
        let start = self.at;
        let end = count.checked_mul(size).and_then(|bytes| bytes.checked_add(start));
        self.at =
            end.filter(|end| *end <= self.data.len()).ok_or_else(|| self.damaged("truncated"))?;
        Ok(start)
    }

    /// As [`Reader::take`], the bytes themselves.
    pub fn bytes(&mut self, count: usize, size: usize) -> Result<&'a [u8]> {
        let start = self.take(count, size)?;
        Ok(&self.data[start..self.at])
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32_at(self.data, self.take(1, 4)?, 0))
    }

    /// A u32 that counts something.
    pub fn count(&mut self) -> Result<usize> {
        Ok(self.u32()? as usize)
    }

    pub fn f32(&mut self) -> Result<f32> {
        Ok(f32::from_bits(self.u32()?))
    }

    /// Nothing may follow.
    pub fn end(&self) -> Result<()> {
        match self.data.len() - self.at {
            0 => Ok(()),
            left => Err(self.damaged(format!("{left} bytes too many"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_from_front_to_end() {
        let data =
            [&b"ABCD\x02\0\0\0"[..], &7_u32.to_le_bytes(), &1.5_f32.to_le_bytes(), &[1, 2, 3]]
                .concat();
        let mut reader = Reader::new("x.bin", &data, *b"ABCD", 2).unwrap();
        assert_eq!((reader.count().unwrap(), reader.f32().unwrap()), (7, 1.5));
        assert!(reader.end().unwrap_err().to_string().contains("x.bin: 3 bytes too many"));
        for (count, size) in [(4, 1), (2, 2), (usize::MAX, 2), (1, usize::MAX)] {
            assert!(reader.take(count, size).is_err());
        }
        assert_eq!(reader.bytes(3, 1).unwrap(), [1, 2, 3]);
        reader.end().unwrap();
        for (magic, version) in [(*b"ABCE", 2), (*b"ABCD", 1)] {
            assert!(Reader::new("x.bin", &data, magic, version).is_err());
        }
        assert!(Reader::new("x.bin", b"ABCD\x02\0", *b"ABCD", 2).is_err());
    }

    #[test]
    fn numbers_lie_anywhere() {
        let data = [9, 1, 0, 3, 0, 3, 1, 0xff, 0xff, 0xff];
        assert_eq!(
            (u16_at(&data, 1, 1), u24_at(&data, 4, 1), u32_at(&data, 1, 0)),
            (3, 0xff_ffff, 0x3_0001)
        );
        let find = |range, wanted| find_u16(&data, 1, range, wanted);
        assert_eq!(
            (find(0..4, 1), find(0..4, 0x103), find(0..4, 0xffff)),
            (Some(0), Some(2), Some(3))
        );
        assert_eq!((find(0..4, 2), find(1..4, 1), find(2..2, 0x103)), (None, None, None));
    }
}
