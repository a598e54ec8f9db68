//! A model, and files to their end.

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::Arc;

use vivavoce::audio::{self, AudioSource};
use vivavoce::{Error, Recognizer};
use vivavoce_bindings::{Options, Samples, Shared, check, precision};

use crate::border::{self, Failure, guarded, object, put, read, slice};
use crate::{Border, VivavoceStatus};

/// A model that recognises. Any number of threads may use one; sessions keep what they need of it, so it may be freed before them.
pub struct VivavoceRecognizer(pub(crate) Arc<Shared>);

/// Asked every few hundred milliseconds of work; what is not 0 stops it.
pub type VivavoceStop = Option<unsafe extern "C" fn(user: *mut c_void) -> i32>;

/// Whether to go on, asked of C.
#[derive(Clone, Copy)]
struct Asked {
    stop: VivavoceStop,
    user: *mut c_void,
}

impl Asked {
    fn go_on(self) -> bool {
        // SAFETY: who gave the function promised that it can be called with what came with it.
        #[expect(unsafe_code, reason = "a function of C")]
        self.stop.is_none_or(|stop| unsafe { stop(self.user) } == 0)
    }
}

/// Loads a model: the folder `model`, or that inside the library if it is NULL. `how` is NULL for what the model holds, or "f32" or
/// "int8". The recogniser goes to `out`; free it with vivavoce_recognizer_free.
///
/// # Safety
/// Texts are NULL or end with a zero; `out` can be written.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_recognizer_new(
    model: *const c_char,
    how: *const c_char,
    out: *mut *mut VivavoceRecognizer,
) -> VivavoceStatus {
    guarded(|| {
        // SAFETY: as promised above.
        let (model, how) = unsafe { (read(model)?, read(how)?) };
        // SAFETY: as promised above.
        unsafe { put(out, std::ptr::null_mut())? };
        let mut builder = Recognizer::builder().precision(precision(how)?);
        if let Some(folder) = model {
            builder = builder.folder(folder);
        }
        let shared = Arc::new(Shared::new(builder.build()?));
        // SAFETY: as promised above.
        unsafe { put(out, Box::into_raw(Box::new(VivavoceRecognizer(shared)))) }
    })
}

/// Frees a recogniser. NULL is nothing to free.
///
/// # Safety
/// It was made by vivavoce_recognizer_new, was not freed, and nobody uses it.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_recognizer_free(recognizer: *mut VivavoceRecognizer) {
    guarded(|| {
        if !recognizer.is_null() {
            // SAFETY: as promised above, it came out of a box and is given back once.
            drop(unsafe { Box::from_raw(recognizer) });
        }
        Ok(())
    });
}

/// Rate in Hz of the samples that the model hears; 0 for NULL. Any rate from 8 to 192 kHz can be given.
///
/// # Safety
/// `recognizer` is NULL or one that was not freed.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_recognizer_rate(recognizer: *const VivavoceRecognizer) -> u32 {
    // SAFETY: as promised above.
    border::value(0, || Ok(unsafe { object(recognizer)? }.0.recognizer().sample_rate_hz()))
}

/// Transcribes an audio file to its end. `options` is NULL or a JSON object. A transcript as JSON goes to `out`; free it with
/// vivavoce_text_free. `stop` may be NULL.
///
/// # Safety
/// `recognizer` was not freed; texts are NULL or end with a zero; `out` can be written; `stop` can be called with `user`.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_transcribe_file(
    recognizer: *const VivavoceRecognizer,
    path: *const c_char,
    options: *const c_char,
    stop: VivavoceStop,
    user: *mut c_void,
    out: *mut *mut c_char,
) -> VivavoceStatus {
    guarded(|| {
        // SAFETY: as promised above.
        let (recognizer, path, options) =
            unsafe { (object(recognizer)?, read(path)?, read(options)?) };
        let path = path.ok_or_else(|| Failure::usage("NULL where a path is wanted"))?;
        let mut source = audio::open(Path::new(path))?;
        // SAFETY: as promised above.
        unsafe { transcribe(recognizer, &mut source, options, Asked { stop, user }, out) }
    })
}

/// The same of the contents of an audio file; `name` stands for it in messages and may be NULL.
///
/// # Safety
/// As vivavoce_transcribe_file; `size` bytes stand at `contents`.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_transcribe_contents(
    recognizer: *const VivavoceRecognizer,
    name: *const c_char,
    contents: *const u8,
    size: usize,
    options: *const c_char,
    stop: VivavoceStop,
    user: *mut c_void,
    out: *mut *mut c_char,
) -> VivavoceStatus {
    guarded(|| {
        // SAFETY: as promised above.
        let (recognizer, name, contents, options) =
            unsafe { (object(recognizer)?, read(name)?, slice(contents, size)?, read(options)?) };
        let mut source = audio::from_bytes(name.unwrap_or("(contents)"), contents.to_vec())?;
        // SAFETY: as promised above.
        unsafe { transcribe(recognizer, &mut source, options, Asked { stop, user }, out) }
    })
}

/// The same of `count` mono samples in [-1, 1] at `rate` Hz.
///
/// # Safety
/// As vivavoce_transcribe_file; `count` samples stand at `samples`.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_transcribe_samples(
    recognizer: *const VivavoceRecognizer,
    samples: *const f32,
    count: usize,
    rate: u32,
    options: *const c_char,
    stop: VivavoceStop,
    user: *mut c_void,
    out: *mut *mut c_char,
) -> VivavoceStatus {
    guarded(|| {
        // SAFETY: as promised above.
        let (recognizer, samples, options) =
            unsafe { (object(recognizer)?, slice(samples, count)?, read(options)?) };
        check(samples)?;
        let mut source = Samples::new(samples.to_vec(), rate);
        // SAFETY: as promised above.
        unsafe { transcribe(recognizer, &mut source, options, Asked { stop, user }, out) }
    })
}

/// Transcribes a source; the JSON goes to `out`.
///
/// # Safety
/// `out` is NULL or can be written.
#[expect(unsafe_code, reason = "pointers come from C")]
unsafe fn transcribe(
    recognizer: &VivavoceRecognizer,
    source: &mut dyn AudioSource,
    options: Option<&str>,
    asked: Asked,
    out: *mut *mut c_char,
) -> Border<()> {
    let options = Options::parse(options.unwrap_or_default())?;
    let transcript = recognizer.0.transcribe(source, &options, || asked.go_on())?;
    let transcript = transcript.ok_or(Failure::Stopped)?;
    let mut json = serde_json::to_value(&transcript).map_err(unwritten)?;
    json["text"] = transcript.text().into();
    // SAFETY: as promised above.
    unsafe { put(out, border::text(json.to_string()).into_raw()) }
}

/// What cannot be written as JSON, which nothing of ours is.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub fn unwritten(error: serde_json::Error) -> Failure {
    Failure::Refused(Error::Usage { reason: error.to_string() })
}
