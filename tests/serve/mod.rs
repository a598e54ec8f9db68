//! `vivavoce serve`, over real sockets.

mod attacks;
mod bench;
mod operation;
mod realtime;
mod rest;
#[cfg(feature = "tls")]
mod tls;
mod vosk;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tungstenite::client::IntoClientRequest;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};
use vivavoce::transcript::{Event, Final};
use vivavoce::{EndpointOptions, Recognizer, StreamOptions};

use crate::common::{Heard, real, real_folder, resampled};

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server that ends with this.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    /// Starts one on a port of its own; none (with a printed line) while the model is absent.
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let model = real_folder()?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_vivavoce"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .arg("--model")
            .arg(model)
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "the server does not start");
            let line: Value = serde_json::from_str(&line).unwrap();
            if let Some(address) = line["fields"]["address"].as_str() {
                break address.to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Some(Self { child, address })
    }

    pub fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub fn socket(&self, path: &str) -> Client {
        self.handshake(path, &[]).unwrap()
    }

    pub fn handshake(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> tungstenite::Result<Client> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, response) = tungstenite::connect(request)?;
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        let protocol = response.headers().get("sec-websocket-protocol");
        let protocol = protocol.map(|p| p.to_str().unwrap().to_owned());
        Ok(Client { socket, protocol })
    }

    /// Status, headers and body.
    pub fn get(&self, path: &str, headers: &str) -> Answer {
        self.exchange(&format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}\r\n",
            self.address
        ))
    }

    /// As [`Self::get`]; none if the connection was let go.
    pub fn try_get(&self, path: &str) -> Option<Answer> {
        let mut stream = self.tcp();
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        Answer::parse(&all)
    }

    pub fn exchange(&self, request: &str) -> Answer {
        let mut stream = self.tcp();
        stream.write_all(request.as_bytes()).unwrap();
        Answer::read(&mut stream)
    }

    /// Waits until no stream is open.
    pub fn wait_until_empty(&self) {
        let start = Instant::now();
        while self.get("/ready", "").json()["streams"] != 0 {
            assert!(start.elapsed() < PATIENCE, "a stream stays");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn ask_to_stop(&self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).unwrap();
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn read(stream: &mut TcpStream) -> Self {
        let mut all = Vec::new();
        // The server may go while a body is still being sent to it.
        let _ = stream.read_to_end(&mut all);
        Self::parse(&all).expect("a head")
    }

    fn parse(all: &[u8]) -> Option<Self> {
        let at = all.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = String::from_utf8(all[..at].to_vec()).unwrap().to_lowercase();
        let mut body = all[at + 4..].to_vec();
        if head.contains("transfer-encoding: chunked") {
            body = unchunked(&body);
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Self { status, head, body })
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let at = rest.windows(2).position(|w| w == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
        if size == 0 {
            return out;
        }
        out.extend_from_slice(&rest[at + 2..at + 2 + size]);
        rest = &rest[at + 4 + size..];
    }
}

/// A client of a socket.
pub struct Client {
    pub socket: WebSocket<MaybeTlsStream<TcpStream>>,
    pub protocol: Option<String>,
}

impl Client {
    pub fn text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(bytes.to_vec())).unwrap();
    }

    /// The next answer; pings do not count.
    pub fn answer(&mut self) -> Value {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The code of the close, which must be next.
    pub fn closed(&mut self) -> u16 {
        loop {
            match self.socket.read().unwrap() {
                Message::Close(frame) => return frame.unwrap().code.into(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// 16-bit samples as bytes.
pub fn pcm(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|s| s.to_le_bytes()).collect()
}

/// The samples of a clip of 16 bits and one channel, and their rate.
pub fn clip_i16(name: &str) -> (Vec<i16>, u32) {
    let mut reader = hound::WavReader::open(crate::common::clip_path(name)).unwrap();
    let rate = reader.spec().sample_rate;
    (reader.samples::<i16>().map(Result::unwrap).collect(), rate)
}

/// What the library hears in samples with the endpoints of a server.
pub fn heard(samples: &[i16], rate_hz: u32) -> Vec<Final> {
    let recognizer: &Recognizer = real().unwrap();
    let options = StreamOptions::default().endpoints(EndpointOptions::default());
    let mut listener = Heard::new(recognizer, &options);
    let samples: Vec<f32> = samples.iter().map(|s| f32::from(*s) / 32_768.0).collect();
    let mut events = Vec::new();
    listener.accept_waveform(&resampled(&samples, rate_hz, 16_000), &mut events).unwrap();
    listener.finish(&mut events).unwrap();
    let finals = events.into_iter().filter_map(|event| match event {
        Event::Final(segment) => Some(segment),
        _ => None,
    });
    finals.collect()
}

/// The words of segments.
pub fn text(segments: &[Final]) -> String {
    segments.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" ")
}
