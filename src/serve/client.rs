//! One question to a server over HTTP.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long whoever asks should wait, connecting included.
pub const WAIT: Duration = Duration::from_secs(5);
/// No answer is longer.
const MAX_BYTES: u64 = 1024 * 1024;

/// Head and body of the answer; `headers` are lines that end with CR LF.
pub async fn get(
    mut stream: TcpStream,
    host: &str,
    path: &str,
    headers: &str,
) -> std::io::Result<String> {
    let text = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(text.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_BYTES).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
