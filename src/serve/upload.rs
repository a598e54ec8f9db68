//! Bodies of requests: no larger than allowed, and at a reasonable pace, so that nobody holds a place by sending next to nothing.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::failure::Failure;

/// For an upload to begin.
const BEGIN: Duration = Duration::from_secs(30);
/// What it must keep up with afterwards.
const BYTES_A_SECOND: u64 = 8 * 1024;

/// A body beyond the limit.
pub fn too_large(most: usize, read: Option<usize>) -> Failure {
    let read = read.map(|read| format!(" ({read} bytes read)")).unwrap_or_default();
    let message = format!("Maximum content size limit ({most}) exceeded{read}");
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

/// Refuses a body that is announced to be too large, before it is read.
///
/// # Errors
/// [`too_large`].
pub fn announced(headers: &HeaderMap, most: usize) -> Result<(), Failure> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    match length {
        Some(length) if length > most => Err(too_large(most, Some(length))),
        _ => Ok(()),
    }
}

/// A body that does not come.
pub fn slow() -> Failure {
    Failure::new(StatusCode::REQUEST_TIMEOUT, "the upload is too slow")
}

/// How fast an upload must be.
pub struct Pace {
    begin: Instant,
    bytes: u64,
}

impl Pace {
    /// It begins now.
    pub fn new() -> Self {
        Self { begin: Instant::now(), bytes: 0 }
    }

    /// Until when the next piece must have come.
    pub fn deadline(&self) -> Instant {
        self.begin + BEGIN + Duration::from_secs(self.bytes / BYTES_A_SECOND)
    }

    /// A piece has come.
    pub fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }
}

/// Reads a body whole.
///
/// # Errors
/// If it is too large, too slow, or breaks off.
pub async fn whole(body: Body, most: usize) -> Result<Vec<u8>, Failure> {
    let (mut pace, mut bytes, mut body) = (Pace::new(), Vec::new(), body.into_data_stream());
    while let Some(piece) = timeout_at(pace.deadline(), body.next()).await.map_err(|_| slow())? {
        let piece = piece.map_err(|_| Failure::bad("the upload breaks off"))?;
        pace.count(piece.len());
        if bytes.len() + piece.len() > most {
            return Err(too_large(most, None));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
