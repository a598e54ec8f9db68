//! Tensors of `model.safetensors`, checked and brought to `f32`.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Result};
use crate::nn::{LayerNorm, Linear, Lstm};

/// Maps a file into memory.
#[expect(unsafe_code, reason = "memory mapping")]
pub(super) fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is read-only, all values read from it are checked, and it is dropped when
    // loading ends; that the file is left alone until then is asked of the caller.
    unsafe { Mmap::map(file) }
}

/// The tensors of one file.
pub(super) struct Weights<'a> {
    path: PathBuf,
    tensors: SafeTensors<'a>,
}

impl<'a> Weights<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Error::Model`] if the header is damaged or points outside the file.
    pub fn parse(path: &Path, bytes: &'a [u8]) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|e| Error::model(path, format!("not a safetensors file: {e}")))?;
        Ok(Self { path: path.to_path_buf(), tensors })
    }

    fn error(&self, name: &str, reason: impl std::fmt::Display) -> Error {
        Error::model(&self.path, format!("tensor {name}: {reason}"))
    }

    /// Whether a tensor exists.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    /// Number of rows of a matrix whose columns are known.
    ///
    /// # Errors
    /// [`Error::Model`] if it is missing, not a matrix, or has no or more than 2^20 rows.
    pub fn rows(&self, name: &str, columns: usize) -> Result<usize> {
        let tensor = self.tensors.tensor(name).map_err(|_| self.error(name, "missing"))?;
        match *tensor.shape() {
            [rows, c] if c == columns && (1..=1 << 20).contains(&rows) => Ok(rows),
            ref shape => {
                Err(self.error(name, format!("shape {shape:?} is not [tokens, {columns}]")))
            }
        }
    }

    /// Values of a tensor that must have `shape`.
    ///
    /// # Errors
    /// [`Error::Model`] if it is missing, has another shape or an unknown type, lacks its scale,
    /// or holds a value that is not finite.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = self.tensors.tensor(name).map_err(|_| self.error(name, "missing"))?;
        if tensor.shape() != shape {
            let reason =
                format!("shape is {:?}, the configuration needs {shape:?}", tensor.shape());
            return Err(self.error(name, reason));
        }
        let data = tensor.data();
        let values: Vec<f32> = match tensor.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => {
                let halves = data.as_chunks().0.iter();
                halves.map(|b| half::f16::from_le_bytes(*b).to_f32()).collect()
            }
            Dtype::I8 if shape.len() > 1 => {
                let scale = self.tensor(&format!("{name}.scale"), &shape[..1])?;
                let row = data.len() / shape[0].max(1);
                let rows = data.chunks_exact(row.max(1)).zip(scale);
                rows.flat_map(|(r, s)| r.iter().map(move |b| f32::from(*b as i8) * s)).collect()
            }
            other => return Err(self.error(name, format!("type {other:?} is not supported"))),
        };
        if values.len() != shape.iter().product::<usize>() {
            return Err(self.error(name, "length does not fit the shape"));
        }
        if let Some(bad) = values.iter().position(|v| !v.is_finite()) {
            return Err(self.error(name, format!("value {bad} is {}", values[bad])));
        }
        Ok(values)
    }

    /// `{name}.weight` `[outputs, inputs]` and `{name}.bias`.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn linear(&self, name: &str, outputs: usize, inputs: usize) -> Result<Linear> {
        let weight = self.tensor(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = self.tensor(&format!("{name}.bias"), &[outputs])?;
        Ok(Linear::new(&weight, bias, inputs))
    }

    /// `{name}.weight` and `{name}.bias` of a normalisation.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn layer_norm(&self, name: &str, dim: usize) -> Result<LayerNorm> {
        let weight = self.tensor(&format!("{name}.weight"), &[dim])?;
        Ok(LayerNorm::new(weight, self.tensor(&format!("{name}.bias"), &[dim])?))
    }

    /// An LSTM of one layer.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn lstm(&self, name: &str, inputs: usize, hidden: usize) -> Result<Lstm> {
        let parts = self.lstm_parts(name, inputs, hidden)?;
        Ok(Lstm::new(&parts.input, &parts.recurrent, parts.bias, inputs))
    }

    /// The weights of an LSTM of one layer.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn lstm_parts(&self, name: &str, inputs: usize, hidden: usize) -> Result<LstmParts> {
        let gates = 4 * hidden;
        let input = self.tensor(&format!("{name}.weight_ih_l0"), &[gates, inputs])?;
        let recurrent = self.tensor(&format!("{name}.weight_hh_l0"), &[gates, hidden])?;
        let mut bias = self.tensor(&format!("{name}.bias_ih_l0"), &[gates])?;
        let other = self.tensor(&format!("{name}.bias_hh_l0"), &[gates])?;
        bias.iter_mut().zip(other).for_each(|(a, b)| *a += b);
        Ok(LstmParts { input, recurrent, bias })
    }
}

/// Row-major weights of an LSTM, its biases added.
pub(super) struct LstmParts {
    /// `[4 * hidden, inputs]`.
    pub input: Vec<f32>,
    /// `[4 * hidden, hidden]`.
    pub recurrent: Vec<f32>,
    /// `[4 * hidden]`.
    pub bias: Vec<f32>,
}
