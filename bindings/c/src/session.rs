//! A stream.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use vivavoce::Result;
use vivavoce_bindings::{Options, Shared, Stream, check};

use crate::VivavoceStatus;
use crate::border::{self, Border, guarded, object, object_mut, put, read, slice};
use crate::recognizer::{VivavoceRecognizer, unwritten};

/// Told of each event, as JSON. The text is the library's and gone after the call.
pub type VivavoceListener = Option<unsafe extern "C" fn(event: *const c_char, user: *mut c_void)>;

/// One stream of samples. One thread uses it at a time.
pub struct VivavoceSession {
    shared: Arc<Shared>,
    stream: Stream,
    listener: VivavoceListener,
    user: *mut c_void,
}

impl VivavoceSession {
    /// Does something to the stream and tells the listener what came of it.
    fn tell(&mut self, work: impl FnOnce(&mut Stream, &Shared) -> Result<()>) -> Border<()> {
        work(&mut self.stream, &self.shared)?;
        let Some(listener) = self.listener else { return Ok(()) };
        while let Some(event) = self.stream.next_event() {
            let event = border::text(serde_json::to_string(&event).map_err(unwritten)?);
            // SAFETY: who gave the function promised that it can be called with what came with it.
            #[expect(unsafe_code, reason = "a function of C")]
            unsafe {
                listener(event.as_ptr(), self.user);
            }
        }
        Ok(())
    }
}

/// Begins a stream of mono samples at `rate` Hz, from 8 to 192 kHz; 0 is the model's rate. `options` is NULL or a JSON object. The
/// session goes to `out`; free it with vivavoce_session_free.
///
/// # Safety
/// `recognizer` was not freed; `options` is NULL or ends with a zero; `out` can be written.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_session_new(
    recognizer: *const VivavoceRecognizer,
    rate: u32,
    options: *const c_char,
    out: *mut *mut VivavoceSession,
) -> VivavoceStatus {
    guarded(|| {
        // SAFETY: as promised above.
        let (recognizer, options) = unsafe { (object(recognizer)?, read(options)?) };
        // SAFETY: as promised above.
        unsafe { put(out, std::ptr::null_mut())? };
        let shared = Arc::clone(&recognizer.0);
        let rate = if rate == 0 { shared.recognizer().sample_rate_hz() } else { rate };
        let stream = Stream::new(&shared, &Options::parse(options.unwrap_or_default())?, rate)?;
        let session =
            VivavoceSession { shared, stream, listener: None, user: std::ptr::null_mut() };
        // SAFETY: as promised above.
        unsafe { put(out, Box::into_raw(Box::new(session))) }
    })
}

/// Frees a session. NULL is nothing to free.
///
/// # Safety
/// It was made by vivavoce_session_new, was not freed, and nobody uses it.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_session_free(session: *mut VivavoceSession) {
    guarded(|| {
        if !session.is_null() {
            // SAFETY: as promised above, it came out of a box and is given back once.
            drop(unsafe { Box::from_raw(session) });
        }
        Ok(())
    });
}

/// From now on the calls that hear tell `listener` of each event, in the thread that makes them, and vivavoce_session_next gives
/// nothing; NULL ends that. The listener must not use the session, nor jump out.
///
/// # Safety
/// `session` was not freed; `listener` can be called with `user` until another is set or the session is freed.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_session_listen(
    session: *mut VivavoceSession,
    listener: VivavoceListener,
    user: *mut c_void,
) -> VivavoceStatus {
    guarded(|| {
        // SAFETY: as promised above.
        let session = unsafe { object_mut(session)? };
        (session.listener, session.user) = (listener, user);
        Ok(())
    })
}

/// Hears `count` samples in [-1, 1]. If one is not finite or far outside, nothing of the call is heard.
///
/// # Safety
/// `session` was not freed; `count` samples stand at `samples`.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_session_accept_f32(
    session: *mut VivavoceSession,
    samples: *const f32,
    count: usize,
) -> VivavoceStatus {
    guarded(|| {
        // SAFETY: as promised above.
        let (session, samples) = unsafe { (object_mut(session)?, slice(samples, count)?) };
        check(samples)?;
        session.tell(|stream, shared| stream.accept(shared, samples, || true))
    })
}

/// Hears `count` samples of 16 bits.
///
/// # Safety
/// `session` was not freed; `count` samples stand at `samples`.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_session_accept_i16(
    session: *mut VivavoceSession,
    samples: *const i16,
    count: usize,
) -> VivavoceStatus {
    guarded(|| {
        // SAFETY: as promised above.
        let (session, samples) = unsafe { (object_mut(session)?, slice(samples, count)?) };
        let samples: Vec<f32> = samples.iter().map(|s| f32::from(*s) / 32_768.0).collect();
        session.tell(|stream, shared| stream.accept(shared, &samples, || true))
    })
}

/// Ends the stream, so that its last words come out. Does nothing the second time.
///
/// # Safety
/// `session` was not freed.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_session_finish(session: *mut VivavoceSession) -> VivavoceStatus {
    // SAFETY: as promised above.
    guarded(|| unsafe { object_mut(session)? }.tell(Stream::finish))
}

/// Ends the segment here and lets its last word come out; listening goes on.
///
/// # Safety
/// `session` was not freed.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_session_cut(session: *mut VivavoceSession) -> VivavoceStatus {
    // SAFETY: as promised above.
    guarded(|| unsafe { object_mut(session)? }.tell(Stream::cut))
}

/// Begins a new stream with the same options; events that were not taken are gone.
///
/// # Safety
/// `session` was not freed.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_session_reset(session: *mut VivavoceSession) -> VivavoceStatus {
    guarded(|| {
        // SAFETY: as promised above.
        unsafe { object_mut(session)? }.stream.reset();
        Ok(())
    })
}

/// The oldest event that was not yet taken, as JSON, goes to `out`; NULL if there is none. Free it with vivavoce_text_free.
///
/// # Safety
/// `session` was not freed; `out` can be written.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_session_next(
    session: *mut VivavoceSession,
    out: *mut *mut c_char,
) -> VivavoceStatus {
    guarded(|| {
        // SAFETY: as promised above.
        let session = unsafe { object_mut(session)? };
        // SAFETY: as promised above.
        unsafe { put(out, std::ptr::null_mut())? };
        let Some(event) = session.stream.next_event() else { return Ok(()) };
        let event = border::text(serde_json::to_string(&event).map_err(unwritten)?);
        // SAFETY: as promised above.
        unsafe { put(out, event.into_raw()) }
    })
}

/// Seconds of audio heard; 0 for NULL.
///
/// # Safety
/// `session` is NULL or was not freed.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_session_time(session: *const VivavoceSession) -> f64 {
    // SAFETY: as promised above.
    border::value(0.0, || Ok(unsafe { object(session)? }.stream.time_s()))
}
