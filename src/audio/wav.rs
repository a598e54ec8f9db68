//! WAV files and streams.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::riff::{Header, HeaderError, read_header};
use super::{AudioSource, SAMPLE_RATES_HZ, down_mix_into};
use crate::error::{Error, Result};

/// Bytes asked of the reader at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// WAV: 8, 16, 24 and 32-bit integers and 32-bit floats, any number of channels (their mean is
/// taken), 8 to 192 kHz. The length in the header may be missing, as when a program streams into
/// a pipe. A chunk is what one read brings, so a live pipe is passed on without waiting: each is
/// given to hound as a file of its own, because hound's reader can neither be asked whether the
/// next sample is there nor told that the data goes on beyond 4 GiB.
#[derive(Debug)]
pub struct WavSource<R> {
    reader: R,
    path: PathBuf,
    header: Header,
    spec: hound::WavSpec,
    /// Bytes of samples still to come, if the header told.
    remaining: Option<u64>,
    /// Bytes read that do not yet make a group of one sample a channel.
    pending: usize,
    bytes: Vec<u8>,
    interleaved: Vec<f32>,
    /// Groups passed on.
    position: u64,
    ended: bool,
    warnings: Vec<String>,
}

impl WavSource<BufReader<File>> {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Audio`] if it is not such a WAV file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        Self::from_reader(path, BufReader::new(file))
    }
}

impl<R: Read> WavSource<R> {
    /// Reads from anything; `name` stands for it in messages.
    ///
    /// # Errors
    /// As [`open`](WavSource::open).
    pub fn from_reader(name: impl AsRef<Path>, mut reader: R) -> Result<Self> {
        let path = name.as_ref().to_path_buf();
        let mut header = read_header(&mut reader).map_err(|e| match e {
            HeaderError::Io(e) => Error::io(&path, e),
            HeaderError::Format(reason) => Error::audio(&path, reason),
        })?;
        // Whether hound can decode the samples shows with the first, so let it be one of silence.
        let group = header.group_bytes;
        let mut silence = Vec::new();
        let spec = decode_into(&mut header, &vec![0; group], &mut silence)
            .map_err(|reason| Error::audio(&path, reason))?;
        if !SAMPLE_RATES_HZ.contains(&spec.sample_rate) {
            let reason = format!("{} Hz is not in 8000..=192000", spec.sample_rate);
            return Err(Error::audio(&path, reason));
        }
        Ok(Self {
            reader,
            path,
            remaining: header.data_bytes,
            header,
            spec,
            pending: 0,
            bytes: vec![0; CHUNK_BYTES.next_multiple_of(group)],
            interleaved: Vec::new(),
            position: 0,
            ended: false,
            warnings: Vec::new(),
        })
    }

    /// Number of channels before down-mixing.
    pub fn channels(&self) -> usize {
        usize::from(self.spec.channels)
    }

    /// Samples that the header promises, `None` if it does not tell.
    pub fn num_samples(&self) -> Option<u64> {
        self.header.data_bytes.map(|bytes| bytes / self.header.group_bytes as u64)
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
        let missing = self.remaining.unwrap_or(0);
        if missing > 0 {
            let promised = self.header.data_bytes.unwrap_or(0);
            self.warnings.push(format!(
                "{} is truncated: its header promises {promised} bytes of samples, {missing} are missing",
                self.path.display()
            ));
        } else if self.pending > 0 {
            self.warnings.push(format!(
                "{} ends inside a sample; {} bytes are left out",
                self.path.display(),
                self.pending
            ));
        }
    }
}

impl<R: Read> AudioSource for WavSource<R> {
    fn sample_rate_hz(&self) -> u32 {
        self.spec.sample_rate
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        out.clear();
        let (group, channels) = (self.header.group_bytes, self.channels());
        while !self.ended {
            let read = self.read_some()?;
            if read == 0 {
                self.end();
                break;
            }
            self.remaining = self.remaining.map(|r| r - read as u64);
            let available = self.pending + read;
            let whole = available / group * group;
            self.pending = available - whole;
            if whole == 0 {
                continue;
            }
            self.interleaved.clear();
            decode_into(&mut self.header, &self.bytes[..whole], &mut self.interleaved)
                .map_err(|reason| Error::audio(&self.path, reason))?;
            self.bytes.copy_within(whole..available, 0);
            if let Some(bad) = self.interleaved.iter().position(|s| !s.is_finite()) {
                let at = self.position + (bad / channels) as u64;
                let reason = format!("sample {at} is {}", self.interleaved[bad]);
                return Err(Error::audio(&self.path, reason));
            }
            self.position += (whole / group) as u64;
            down_mix_into(&self.interleaved, channels, out);
            return Ok(true);
        }
        Ok(false)
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn duration_s(&self) -> Option<f64> {
        self.num_samples().map(|samples| samples as f64 / f64::from(self.sample_rate_hz()))
    }
}

/// Appends `bytes`, whole groups, as interleaved samples of full scale 1.
fn decode_into(
    header: &mut Header,
    bytes: &[u8],
    out: &mut Vec<f32>,
) -> std::result::Result<hound::WavSpec, String> {
    let mut reader = header.reader(bytes)?;
    let spec = reader.spec();
    let decoded = match spec.sample_format {
        hound::SampleFormat::Float => append(reader.samples::<f32>(), 1.0, |s| s, out),
        hound::SampleFormat::Int => {
            let scale = 0.5_f32.powi(i32::from(spec.bits_per_sample) - 1);
            append(reader.samples::<i32>(), scale, |s| s as f32, out)
        }
    };
    decoded.map(|()| spec).map_err(|e| header.explain(&e))
}

fn append<S>(
    samples: impl Iterator<Item = hound::Result<S>>,
    scale: f32,
    value: impl Fn(S) -> f32,
    out: &mut Vec<f32>,
) -> hound::Result<()> {
    for sample in samples {
        out.push(value(sample?) * scale);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
