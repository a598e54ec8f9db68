//! The library's errors as exceptions.

use pyo3::prelude::*;
use vivavoce::Error;

/// An exception of `vivavoce._errors`.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    make(py, error).unwrap_or_else(|failed| failed)
}

fn make(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let errors = py.import("vivavoce._errors")?;
    let message = error.to_string();
    let made = match error {
        Error::Io { path, cause } => {
            let number = cause.raw_os_error();
            errors.call_method1("unreadable", (message, path, number, cause.to_string()))?
        }
        Error::Audio { path, .. } => errors.getattr("AudioError")?.call1((message, path))?,
        Error::Model { path, .. } => errors.getattr("ModelError")?.call1((message, path))?,
        Error::List { path, line, .. } => {
            errors.getattr("ListError")?.call1((message, path, *line))?
        }
        Error::Samples { .. } => errors.getattr("SamplesError")?.call1((message,))?,
        Error::Config { .. } => errors.getattr("ConfigError")?.call1((message,))?,
        Error::Usage { .. } => errors.getattr("UsageError")?.call1((message,))?,
        _ => errors.getattr("Error")?.call1((message,))?,
    };
    Ok(PyErr::from_value(made))
}

/// The same from where no lock is held.
pub trait OrRaise<T> {
    /// The value, or the exception.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for vivavoce::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| raised(py, &error))
    }
}
