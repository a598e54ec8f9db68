//! Layers on `f32` slices; knows nothing of speech.
//!
//! Every layer gives bit-identical results for a row whatever the batch it is computed in and
//! however a sequence is split, because each output value is accumulated in one fixed order.

pub mod activations;
pub mod conv;
pub mod kernels;
pub mod linear;
pub mod lstm;
pub mod matrix;
pub mod norm;

pub use conv::{Conv2d, ConvScratch, ConvState};
pub use linear::Linear;
pub use lstm::Lstm;
pub use matrix::{PackedMatrix, Rows, RowsMut, quantize};
pub use norm::LayerNorm;
