//! Whether a server that runs is well: what a container asks every few seconds.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::time::Duration;

use anyhow::Context;

use super::Address;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than an answer has.
const MOST_BYTES: u64 = 4096;

/// Asks the server at `address` for `/health`.
///
/// # Errors
/// If nobody answers, or the answer is not that all is well.
pub fn check(mut address: Address) -> anyhow::Result<()> {
    // A server that listens on every address is reached on this machine's own.
    address.set_ip(match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    });
    let answer = ask(address).with_context(|| format!("no answer from {address}"))?;
    let status = answer.lines().next().unwrap_or_default();
    anyhow::ensure!(status.split(' ').nth(1) == Some("200"), "{address} answers: {status}");
    Ok(())
}

fn ask(address: Address) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
