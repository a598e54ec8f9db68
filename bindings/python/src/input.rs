//! Objects that hold samples.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};
use vivavoce_bindings::{Format, down_mix};

use crate::failure::OrRaise;

/// The channels of an array stand in its shorter axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// `[sample, channel]`, as soundfile gives it.
    ByTurns(usize),
    /// `[channel, sample]`, as librosa and torchaudio give it.
    OneByOne(usize),
}

/// Mono samples in [-1, 1] of `object`: bytes are signed 16-bit samples; anything else with a buffer, or that numpy can make an array
/// of, says itself what it holds.
pub fn samples(object: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    let py = object.py();
    let view = match PyMemoryView::from(object) {
        Ok(view) => view,
        Err(_) if object.hasattr("__array__")? => {
            PyMemoryView::from(&py.import("numpy")?.call_method1("asarray", (object,))?)?
        }
        Err(_) => {
            let kind = object.get_type().name()?;
            let message = format!(
                "samples are bytes of signed 16 bits, or an array of int16 or float32, not {kind}"
            );
            return Err(PyTypeError::new_err(message));
        }
    };
    let bare = object.is_instance_of::<PyBytes>()
        || object.is_instance_of::<PyByteArray>()
        || object.is_instance_of::<PyMemoryView>();
    let format = format(&view, bare)?;
    let layout = layout(&view)?;
    // In the order of its axes, whatever its strides are.
    let bytes = view.call_method0("tobytes")?.cast_into::<PyBytes>()?;
    let bytes = bytes.as_bytes();
    let decoded = py.detach(|| format.decode(bytes)).or_raise(py)?;
    match layout {
        Layout::ByTurns(1) | Layout::OneByOne(1) => Ok(decoded),
        Layout::ByTurns(channels) => down_mix(decoded, channels).or_raise(py),
        Layout::OneByOne(channels) => {
            let length = decoded.len() / channels;
            let turns = (0..length).flat_map(|t| (0..channels).map(move |c| c * length + t));
            down_mix(turns.map(|i| decoded[i]).collect(), channels).or_raise(py)
        }
    }
}

/// How the numbers are stored; `bare`: whether it is no array and single bytes stand for parts of samples.
fn format(view: &Bound<'_, PyMemoryView>, bare: bool) -> PyResult<Format> {
    let code: String = view.getattr("format")?.extract()?;
    let size: usize = view.getattr("itemsize")?.extract()?;
    let foreign = if cfg!(target_endian = "little") { ['>', '!'] } else { ['<', '<'] };
    match (code.trim_start_matches(['@', '=', '<', '>', '!']), size) {
        _ if code.starts_with(foreign) => {
            Err(PyTypeError::new_err("samples of another byte order; say .astype(\"float32\")"))
        }
        ("B" | "b" | "c", 1) if bare => Ok(Format::I16),
        ("h", 2) => Ok(Format::I16),
        ("i" | "l", 4) => Ok(Format::I32),
        ("f", 4) => Ok(Format::F32),
        ("d", 8) => Ok(Format::F64),
        ("B" | "b", 1) => Err(PyTypeError::new_err(
            "samples of 8 bits; say .tobytes() if the array holds the bytes of 16-bit samples",
        )),
        (other, _) => Err(PyTypeError::new_err(format!(
            "samples of kind {other:?}; int16, int32, float32 and float64 are understood"
        ))),
    }
}

fn layout(view: &Bound<'_, PyMemoryView>) -> PyResult<Layout> {
    let shape: Vec<usize> = view.getattr("shape")?.extract()?;
    match shape.as_slice() {
        // No samples have no channels to tell.
        [_] | [0, _] | [_, 0] => Ok(Layout::ByTurns(1)),
        [first, last] if first < last => Ok(Layout::OneByOne(*first)),
        [_, last] => Ok(Layout::ByTurns(*last)),
        other => Err(PyValueError::new_err(format!(
            "samples have one axis, or a second for channels, not {}",
            other.len()
        ))),
    }
}
