//! Layers on `f32` slices; knows nothing of speech.
//!
//! Every layer gives bit-identical results for a row whatever the batch it is computed in and
//! however a sequence is split, because each output value is accumulated in one fixed order.

pub mod activations;
pub mod conv;
mod int8;
pub mod kernels;
pub mod linear;
pub mod lstm;
pub mod matrix;
pub mod norm;
mod rows;

pub use conv::{Conv2d, ConvScratch, ConvState};
pub use int8::{Activations, quantize};
pub use linear::Linear;
pub use lstm::Lstm;
pub use matrix::PackedMatrix;
pub use norm::LayerNorm;
pub use rows::{Rows, RowsMut};

use aligned_vec::{AVec, ConstAlign};

const CACHE_LINE_BYTES: usize = 64;

/// Values that start on a cache line, as vector loads like them.
type Aligned<T> = AVec<T, ConstAlign<CACHE_LINE_BYTES>>;
