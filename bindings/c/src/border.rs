//! What passes between C and Rust: no panic, no dangling text.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use vivavoce::Error;

use crate::VivavoceStatus;

thread_local! {
    /// What [`crate::vivavoce_last_error`] says: a text that lives as long as the thread.
    static LAST: RefCell<CString> = RefCell::default();
}

/// Why a call was not done.
#[derive(Debug)]
pub enum Failure {
    /// The library refused.
    Refused(Error),
    /// A callback said so.
    Stopped,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Failure {
    /// A wrong call.
    pub fn usage(reason: &str) -> Self {
        Self::Refused(Error::Usage { reason: reason.into() })
    }

    fn status(&self) -> VivavoceStatus {
        match self {
            Self::Stopped => VivavoceStatus::Stopped,
            Self::Refused(error) => match error {
                Error::Io { .. } => VivavoceStatus::ErrorIo,
                Error::Audio { .. } => VivavoceStatus::ErrorAudio,
                Error::Samples { .. } => VivavoceStatus::ErrorSamples,
                Error::Model { .. } => VivavoceStatus::ErrorModel,
                Error::Config { .. } => VivavoceStatus::ErrorConfig,
                Error::List { .. } => VivavoceStatus::ErrorList,
                Error::Usage { .. } => VivavoceStatus::ErrorUsage,
                _ => VivavoceStatus::ErrorInternal,
            },
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Stopped => "the callback asked to stop".into(),
            Self::Refused(error) => error.to_string(),
        }
    }
}

/// The result of a call inside of the border.
pub type Border<T> = Result<T, Failure>;

fn keep(message: String) {
    let text = text(message);
    // A thread that is ending has nobody to tell.
    let _ = LAST.try_with(|last| last.replace(text));
}

/// A text for C; what C would take for its end is left out.
pub fn text(text: String) -> CString {
    let mut bytes = text.into_bytes();
    bytes.retain(|byte| *byte != 0);
    CString::new(bytes).unwrap_or_default()
}

/// What the last failure said.
pub fn last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// Does a call; no panic gets out.
pub fn guarded(work: impl FnOnce() -> Border<()>) -> VivavoceStatus {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => VivavoceStatus::Ok,
        Ok(Err(failure)) => {
            keep(failure.message());
            failure.status()
        }
        Err(panic) => {
            let told = panic.downcast_ref::<&str>().map(|told| (*told).to_owned());
            let told = told.or_else(|| panic.downcast_ref::<String>().cloned());
            keep(format!("a mistake of the library: {}", told.unwrap_or_default()));
            VivavoceStatus::ErrorInternal
        }
    }
}

/// The same for what gives a value; `missing` if it failed.
pub fn value<T>(missing: T, work: impl FnOnce() -> Border<T>) -> T {
    let mut found = missing;
    guarded(|| {
        found = work()?;
        Ok(())
    });
    found
}

/// A text from C; none for NULL.
///
/// # Safety
/// `text` is NULL or ends with a zero, and stays as it is for `'a`.
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe fn read<'a>(text: *const c_char) -> Border<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: as promised above.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(Some).map_err(|_| Failure::usage("a text is not UTF-8"))
}

/// Numbers from C; NULL with 0 is nothing.
///
/// # Safety
/// `count` values stand at `values`, and stay as they are for `'a`.
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe fn slice<'a, T>(values: *const T, count: usize) -> Border<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if values.is_null() || count > isize::MAX as usize / size_of::<T>() || !values.is_aligned() {
        return Err(Failure::usage("samples are at no address"));
    }
    // SAFETY: as promised above; the address is aligned, and the length was looked at.
    Ok(unsafe { std::slice::from_raw_parts(values, count) })
}

/// What a pointer from C points at.
///
/// # Safety
/// `pointer` is NULL or from the function that makes such an object, not freed, and nobody changes it for `'a`.
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe fn object<'a, T>(pointer: *const T) -> Border<&'a T> {
    // SAFETY: as promised above.
    unsafe { pointer.as_ref() }.ok_or_else(|| Failure::usage("NULL where an object is wanted"))
}

/// The same to be changed.
///
/// # Safety
/// As [`object`], and nobody else uses it for `'a`.
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe fn object_mut<'a, T>(pointer: *mut T) -> Border<&'a mut T> {
    // SAFETY: as promised above.
    unsafe { pointer.as_mut() }.ok_or_else(|| Failure::usage("NULL where an object is wanted"))
}

/// Where a result goes.
///
/// # Safety
/// `place` is NULL or can be written.
#[expect(unsafe_code, reason = "pointers come from C")]
pub unsafe fn put<T>(place: *mut T, value: T) -> Border<()> {
    if place.is_null() {
        return Err(Failure::usage("NULL where the result is to go"));
    }
    // SAFETY: as promised above.
    unsafe { place.write(value) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> String {
        LAST.with(|last| last.borrow().to_string_lossy().into_owned())
    }

    #[test]
    fn no_panic_gets_out_and_what_it_said_is_kept() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let status = guarded(|| panic!("on purpose: {}", 7));
        std::panic::set_hook(hook);
        assert_eq!(status, VivavoceStatus::ErrorInternal);
        assert!(told().contains("on purpose: 7"), "{}", told());
        assert_eq!(value(3, || Err(Failure::usage("a\0b"))), 3);
        assert_eq!(told(), "wrong use: ab");
        assert_eq!(value(3, || Ok(4)), 4);
        assert_eq!(told(), "wrong use: ab");
    }
}
