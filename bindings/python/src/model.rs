//! A model, loaded once a process.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use pyo3::prelude::*;
use vivavoce::audio::{self, AudioSource};
use vivavoce::{Error, Recognizer};
use vivavoce_bindings::{Options, Samples, Shared, precision};

use crate::failure::OrRaise;
use crate::input::samples;
use crate::session::Session;
use crate::{Stop, Watch};

type Key = (Option<PathBuf>, Option<String>);

/// The models in use; the last user's end frees one.
static LOADED: LazyLock<Mutex<HashMap<Key, Weak<Shared>>>> = LazyLock::new(Mutex::default);

/// A model that recognises.
#[pyclass(frozen, module = "vivavoce._native")]
pub struct Model(Arc<Shared>);

/// The model of `folder`, or that inside, from memory if it is there.
fn load(folder: Option<PathBuf>, how: Option<String>) -> vivavoce::Result<Arc<Shared>> {
    let precision = precision(how.as_deref())?;
    let folder = match folder {
        Some(folder) => Some(folder.canonicalize().map_err(|e| Error::io(&folder, e))?),
        None => None,
    };
    // Whoever wants the same model meanwhile waits for it.
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    loaded.retain(|_, shared| shared.strong_count() > 0);
    let key = (folder, how);
    if let Some(shared) = loaded.get(&key).and_then(Weak::upgrade) {
        return Ok(shared);
    }
    let builder = Recognizer::builder().precision(precision);
    let builder = match &key.0 {
        Some(folder) => builder.folder(folder),
        None => builder,
    };
    let shared = Arc::new(Shared::new(builder.build()?));
    loaded.insert(key, Arc::downgrade(&shared));
    Ok(shared)
}

#[pymethods]
impl Model {
    #[new]
    #[pyo3(signature = (folder=None, precision=None))]
    fn new(py: Python<'_>, folder: Option<PathBuf>, precision: Option<String>) -> PyResult<Self> {
        Ok(Self(py.detach(|| load(folder, precision)).or_raise(py)?))
    }

    /// Rate of the samples that its streams hear, in Hz.
    #[getter]
    fn sample_rate_hz(&self) -> u32 {
        self.0.recognizer().sample_rate_hz()
    }

    /// Whether two are the same in memory.
    fn shares_memory_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Refuses options that the model does not allow.
    fn check(&self, py: Python<'_>, options: &str) -> PyResult<()> {
        let work = || {
            let options = self.0.stream_options(&Options::parse(options)?, true)?;
            self.0.recognizer().listener(&options).map(|_| ())
        };
        py.detach(work).or_raise(py)
    }

    /// A transcript as JSON of a file; none if it was stopped.
    #[pyo3(signature = (path, options, stop=None))]
    fn transcribe_file(
        &self,
        py: Python<'_>,
        path: PathBuf,
        options: &str,
        stop: Option<&Stop>,
    ) -> PyResult<Option<String>> {
        self.transcribe(py, options, stop, || audio::open(path))
    }

    /// The same of a file in memory; `name` stands for it in messages.
    #[pyo3(signature = (name, contents, options, stop=None))]
    fn transcribe_contents(
        &self,
        py: Python<'_>,
        name: PathBuf,
        contents: Vec<u8>,
        options: &str,
        stop: Option<&Stop>,
    ) -> PyResult<Option<String>> {
        self.transcribe(py, options, stop, || audio::from_bytes(name, contents))
    }

    /// The same of samples.
    #[pyo3(signature = (object, rate_hz, options, stop=None))]
    fn transcribe_samples(
        &self,
        object: &Bound<'_, PyAny>,
        rate_hz: u32,
        options: &str,
        stop: Option<&Stop>,
    ) -> PyResult<Option<String>> {
        let samples = samples(object)?;
        let open = || -> vivavoce::Result<audio::BoxedSource> {
            Ok(Box::new(Samples::new(samples, rate_hz)))
        };
        self.transcribe(object.py(), options, stop, open)
    }

    /// A stream.
    fn session(&self, py: Python<'_>, rate_hz: u32, options: &str) -> PyResult<Session> {
        let shared = Arc::clone(&self.0);
        py.detach(|| Session::new(shared, &Options::parse(options)?, rate_hz)).or_raise(py)
    }
}

impl Model {
    fn transcribe<S: AudioSource>(
        &self,
        py: Python<'_>,
        options: &str,
        stop: Option<&Stop>,
        open: impl FnOnce() -> vivavoce::Result<S> + Send,
    ) -> PyResult<Option<String>> {
        let mut watch = Watch::new(stop);
        let done = py.detach(|| {
            let options = Options::parse(options)?;
            let found = self.0.transcribe(&mut open()?, &options, || watch.go_on())?;
            Ok(found.map(|transcript| serde_json::to_string(&transcript)))
        });
        if let Some(error) = watch.raised {
            return Err(error);
        }
        let json = done.or_raise(py)?.transpose();
        json.map_err(|e| pyo3::exceptions::PyRuntimeError::new_err(e.to_string()))
    }
}
