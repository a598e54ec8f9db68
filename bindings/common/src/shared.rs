//! A recogniser with what its streams share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use vivavoce::{Engine, Error, Hotwords, Phrases, Precision, Recognizer, Result, StreamOptions};

use crate::options::{List, Options};

/// Lists that stay ready.
const MOST_LISTS: usize = 8;
/// Engines that are kept when nobody computes; each has a few megabytes.
const MOST_ENGINES: usize = 64;

/// A recogniser, engines that its streams take turns with, and the lists that were last used. Threads share it.
#[derive(Debug)]
pub struct Shared {
    recognizer: Recognizer,
    engines: Mutex<Vec<Engine>>,
    hotwords: Mutex<Vec<(List, Hotwords)>>,
    grammars: Mutex<Vec<(List, Phrases)>>,
}

/// No thread leaves anything half done in what these locks guard.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was made of `list`, now or lately.
fn ready<T: Clone>(
    kept: &Mutex<Vec<(List, T)>>,
    list: &List,
    make: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let found = lock(kept).iter().find(|(known, _)| known == list).map(|(_, made)| made.clone());
    if let Some(made) = found {
        return Ok(made);
    }
    let made = make()?;
    let mut kept = lock(kept);
    if kept.len() == MOST_LISTS {
        kept.remove(0);
    }
    kept.push((list.clone(), made.clone()));
    Ok(made)
}

impl Shared {
    /// Shares `recognizer`.
    pub fn new(recognizer: Recognizer) -> Self {
        let (engines, hotwords, grammars) = Default::default();
        Self { recognizer, engines, hotwords, grammars }
    }

    /// What is shared.
    pub fn recognizer(&self) -> &Recognizer {
        &self.recognizer
    }

    /// Lends an engine that nobody uses.
    pub fn with_engine<T>(&self, work: impl FnOnce(&mut Engine) -> T) -> T {
        let engine = lock(&self.engines).pop();
        let mut engine = engine.unwrap_or_else(|| Engine::new(&self.recognizer));
        let done = work(&mut engine);
        let mut engines = lock(&self.engines);
        if engines.len() < MOST_ENGINES {
            engines.push(engine);
        }
        done
    }

    /// What `options` choose, with their lists made ready. `sleep` says whether the network sleeps in silence if nothing is said
    /// of it: so a live stream does, and a file does not.
    ///
    /// # Errors
    /// What the library refuses.
    pub fn stream_options(&self, options: &Options, sleep: bool) -> Result<StreamOptions> {
        let mut stream = options.stream(sleep)?;
        if let Some(list) = &options.hotwords {
            let make = || self.recognizer.hotwords(&list.name, &list.text);
            stream = stream.hotwords(ready(&self.hotwords, list, make)?);
        }
        if let Some(list) = &options.grammar {
            let make = || self.recognizer.grammar(&list.name, &list.text);
            stream = stream.grammar(ready(&self.grammars, list, make)?);
        }
        Ok(stream)
    }
}

/// How the network is computed, by its name; none: as the model is stored.
///
/// # Errors
/// [`Error::Config`] if there is none of that name.
pub fn precision(name: Option<&str>) -> Result<Precision> {
    match name {
        None => Ok(Precision::Stored),
        Some("f32") => Ok(Precision::F32),
        Some("int8") => Ok(Precision::Int8),
        Some(other) => {
            let reason = format!("{other:?} is not f32 or int8");
            Err(Error::Config { field: "precision".into(), reason })
        }
    }
}
