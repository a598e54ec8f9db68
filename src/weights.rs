//! Tensors of a safetensors file, checked and brought to what they are computed in.

use std::ops::Range;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Result};
use crate::nn::{LayerNorm, Linear, Lstm, PackedMatrix, quantize};

/// What large matrices are kept and multiplied in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// 8 bits where the file holds 8 bits, else 32.
    #[default]
    Stored,
    /// 32-bit floating point, the reference.
    F32,
    /// 8 bits also where the file holds more.
    Int8,
}

/// Smaller matrices stay in 32 bits.
const MIN_INT8_VALUES: usize = 4096;

/// From this size on a matrix in 32 bits takes much of the cache, and 8-bit weights are better widened when they are used.
const MIN_WIDENED_VALUES: usize = 1 << 18;

/// Row-major weights `[outputs, inputs]` in the precision they will be used in.
pub(crate) enum Matrix {
    F32(Vec<f32>),
    /// From -127 to 127, with a scale each output.
    I8(Vec<i8>, Vec<f32>),
    /// The same, for products in 32 bits.
    Widened(Vec<i8>, Vec<f32>),
}

/// `values` `[_, inputs]` with each row's columns replaced by those at `columns`.
fn select<T: Copy>(values: &[T], inputs: usize, columns: &[usize]) -> Vec<T> {
    values.chunks_exact(inputs).flat_map(|row| columns.iter().map(|c| row[*c])).collect()
}

impl Matrix {
    /// The columns at `columns` of a matrix with `inputs`, in that order.
    pub fn columns(&self, inputs: usize, columns: &[usize]) -> Self {
        match self {
            Self::F32(values) => Self::F32(select(values, inputs, columns)),
            Self::I8(values, scales) => Self::I8(select(values, inputs, columns), scales.clone()),
            Self::Widened(values, scales) => {
                Self::Widened(select(values, inputs, columns), scales.clone())
            }
        }
    }

    /// Some of the columns, for the kernels.
    pub fn pack_columns(&self, inputs: usize, columns: Range<usize>) -> PackedMatrix {
        let width = columns.len();
        self.columns(inputs, &columns.collect::<Vec<_>>()).pack(width)
    }

    /// For the kernels.
    pub fn pack(self, inputs: usize) -> PackedMatrix {
        match self {
            Self::F32(values) => PackedMatrix::pack(&values, values.len() / inputs, inputs),
            Self::I8(values, scales) => PackedMatrix::pack_int8(&values, scales, inputs),
            Self::Widened(values, scales) => PackedMatrix::pack_widened(&values, &scales, inputs),
        }
    }
}

/// The tensors of one file.
pub(crate) struct Weights<'a> {
    path: PathBuf,
    tensors: SafeTensors<'a>,
    precision: Precision,
}

impl<'a> Weights<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Error::Model`] if the header is damaged or points outside the file.
    pub fn parse(path: &Path, bytes: &'a [u8], precision: Precision) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|e| Error::model(path, format!("not a safetensors file: {e}")))?;
        Ok(Self { path: path.to_path_buf(), tensors, precision })
    }

    fn error(&self, name: &str, reason: impl std::fmt::Display) -> Error {
        Error::model(&self.path, format!("tensor {name}: {reason}"))
    }

    /// Whether a tensor exists.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    /// What the file says of itself under `name`.
    ///
    /// # Errors
    /// [`Error::Model`] if it says nothing.
    pub fn remark(bytes: &[u8], path: &Path, name: &str) -> Result<String> {
        let header = SafeTensors::read_metadata(bytes);
        let remarks = header.ok().and_then(|(_, header)| header.metadata().clone());
        let remark = remarks.and_then(|mut remarks| remarks.remove(name));
        remark.ok_or_else(|| Error::model(path, format!("no {name} in its header")))
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

    /// The tensor `name`, which must have `shape`.
    fn view(&self, name: &str, shape: &[usize]) -> Result<TensorView<'a>> {
        let tensor = self.tensors.tensor(name).map_err(|_| self.error(name, "missing"))?;
        if tensor.shape() != shape {
            let reason =
                format!("shape is {:?}, the configuration needs {shape:?}", tensor.shape());
            return Err(self.error(name, reason));
        }
        Ok(tensor)
    }

    /// Values of a tensor that must have `shape`.
    ///
    /// # Errors
    /// [`Error::Model`] if it is missing, has another shape or an unknown type, lacks its scale,
    /// or holds a value that is not finite.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = self.view(name, shape)?;
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

    /// Numbers of 16 bits.
    ///
    /// # Errors
    /// [`Error::Model`] if they are missing, or others or more than `len`.
    pub fn numbers(&self, name: &str, len: usize) -> Result<Vec<u16>> {
        let tensor = self.view(name, &[len])?;
        if tensor.dtype() != Dtype::U16 || tensor.data().len() != 2 * len {
            return Err(self.error(name, "not numbers of 16 bits"));
        }
        Ok(tensor.data().as_chunks().0.iter().map(|b| u16::from_le_bytes(*b)).collect())
    }

    /// Shape of a matrix.
    ///
    /// # Errors
    /// [`Error::Model`] if it is missing, not a matrix, or has no or more than 2^20 rows or columns.
    pub fn sides(&self, name: &str) -> Result<[usize; 2]> {
        let tensor = self.tensors.tensor(name).map_err(|_| self.error(name, "missing"))?;
        match *tensor.shape() {
            [rows, columns] if [rows, columns].iter().all(|n| (1..=1 << 20).contains(n)) => {
                Ok([rows, columns])
            }
            ref shape => Err(self.error(name, format!("shape {shape:?} is no matrix"))),
        }
    }

    /// Rows of 8 bits `[rows, columns]` with their scales, as they are stored.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor); also if they are stored in another way.
    pub fn bytes(&self, name: &str, rows: usize, columns: usize) -> Result<(Vec<i8>, Vec<f32>)> {
        let tensor = self.view(name, &[rows, columns])?;
        if tensor.dtype() != Dtype::I8 || tensor.data().len() != rows * columns {
            return Err(self.error(name, "not values of 8 bits"));
        }
        let scales = self.tensor(&format!("{name}.scale"), &[rows])?;
        Ok((tensor.data().iter().map(|b| *b as i8).collect(), scales))
    }

    /// A matrix `[outputs, inputs]` in the wanted precision.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor); also if an 8-bit value is -128, which no quantised model has.
    pub fn matrix(&self, name: &str, outputs: usize, inputs: usize) -> Result<Matrix> {
        let tensor = self.view(name, &[outputs, inputs])?;
        let large = outputs * inputs >= MIN_INT8_VALUES;
        let widened = outputs * inputs >= MIN_WIDENED_VALUES;
        match self.precision {
            _ if tensor.dtype() == Dtype::I8 && (self.precision != Precision::F32 || widened) => {
                let scales = self.tensor(&format!("{name}.scale"), &[outputs])?;
                let values: Vec<i8> = tensor.data().iter().map(|b| *b as i8).collect();
                if values.len() != outputs * inputs || values.contains(&i8::MIN) {
                    return Err(self.error(name, "8-bit values are damaged"));
                }
                Ok(match self.precision {
                    Precision::F32 => Matrix::Widened(values, scales),
                    Precision::Stored | Precision::Int8 => Matrix::I8(values, scales),
                })
            }
            Precision::Int8 if large => {
                let (values, scales) = quantize(&self.tensor(name, &[outputs, inputs])?, inputs);
                Ok(Matrix::I8(values, scales))
            }
            _ => Ok(Matrix::F32(self.tensor(name, &[outputs, inputs])?)),
        }
    }

    /// `{name}.weight` `[outputs, inputs]` and `{name}.bias`.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn linear(&self, name: &str, outputs: usize, inputs: usize) -> Result<Linear> {
        let weight = self.matrix(&format!("{name}.weight"), outputs, inputs)?;
        let bias = self.tensor(&format!("{name}.bias"), &[outputs])?;
        Ok(Linear::from_packed(weight.pack(inputs), bias))
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
        let (input, recurrent) = (parts.input.pack(inputs), parts.recurrent.pack(hidden));
        Ok(Lstm::from_packed(input, recurrent, parts.bias))
    }

    /// The weights of an LSTM of one layer.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn lstm_parts(&self, name: &str, inputs: usize, hidden: usize) -> Result<LstmParts> {
        self.recurrent_parts(name, "_l0", inputs, hidden)
    }

    /// An LSTM cell, whose names lack the number of a layer.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn lstm_cell(&self, name: &str, inputs: usize, hidden: usize) -> Result<Lstm> {
        let parts = self.recurrent_parts(name, "", inputs, hidden)?;
        let (input, recurrent) = (parts.input.pack(inputs), parts.recurrent.pack(hidden));
        Ok(Lstm::from_packed(input, recurrent, parts.bias))
    }

    fn recurrent_parts(
        &self,
        name: &str,
        end: &str,
        inputs: usize,
        hidden: usize,
    ) -> Result<LstmParts> {
        let gates = 4 * hidden;
        let input = self.matrix(&format!("{name}.weight_ih{end}"), gates, inputs)?;
        let recurrent = self.matrix(&format!("{name}.weight_hh{end}"), gates, hidden)?;
        let mut bias = self.tensor(&format!("{name}.bias_ih{end}"), &[gates])?;
        let other = self.tensor(&format!("{name}.bias_hh{end}"), &[gates])?;
        bias.iter_mut().zip(other).for_each(|(a, b)| *a += b);
        Ok(LstmParts { input, recurrent, bias })
    }
}

/// Row-major weights of an LSTM, its biases added.
pub(crate) struct LstmParts {
    /// `[4 * hidden, inputs]`.
    pub input: Matrix,
    /// `[4 * hidden, hidden]`.
    pub recurrent: Matrix,
    /// `[4 * hidden]`.
    pub bias: Vec<f32>,
}
