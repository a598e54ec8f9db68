//! The native half of the Python package `vivavoce`: what computes. Options and results cross the border as JSON, samples as bytes;
//! classes, files' names and what a user sees are in `python/vivavoce`.

mod failure;
mod input;
mod model;
mod session;

use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// How often a long computation looks for Ctrl-C and for [`Stop`].
const LOOK: Duration = Duration::from_millis(100);

/// Breaks off what was given it, from another thread.
#[pyclass(frozen, module = "vivavoce._native")]
#[derive(Default)]
struct Stop(std::sync::atomic::AtomicBool);

#[pymethods]
impl Stop {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Breaks it off.
    fn set(&self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Whether it was broken off.
    fn is_set(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Looks, now and then, whether a computation without the interpreter's lock is to go on.
struct Watch<'a> {
    stop: Option<&'a Stop>,
    looked: Instant,
    /// What a handler of a signal raised.
    raised: Option<PyErr>,
}

impl<'a> Watch<'a> {
    fn new(stop: Option<&'a Stop>) -> Self {
        Self { stop, looked: Instant::now(), raised: None }
    }

    fn go_on(&mut self) -> bool {
        if self.stop.is_some_and(Stop::is_set) || self.raised.is_some() {
            return false;
        }
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            // Handlers run in the main thread alone; in others this does nothing.
            #[expect(
                clippy::redundant_closure_for_method_calls,
                reason = "the method is not general enough"
            )]
            let signals = Python::try_attach(|py| py.check_signals());
            self.raised = signals.and_then(Result::err);
        }
        self.raised.is_none()
    }
}

/// What computes; use the package `vivavoce`.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::Stop;
    #[pymodule_export]
    use super::model::Model;
    #[pymodule_export]
    use super::session::Session;

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        pyo3::types::PyModuleMethods::add(module, "__version__", env!("CARGO_PKG_VERSION"))
    }
}
