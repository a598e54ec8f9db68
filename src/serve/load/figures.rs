//! What the server tells about itself.

use tokio::time::timeout;
use tungstenite::handshake::client::Request;
use tungstenite::http::header::AUTHORIZATION;

use super::tcp;
use crate::serve::client::{WAIT, get};

/// What it uses of the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// CPU time since its start.
    pub cpu_s: f64,
    /// Memory in use.
    pub bytes: u64,
}

impl Figures {
    /// Asks the server that `request` names; none if it does not say.
    pub async fn get(request: &Request) -> Option<Self> {
        timeout(WAIT, ask(request)).await.ok()?.ok().as_deref().and_then(read)
    }
}

async fn ask(request: &Request) -> anyhow::Result<String> {
    let stream = tcp(request).await?;
    let host = request.uri().authority().map_or("", |authority| authority.as_str());
    let key = request.headers().get(AUTHORIZATION).and_then(|key| key.to_str().ok());
    let key = key.map(|key| format!("authorization: {key}\r\n")).unwrap_or_default();
    Ok(get(stream, host, "/metrics", &key).await?)
}

fn read(answer: &str) -> Option<Figures> {
    let number = |name: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line?.trim().parse::<f64>().ok()
    };
    let cpu_s = number("process_cpu_seconds_total")?;
    let bytes = number("process_resident_memory_bytes")? as u64;
    Some(Figures { cpu_s, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_among_others() {
        let text = "HTTP/1.1 200 OK\r\n\r\n# TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total 2.5\n\
                    process_resident_memory_bytes_x 1\nprocess_resident_memory_bytes 4096.0\n# EOF\n";
        assert_eq!(read(text), Some(Figures { cpu_s: 2.5, bytes: 4096 }));
        assert_eq!(read("HTTP/1.1 401 Unauthorized\r\n\r\n"), None);
    }
}
