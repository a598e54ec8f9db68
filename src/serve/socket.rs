//! A WebSocket with what every protocol wants of it: signs of life, an end to idleness, bounded writing, closing with a reason.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::HeaderValue;
use tokio::sync::watch;
use tokio::time::timeout;

use super::connections::stopped;
use super::stream::Gone;

/// Without a word from the peer it is asked for a sign of life.
const PING: Duration = Duration::from_secs(30);
/// So many signs may be missed.
const MISSES: u32 = 2;
/// For a peer that does not read.
const WRITE: Duration = Duration::from_secs(10);
/// For the peer's answer to a close.
const GOODBYE: Duration = Duration::from_secs(2);
/// Of each of the two buffers of a socket.
const BUFFER_BYTES: usize = 8 * 1024;
/// The longest reason that a close may have.
const MAX_REASON_BYTES: usize = 123;

/// Codes of RFC 6455, section 7.4.1, and its registry.
pub mod code {
    /// All is said.
    pub const NORMAL: u16 = 1000;
    /// Not the kind of message that was expected.
    pub const UNSUPPORTED: u16 = 1003;
    /// Text that is no UTF-8.
    pub const INVALID: u16 = 1007;
    /// Not allowed, and not worth trying again.
    pub const REFUSED: u16 = 1008;
    /// Too large a message.
    pub const TOO_LARGE: u16 = 1009;
    /// Our fault.
    pub const FAULT: u16 = 1011;
    /// The server stops.
    pub const RESTART: u16 = 1012;
    /// The server is full.
    pub const FULL: u16 = 1013;
}

/// What comes from a peer.
#[derive(Debug)]
pub enum Frame {
    /// Text.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(Bytes),
    /// The peer has gone or is going.
    Closed,
    /// The server stops.
    Stop,
    /// Nothing was sent for too long.
    Idle,
    /// The peer is to be sent away, with this code and reason.
    Refused(u16, &'static str),
}

/// The peer has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hung;

/// Why a conversation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The peer has gone: there is nobody to say goodbye to.
    Hung,
    /// The socket is to be closed with this code and reason.
    Close(u16, String),
}

impl End {
    /// With a code and a reason.
    pub fn close(code: u16, reason: impl Into<String>) -> Self {
        Self::Close(code, reason.into())
    }
}

impl From<Hung> for End {
    fn from(_: Hung) -> Self {
        Self::Hung
    }
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::close(code::FAULT, "the recogniser failed")
    }
}

/// A WebSocket.
pub struct Socket {
    inner: WebSocket,
    stop: watch::Receiver<bool>,
    idle: Duration,
    heard: Instant,
    misses: u32,
}

/// Sets the bounds of a socket to be, and takes one of the subprotocols that clients ask for.
pub fn prepared(upgrade: WebSocketUpgrade, message_bytes: usize) -> WebSocketUpgrade {
    let mut upgrade = upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(1024 * 1024)
        .max_message_size(message_bytes)
        .max_frame_size(message_bytes);
    let known = ["ws", "realtime", "token", "bearer", "vivavoce"];
    let known = known.map(HeaderValue::from_static);
    let asked = upgrade.requested_protocols().find(|asked| known.contains(asked)).cloned();
    if let Some(asked) = asked {
        upgrade.set_selected_protocol(asked);
    }
    upgrade
}

impl Socket {
    /// A socket that ends when `stop` says so or nothing was sent for `idle`.
    pub fn new(inner: WebSocket, stop: watch::Receiver<bool>, idle: Duration) -> Self {
        Self { inner, stop, idle, heard: Instant::now(), misses: 0 }
    }

    /// The next message. Pings are answered on the way. Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Frame {
        loop {
            let idle = self.idle.saturating_sub(self.heard.elapsed());
            if idle.is_zero() {
                return Frame::Idle;
            }
            let got = tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return Frame::Stop,
                got = timeout(idle.min(PING), self.inner.recv()) => got,
            };
            match got {
                Err(_) if self.misses >= MISSES => return Frame::Closed,
                Err(_) => {
                    self.misses += 1;
                    if self.write(Message::Ping(Bytes::new())).await.is_err() {
                        return Frame::Closed;
                    }
                }
                Ok(None | Some(Ok(Message::Close(_)))) => return Frame::Closed,
                Ok(Some(Err(error))) => return failed(error),
                Ok(Some(Ok(message))) => {
                    self.misses = 0;
                    match message {
                        Message::Text(text) => {
                            self.heard = Instant::now();
                            return Frame::Text(text);
                        }
                        Message::Binary(bytes) => {
                            self.heard = Instant::now();
                            return Frame::Binary(bytes);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// Sends text.
    ///
    /// # Errors
    /// [`Hung`] if the peer has gone or does not read.
    pub async fn send(&mut self, text: String) -> Result<(), Hung> {
        self.write(Message::Text(text.into())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Hung> {
        match timeout(WRITE, self.inner.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Hung),
        }
    }

    /// Says goodbye and waits a moment for the answer.
    pub async fn close(mut self, code: u16, reason: &str) {
        let reason = cut(reason, MAX_REASON_BYTES).into();
        if self.write(Message::Close(Some(CloseFrame { code, reason }))).await.is_err() {
            return;
        }
        let _ = timeout(GOODBYE, async {
            while let Some(Ok(message)) = self.inner.recv().await {
                if matches!(message, Message::Close(_)) {
                    break;
                }
            }
        })
        .await;
    }
}

/// `text`, cut to at most `bytes`.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

fn failed(error: axum::Error) -> Frame {
    match error.into_inner().downcast_ref::<tungstenite::Error>() {
        Some(tungstenite::Error::Capacity(_)) => {
            Frame::Refused(code::TOO_LARGE, "a message too large")
        }
        Some(tungstenite::Error::Utf8(_)) => Frame::Refused(code::INVALID, "text that is no UTF-8"),
        _ => Frame::Closed,
    }
}
