//! vivavoce for C: a recogniser, sessions, results as JSON. `include/vivavoce.h` is made of this and has the whole contract.

#![allow(clippy::doc_markdown, reason = "the comments go into a header, which is no Markdown")]

mod border;
pub mod recognizer;
pub mod session;

use std::ffi::{CStr, c_char};

use border::Border;

/// What came of a call.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VivavoceStatus {
    /// It was done.
    Ok = 0,
    /// A file cannot be read.
    ErrorIo = 1,
    /// A file is not audio that can be decoded.
    ErrorAudio = 2,
    /// Samples that are not numbers, a rate out of range, and the like.
    ErrorSamples = 3,
    /// A model folder is incomplete or damaged.
    ErrorModel = 4,
    /// An option that there is not, or that is out of range.
    ErrorConfig = 5,
    /// A line of a list of hotwords or of a grammar cannot be used.
    ErrorList = 6,
    /// A call that does not fit the state, a null pointer, text that is not UTF-8.
    ErrorUsage = 7,
    /// A callback asked to stop.
    Stopped = 8,
    /// A mistake of the library; the object of the call must not be used any more, only freed.
    ErrorInternal = 9,
}

/// What the last call of this thread that failed says, for people; empty if none has. It stays until the next call that fails.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "a symbol of its own name")]
pub extern "C" fn vivavoce_last_error() -> *const c_char {
    border::last_error()
}

/// The version of the library, such as "0.1.0".
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "a symbol of its own name")]
pub extern "C" fn vivavoce_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}

/// Frees a text that the library gave. NULL is nothing to free.
///
/// # Safety
/// `text` is from a function that says so, and was not freed.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe extern "C" fn vivavoce_text_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: as promised above, it came out of `CString::into_raw` and is given back once.
        drop(unsafe { std::ffi::CString::from_raw(text) });
    }
}
