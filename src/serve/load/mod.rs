//! A client that measures a server as those feel it who speak to it: every stream has a schedule of its own, and all that it waits
//! for is counted from the moment when the audio was due, whether or not client or server were in time for it.

mod figures;
mod talker;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Request;
use tungstenite::http::HeaderValue;
use tungstenite::http::header::AUTHORIZATION;

use figures::Figures;
use talker::Told;

/// Streams do not begin all at once, but within this.
const SPREAD: Duration = Duration::from_secs(1);
/// From the last connection to the first sample.
const LEAD: Duration = Duration::from_millis(500);
/// For a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Between two looks at the server's figures.
const LOOK: Duration = Duration::from_secs(1);

/// What a stream says, and what must come back.
#[derive(Debug, Clone)]
pub struct Speech {
    /// 16-bit samples at [`Plan::rate_hz`].
    pub samples: Vec<i16>,
    /// Its words.
    pub text: String,
}

/// How a server is to be measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `ws://HOST:PORT/`.
    pub url: String,
    /// A key, if the server wants one.
    pub key: Option<String>,
    /// Streams at once.
    pub streams: usize,
    /// Audio in a message.
    pub chunk: Duration,
    /// Rate of the samples.
    pub rate_hz: u32,
}

/// What was measured. Times in seconds, in no order.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// From the moment when a message was due to its answer.
    pub answers: Vec<f64>,
    /// From the moment when a word's last sample was due to the answer since which it stands.
    pub words: Vec<f64>,
    /// From the moment when the last sample was due to the last result.
    pub finals: Vec<f64>,
    /// How late messages were sent: the client's own fault.
    pub late: Vec<f64>,
    /// Why streams did not come to their end.
    pub lost: Vec<String>,
    /// What streams said whose words are not those of their speech.
    pub different: Vec<(String, String)>,
    /// From the first sample to the last result.
    pub wall_s: f64,
    /// CPU time of the server meanwhile, a second of time.
    pub server_cores: Option<f64>,
    /// Memory of the server with no stream more than before, and the most of it.
    pub server_bytes: Option<(u64, u64)>,
}

/// Measures.
///
/// # Errors
/// If the address is none, or the system gives no threads. What goes wrong with a stream is a part of the result.
pub fn measure(plan: &Plan, speeches: &[Arc<Speech>]) -> anyhow::Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(all(plan, speeches))
}

async fn all(plan: &Plan, speeches: &[Arc<Speech>]) -> anyhow::Result<Measured> {
    let request = request(plan)?;
    let before = Figures::get(&request).await;
    let mut sockets = Vec::new();
    let mut measured = Measured::default();
    for _ in 0..plan.streams {
        match timeout(CONNECT, connect(&request)).await {
            Ok(Ok(socket)) => sockets.push(socket),
            Ok(Err(error)) => measured.lost.push(format!("{error:#}")),
            Err(_) => measured.lost.push("no connection in time".into()),
        }
    }
    let start = Instant::now() + LEAD;
    let count = sockets.len();
    let talks = sockets.into_iter().enumerate().map(|(i, socket)| {
        let speech = Arc::clone(&speeches[i % speeches.len()]);
        let begin = start + SPREAD.mul_f64(i as f64 / count as f64);
        tokio::spawn(talker::talk(socket, speech, begin, plan.chunk, plan.rate_hz))
    });
    let talks: Vec<_> = talks.collect();
    let begun = Figures::get(&request).await;
    let mut most = 0;
    let told = tokio::select! {
        told = join_all(talks) => told,
        never = look(&request, &mut most) => match never {},
    };
    measured.wall_s = start.elapsed().as_secs_f64();
    for told in told {
        measured.add(told.unwrap_or_else(|_| Told::lost("the client failed")));
    }
    let ended = Figures::get(&request).await;
    if let (Some(begun), Some(ended)) = (begun, ended) {
        measured.server_cores = Some((ended.cpu_s - begun.cpu_s) / measured.wall_s);
    }
    measured.server_bytes = before.map(|before| (before.bytes, most.max(before.bytes)));
    Ok(measured)
}

/// Remembers the most memory that the server ever has.
async fn look(request: &Request, most: &mut u64) -> Infallible {
    loop {
        sleep(LOOK).await;
        if let Some(figures) = Figures::get(request).await {
            *most = figures.bytes.max(*most);
        }
    }
}

impl Measured {
    fn add(&mut self, told: Told) {
        self.answers.extend(told.answers);
        self.words.extend(told.words);
        self.finals.extend(told.last);
        self.late.extend(told.late);
        self.lost.extend(told.lost);
        self.different.extend(told.different);
    }
}

fn request(plan: &Plan) -> anyhow::Result<Request> {
    let url = plan.url.replacen("http://", "ws://", 1);
    let mut request = url.as_str().into_client_request().context(url.clone())?;
    anyhow::ensure!(request.uri().scheme_str() == Some("ws"), "{url}: ws://HOST:PORT is wanted");
    if let Some(key) = &plan.key {
        let value = HeaderValue::from_str(&format!("Bearer {key}")).context("the key")?;
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    Ok(request)
}

async fn connect(request: &Request) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let stream = tcp(request).await?;
    let (socket, _) = tokio_tungstenite::client_async(request.clone(), stream).await?;
    Ok(socket)
}

/// A connection to the place that a request names.
async fn tcp(request: &Request) -> anyhow::Result<TcpStream> {
    let host = request.uri().host().context("an address without a host")?;
    let port = request.uri().port_u16().unwrap_or(80);
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
