//! A stream.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use vivavoce_bindings::{Options, Shared, Stream};

use crate::Watch;
use crate::failure::OrRaise;
use crate::input::samples;

/// A stream of samples; its calls give events as JSON.
#[pyclass(frozen, module = "vivavoce._native")]
pub struct Session {
    shared: Arc<Shared>,
    stream: Mutex<Stream>,
}

impl Session {
    /// A new one.
    pub fn new(shared: Arc<Shared>, options: &Options, rate_hz: u32) -> vivavoce::Result<Self> {
        let stream = Mutex::new(Stream::new(&shared, options, rate_hz)?);
        Ok(Self { shared, stream })
    }

    /// The stream, for one thread at a time.
    fn lock(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the stream without the interpreter's lock; what it says then.
    fn tell(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Stream, &Shared) -> vivavoce::Result<()> + Send,
    ) -> PyResult<Vec<String>> {
        let told = py.detach(|| {
            let mut stream = self.lock();
            work(&mut stream, &self.shared)?;
            Ok(std::iter::from_fn(|| stream.next_event())
                .map(|event| serde_json::to_string(&event))
                .collect::<Result<_, _>>())
        });
        told.or_raise(py)?.map_err(|e| PyRuntimeError::new_err(e.to_string()))
    }
}

#[pymethods]
impl Session {
    /// Samples a second that it wants.
    #[getter]
    fn rate_hz(&self, py: Python<'_>) -> u32 {
        py.detach(|| self.lock().rate_hz())
    }

    /// Seconds of audio accepted.
    #[getter]
    fn time_s(&self, py: Python<'_>) -> f64 {
        py.detach(|| self.lock().time_s())
    }

    /// Whether a voice is heard.
    #[getter]
    fn hears_voice(&self, py: Python<'_>) -> bool {
        py.detach(|| self.lock().hears_voice())
    }

    /// Hears samples.
    fn accept(&self, object: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
        let samples = samples(object)?;
        let mut watch = Watch::new(None);
        let told = self
            .tell(object.py(), |stream, shared| stream.accept(shared, &samples, || watch.go_on()));
        watch.raised.map_or(told, Err)
    }

    /// The stream is over.
    fn finish(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.tell(py, Stream::finish)
    }

    /// The segment is over.
    fn cut(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.tell(py, Stream::cut)
    }

    /// A new stream with the same options.
    fn reset(&self, py: Python<'_>) {
        py.detach(|| self.lock().reset());
    }
}
