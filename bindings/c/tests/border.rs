//! The interface as C calls it: what comes out, and what wrong calls do.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unsafe_code, reason = "the interface is C's")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

use serde_json::Value;
use vivavoce_c::recognizer::*;
use vivavoce_c::session::*;
use vivavoce_c::*;

fn clip(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../audio-samples").join(name)
}

fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn last_error() -> String {
    // SAFETY: a text of the library.
    unsafe { CStr::from_ptr(vivavoce_last_error()) }.to_str().unwrap().to_owned()
}

/// A text of the library, which is freed.
fn taken(text: *mut c_char) -> Value {
    assert!(!text.is_null());
    // SAFETY: a text of the library, freed once.
    unsafe {
        let json = serde_json::from_str(CStr::from_ptr(text).to_str().unwrap()).unwrap();
        vivavoce_text_free(text);
        json
    }
}

fn recognizer() -> *mut VivavoceRecognizer {
    let mut made = null_mut();
    // SAFETY: NULL is allowed, and the result has a place.
    let status = unsafe { vivavoce_recognizer_new(null(), null(), &raw mut made) };
    assert_eq!(status, VivavoceStatus::Ok, "{}", last_error());
    made
}

fn samples(path: &Path) -> Vec<i16> {
    let bytes = std::fs::read(path).unwrap();
    bytes[44..].as_chunks().0.iter().map(|b| i16::from_le_bytes(*b)).collect()
}

extern "C" fn collect(event: *const c_char, user: *mut c_void) {
    // SAFETY: the library's text, and the list that was given with the function.
    unsafe {
        let event = CStr::from_ptr(event).to_str().unwrap();
        (*user.cast::<Vec<Value>>()).push(serde_json::from_str(event).unwrap());
    }
}

#[test]
fn polling_and_callbacks_tell_the_same_and_the_words_are_the_files() {
    let path = clip("kitchen-int16-8000-mono.wav");
    let samples = samples(&path);
    let options = c(r#"{"endpoints": false}"#);
    let recognizer = recognizer();
    let (mut json, mut polled, mut told) = (null_mut(), Vec::new(), Vec::<Value>::new());
    // SAFETY: all objects are the library's, alive, and freed once; `told` outlives the sessions.
    unsafe {
        let name = c(path.to_str().unwrap());
        let status = vivavoce_transcribe_file(
            recognizer,
            name.as_ptr(),
            options.as_ptr(),
            None,
            null_mut(),
            &raw mut json,
        );
        assert_eq!(status, VivavoceStatus::Ok, "{}", last_error());
        let (mut one, mut other) = (null_mut(), null_mut());
        for session in [&raw mut one, &raw mut other] {
            let status = vivavoce_session_new(recognizer, 8000, options.as_ptr(), session);
            assert_eq!(status, VivavoceStatus::Ok, "{}", last_error());
        }
        // A session does not need its recogniser's handle any more.
        vivavoce_recognizer_free(recognizer);
        vivavoce_session_listen(other, Some(collect), (&raw mut told).cast());
        let floats: Vec<f32> = samples.iter().map(|s| f32::from(*s) / 32768.0).collect();
        for (chunk, floats) in samples.chunks(1000).zip(floats.chunks(1000)) {
            let status = vivavoce_session_accept_i16(one, chunk.as_ptr(), chunk.len());
            assert_eq!(status, VivavoceStatus::Ok);
            let status = vivavoce_session_accept_f32(other, floats.as_ptr(), floats.len());
            assert_eq!(status, VivavoceStatus::Ok);
        }
        vivavoce_session_finish(one);
        vivavoce_session_finish(other);
        assert!((vivavoce_session_time(one) - samples.len() as f64 / 8000.0).abs() < 0.01);
        loop {
            let mut event = null_mut();
            assert_eq!(vivavoce_session_next(one, &raw mut event), VivavoceStatus::Ok);
            if event.is_null() {
                break;
            }
            polled.push(taken(event));
        }
        vivavoce_session_free(one);
        vivavoce_session_free(other);
    }
    let file = taken(json);
    assert_eq!(polled, told);
    assert_eq!(polled.last().unwrap()["event"], "final");
    assert_eq!(polled.last().unwrap()["result"], file["segments"][0]["result"]);
    assert!(file["text"].as_str().unwrap().split(' ').count() > 3);
}

#[test]
fn wrong_calls_are_told_and_harm_nothing() {
    let recognizer = recognizer();
    let (mut session, mut json, mut event) = (null_mut(), null_mut(), null_mut());
    let gone = c("gone.wav");
    // SAFETY: NULL is allowed everywhere, and all else is the library's and alive.
    unsafe {
        let mut none = null_mut();
        let folder = c("no/such/folder");
        assert_eq!(
            vivavoce_recognizer_new(folder.as_ptr(), null(), &raw mut none),
            VivavoceStatus::ErrorModel
        );
        assert!(none.is_null() && last_error().contains("no/such/folder"), "{}", last_error());
        assert_eq!(
            vivavoce_recognizer_new(null(), c("f8").as_ptr(), &raw mut none),
            VivavoceStatus::ErrorConfig
        );
        assert_eq!(vivavoce_recognizer_new(null(), null(), null_mut()), VivavoceStatus::ErrorUsage);
        assert_eq!(
            vivavoce_transcribe_file(
                recognizer,
                gone.as_ptr(),
                null(),
                None,
                null_mut(),
                &raw mut json
            ),
            VivavoceStatus::ErrorIo
        );
        assert!(last_error().contains("gone.wav"));
        assert_eq!(
            vivavoce_transcribe_contents(
                recognizer,
                null(),
                b"text".as_ptr(),
                4,
                null(),
                None,
                null_mut(),
                &raw mut json
            ),
            VivavoceStatus::ErrorAudio
        );
        let odd = c(r#"{"beems": 1}"#);
        assert_eq!(
            vivavoce_session_new(recognizer, 0, odd.as_ptr(), &raw mut session),
            VivavoceStatus::ErrorConfig
        );
        let names = c(r#"{"hotwords": ["fine", "route 66"]}"#);
        assert_eq!(
            vivavoce_session_new(recognizer, 0, names.as_ptr(), &raw mut session),
            VivavoceStatus::ErrorList
        );
        assert!(last_error().contains("line 2"));
        assert_eq!(
            vivavoce_session_new(recognizer, 7, null(), &raw mut session),
            VivavoceStatus::ErrorSamples
        );
        assert_eq!(
            vivavoce_session_new(null(), 0, null(), &raw mut session),
            VivavoceStatus::ErrorUsage
        );
        assert_eq!(
            vivavoce_session_new(recognizer, 0, c"\xff".as_ptr(), &raw mut session),
            VivavoceStatus::ErrorUsage
        );
        assert_eq!(
            vivavoce_session_new(recognizer, 0, null(), &raw mut session),
            VivavoceStatus::Ok
        );
        let nan = [0.0, f32::NAN];
        assert_eq!(
            vivavoce_session_accept_f32(session, nan.as_ptr(), 2),
            VivavoceStatus::ErrorSamples
        );
        assert_eq!(vivavoce_session_accept_f32(session, null(), 2), VivavoceStatus::ErrorUsage);
        assert_eq!(vivavoce_session_accept_f32(session, null(), 0), VivavoceStatus::Ok);
        assert_eq!(vivavoce_session_accept_i16(null_mut(), null(), 0), VivavoceStatus::ErrorUsage);
        assert_eq!(vivavoce_session_finish(session), VivavoceStatus::Ok);
        assert_eq!(vivavoce_session_finish(session), VivavoceStatus::Ok);
        assert_eq!(
            vivavoce_session_accept_i16(session, [0].as_ptr(), 1),
            VivavoceStatus::ErrorUsage
        );
        assert_eq!(vivavoce_session_reset(session), VivavoceStatus::Ok);
        assert_eq!(vivavoce_session_cut(session), VivavoceStatus::Ok);
        assert_eq!(vivavoce_session_accept_i16(session, [0].as_ptr(), 1), VivavoceStatus::Ok);
        assert_eq!(vivavoce_session_next(session, null_mut()), VivavoceStatus::ErrorUsage);
        assert_eq!(vivavoce_session_next(null_mut(), &raw mut event), VivavoceStatus::ErrorUsage);
        vivavoce_session_free(session);
        vivavoce_session_free(null_mut());
        vivavoce_text_free(null_mut());
        assert_eq!(vivavoce_recognizer_rate(recognizer), 16_000);
        vivavoce_recognizer_free(recognizer);
        vivavoce_recognizer_free(null_mut());
        assert_eq!(vivavoce_recognizer_rate(null()), 0);
        assert_eq!(CStr::from_ptr(vivavoce_version()).to_str().unwrap(), env!("CARGO_PKG_VERSION"));
    }
}

extern "C" fn at_once(_: *mut c_void) -> i32 {
    1
}

#[test]
fn a_callback_stops_the_work() {
    let recognizer = recognizer();
    let mut json = null_mut();
    let path = c(clip("harbour-int16-16000-mono.wav").to_str().unwrap());
    // SAFETY: the recogniser is alive and the text ends with a zero.
    let status = unsafe {
        let status = vivavoce_transcribe_file(
            recognizer,
            path.as_ptr(),
            null(),
            Some(at_once),
            null_mut(),
            &raw mut json,
        );
        vivavoce_recognizer_free(recognizer);
        status
    };
    assert_eq!(status, VivavoceStatus::Stopped);
    assert!(json.is_null());
}
