//! Samples as a reader brings them, in whole groups of one a channel.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::down_mix_into;
use crate::error::{Error, Result};

/// Bytes asked of the reader at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// How the samples lie in the bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Bytes of one sample of every channel.
    pub group_bytes: usize,
    pub channels: usize,
    /// Bytes of samples; none: up to the end.
    pub data_bytes: Option<u64>,
    /// What may be wrong where a sample is no number.
    pub hint: &'static str,
}

/// Passes on what one read brings, so a live pipe is not waited for.
#[derive(Debug)]
pub(super) struct Pcm<R> {
    reader: R,
    path: PathBuf,
    layout: Layout,
    /// Bytes still to come, if that is known.
    remaining: Option<u64>,
    /// Bytes read that do not yet make a group.
    pending: usize,
    bytes: Vec<u8>,
    interleaved: Vec<f32>,
    /// Groups passed on.
    position: u64,
    ended: bool,
    warnings: Vec<String>,
}

impl<R: Read> Pcm<R> {
    pub fn new(path: &Path, reader: R, layout: Layout) -> Self {
        Self {
            reader,
            path: path.to_path_buf(),
            layout,
            remaining: layout.data_bytes,
            pending: 0,
            bytes: vec![0; CHUNK_BYTES.next_multiple_of(layout.group_bytes)],
            interleaved: Vec::new(),
            position: 0,
            ended: false,
            warnings: Vec::new(),
        }
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// As [`next_chunk`](super::AudioSource::next_chunk); `decode` appends the samples of whole groups.
    pub fn next_chunk(
        &mut self,
        out: &mut Vec<f32>,
        mut decode: impl FnMut(&[u8], &mut Vec<f32>) -> std::result::Result<(), String>,
    ) -> Result<bool> {
        out.clear();
        let Layout { group_bytes, channels, hint, .. } = self.layout;
        while !self.ended {
            let read = self.read_some()?;
            if read == 0 {
                self.end();
                break;
            }
            self.remaining = self.remaining.map(|r| r - read as u64);
            let available = self.pending + read;
            let whole = available / group_bytes * group_bytes;
            self.pending = available - whole;
            if whole == 0 {
                continue;
            }
            self.interleaved.clear();
            decode(&self.bytes[..whole], &mut self.interleaved)
                .map_err(|reason| Error::audio(&self.path, reason))?;
            self.bytes.copy_within(whole..available, 0);
            if let Some(bad) = self.interleaved.iter().position(|s| !s.is_finite()) {
                let at = self.position + (bad / channels) as u64;
                let reason = format!("sample {at} is {}{hint}", self.interleaved[bad]);
                return Err(Error::audio(&self.path, reason));
            }
            self.position += (whole / group_bytes) as u64;
            down_mix_into(&self.interleaved, channels, out);
            return Ok(true);
        }
        Ok(false)
    }

    /// One read behind the pending bytes; 0 at the end of the data.
    fn read_some(&mut self) -> Result<usize> {
        let space = self.bytes.len() - self.pending;
        let wanted = self.remaining.map_or(space, |r| r.min(space as u64) as usize);
        loop {
            match self.reader.read(&mut self.bytes[self.pending..self.pending + wanted]) {
                Ok(n) => return Ok(n),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io(&self.path, e)),
            }
        }
    }

    fn end(&mut self) {
        self.ended = true;
        let (name, pending) = (self.path.display(), self.pending);
        let missing = self.remaining.unwrap_or(0);
        if missing > 0 {
            let promised = self.layout.data_bytes.unwrap_or(0);
            self.warnings.push(format!(
                "{name} is truncated: its header promises {promised} bytes of samples, {missing} are missing"
            ));
        } else if pending > 0 {
            self.warnings
                .push(format!("{name} ends inside a sample; {pending} bytes are left out"));
        }
    }
}
