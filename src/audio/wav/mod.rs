//! WAV files and streams.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::pcm::{Layout, Pcm};
use super::riff::{Header, HeaderError, read_header};
use super::{AudioSource, SAMPLE_RATES_HZ};
use crate::error::{Error, Result};

/// WAV: 8, 16, 24 and 32-bit integers and 32-bit floats, any number of channels (their mean is
/// taken), 8 to 192 kHz. The length in the header may be missing, as when a program streams into
/// a pipe. A chunk is what one read brings, so a live pipe is passed on without waiting: each is
/// given to hound as a file of its own, because hound's reader can neither be asked whether the
/// next sample is there nor told that the data goes on beyond 4 GiB.
#[derive(Debug)]
pub struct WavSource<R> {
    pcm: Pcm<R>,
    header: Header,
    spec: hound::WavSpec,
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
        let path = name.as_ref();
        let mut header = read_header(&mut reader).map_err(|e| match e {
            HeaderError::Io(e) => Error::io(path, e),
            HeaderError::Format(reason) => Error::audio(path, reason),
        })?;
        // Whether hound can decode the samples shows with the first, so let it be one of silence.
        let group = header.group_bytes;
        let mut silence = Vec::new();
        let spec = decode_into(&mut header, &vec![0; group], &mut silence)
            .map_err(|reason| Error::audio(path, reason))?;
        if !SAMPLE_RATES_HZ.contains(&spec.sample_rate) {
            let reason = format!("{} Hz is not in 8000..=192000", spec.sample_rate);
            return Err(Error::audio(path, reason));
        }
        let layout = Layout {
            group_bytes: group,
            channels: usize::from(spec.channels),
            data_bytes: header.data_bytes,
            hint: "",
        };
        let mut source = Self { pcm: Pcm::new(path, reader, layout), header, spec };
        if let Some(flaw) = source.header.flaw.take() {
            source.warn(format!("{} is damaged: {flaw}", path.display()));
        }
        Ok(source)
    }

    /// Something that is wrong with the file.
    pub(super) fn warn(&mut self, warning: String) {
        self.pcm.warn(warning);
    }

    /// Number of channels before down-mixing.
    pub fn channels(&self) -> usize {
        self.pcm.layout().channels
    }

    /// Samples that the header promises, `None` if it does not tell.
    pub fn num_samples(&self) -> Option<u64> {
        let layout = self.pcm.layout();
        layout.data_bytes.map(|bytes| bytes / layout.group_bytes as u64)
    }
}

impl<R: Read> AudioSource for WavSource<R> {
    fn sample_rate_hz(&self) -> u32 {
        self.spec.sample_rate
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        let header = &mut self.header;
        self.pcm.next_chunk(out, |bytes, samples| decode_into(header, bytes, samples).map(|_| ()))
    }

    fn warnings(&self) -> &[String] {
        self.pcm.warnings()
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
