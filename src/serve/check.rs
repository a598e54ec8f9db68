//! Whether a server that runs is well: what a container asks every few seconds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Context;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Address;
use super::client::{WAIT, get};

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
    let asking = async {
        let stream = TcpStream::connect(address).await?;
        get(stream, &address.to_string(), "/health", "").await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async { timeout(WAIT, asking).await });
    let answer = answer.map_err(std::io::Error::from).flatten();
    let answer = answer.with_context(|| format!("no answer from {address}"))?;
    let status = answer.lines().next().unwrap_or_default();
    anyhow::ensure!(status.split(' ').nth(1) == Some("200"), "{address} answers: {status}");
    Ok(())
}
