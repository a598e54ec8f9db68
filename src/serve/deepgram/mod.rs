//! Deepgram's `/v1/listen`: live over a socket, or a file at once.

pub mod query;
mod results;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use vivavoce::transcript::Event;

use super::Server;
use super::access::random_id;
use super::failure::Failure;
use super::limits::SlotGuard;
use super::pcm::Intake;
use super::recording::Recording;
use super::scheduler::{Input, Output};
use super::socket::{End, Frame, Socket, code};
use super::stream::Stream;
use super::upload;
pub use query::Wishes;
use results::{About, Results};

/// Without audio and without a sign of life.
pub const IDLE: Duration = Duration::from_secs(10);

/// A refusal before the socket is open, or of a file.
pub fn refusal(status: StatusCode, message: &str) -> Response {
    let code = if status == StatusCode::SERVICE_UNAVAILABLE {
        "SERVICE_UNAVAILABLE"
    } else {
        "INVALID_REQUEST"
    };
    let body = json!({"err_code": code, "err_msg": message, "request_id": identifier()});
    (status, Json(body)).into_response()
}

/// An identifier in groups, as theirs are.
fn identifier() -> String {
    let id = random_id();
    format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
}

fn about(server: &Server) -> About {
    About { request_id: identifier(), model: server.settings.model.clone() }
}

/// Hears a file.
pub async fn whole(server: &Server, wishes: Wishes, headers: &HeaderMap, body: Body) -> Response {
    let failed = |failure: Failure| refusal(failure.status(), failure.message()).into_response();
    if let Err(failure) = upload::announced(headers, server.settings.limits.body_bytes) {
        server.metrics.refuse("body");
        return failed(failure);
    }
    let Ok(reading) = server.uploads.try_acquire() else { return failed(Failure::full()) };
    let body = match upload::whole(body, server.settings.limits.body_bytes).await {
        Ok(body) => body,
        Err(failure) => return failed(failure),
    };
    drop(reading);
    let hash = format!("{:x}", Sha256::digest(&body));
    let opened = Recording::open(server, "deepgram", body, &wishes.ask).await;
    let mut recording = match opened {
        Ok(recording) => recording,
        Err(failure) => return failed(failure),
    };
    let mut segments = Vec::new();
    loop {
        match recording.next().await {
            Ok(Some(output)) => {
                let finals = output.events.into_iter().filter_map(|event| match event {
                    Event::Final(segment) => Some(segment),
                    _ => None,
                });
                segments.extend(finals);
            }
            Ok(None) => break,
            Err(failure) => return failed(failure),
        }
    }
    Json(about(server).whole(&segments, recording.seconds(), &hash, wishes.utterances))
        .into_response()
}

/// One client.
struct Talk {
    server: Arc<Server>,
    intake: Intake,
    stream: Option<Stream>,
    results: Results,
    wishes: Wishes,
    seconds: f64,
    /// Of all audio.
    hash: Sha256,
}

/// Something to do.
enum Next {
    Frame(Frame),
    Output(Output),
}

/// Speaks with a client until it is done.
pub async fn talk(server: Arc<Server>, mut socket: Socket, wishes: Wishes, _slot: SlotGuard) {
    let results = Results::new(about(&server), &wishes);
    let intake = wishes.intake();
    let mut talk =
        Talk { server, intake, stream: None, results, wishes, seconds: 0.0, hash: Sha256::new() };
    let end = loop {
        let step = match talk.next(&mut socket).await {
            Ok(Next::Frame(frame)) => talk.obey(frame, &mut socket).await,
            Ok(Next::Output(output)) => talk.tell(vec![output], &mut socket).await,
            Err(end) => Err(end),
        };
        if let Err(end) = step {
            break end;
        }
    };
    if let End::Close(code, reason) = end {
        drop(talk);
        socket.close(code, &reason).await;
    }
}

impl Talk {
    async fn next(&mut self, socket: &mut Socket) -> Result<Next, End> {
        let Some(stream) = &mut self.stream else { return Ok(Next::Frame(socket.recv().await)) };
        tokio::select! {
            biased;
            output = stream.next() => Ok(Next::Output(output?)),
            frame = socket.recv() => Ok(Next::Frame(frame)),
        }
    }

    async fn obey(&mut self, frame: Frame, socket: &mut Socket) -> Result<(), End> {
        match frame {
            Frame::Closed => Err(End::Hung),
            Frame::Idle => Err(End::close(code::FAULT, "NET-0001: no audio came")),
            Frame::Refused(code, reason) => Err(End::close(code, reason)),
            Frame::Stop => self.finish(socket, code::RESTART, "the server stops").await,
            Frame::Binary(bytes) if bytes.is_empty() => self.finish(socket, code::NORMAL, "").await,
            Frame::Binary(bytes) => {
                self.hash.update(&bytes);
                let samples = self.intake.take(&bytes);
                let undecodable =
                    |reason: String| End::close(code::REFUSED, format!("DATA-0000: {reason}"));
                let samples = samples.map_err(undecodable)?;
                if self.intake.is_known() { self.hear(&samples, socket).await } else { Ok(()) }
            }
            Frame::Text(text) => {
                let told: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
                match told.get("type").and_then(Value::as_str) {
                    Some("KeepAlive") => Ok(()),
                    Some("Finalize") => {
                        let outputs = self.all(Input::Cut).await?;
                        self.results.finalize();
                        self.tell(outputs, socket).await?;
                        if let Some(message) = self.results.finalized(self.seconds) {
                            socket.send(message).await?;
                        }
                        Ok(())
                    }
                    Some("CloseStream") => self.finish(socket, code::NORMAL, "").await,
                    _ => Err(End::close(code::REFUSED, "DATA-0001: a message of no known type")),
                }
            }
        }
    }

    async fn hear(&mut self, samples: &[f32], socket: &mut Socket) -> Result<(), End> {
        let rate_hz = self.intake.rate_hz();
        self.seconds += samples.len() as f64 / f64::from(rate_hz);
        let most = self.server.settings.limits.seconds;
        if self.seconds > most {
            return Err(End::close(code::REFUSED, format!("more than {most} seconds of audio")));
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let refuse = |reason: String| End::close(code::REFUSED, reason);
                let options = self.server.options(&self.wishes.ask).await.map_err(refuse)?;
                let opened = self.server.pool.open(rate_hz, &options);
                none.insert(opened.map_err(|error| refuse(error.to_string()))?)
            }
        };
        let mut outputs = Vec::new();
        stream.send_audio(samples, &mut outputs).await?;
        self.tell(outputs, socket).await
    }

    /// Does one thing and waits for all that was sent.
    async fn all(&mut self, input: Input) -> Result<Vec<Output>, End> {
        let mut outputs = Vec::new();
        if let Some(stream) = &mut self.stream {
            stream.send(input, &mut outputs).await?;
            stream.drain(&mut outputs).await?;
        }
        Ok(outputs)
    }

    async fn tell(&mut self, outputs: Vec<Output>, socket: &mut Socket) -> Result<(), End> {
        for output in outputs {
            let messages = self.results.hear(output);
            for message in messages.map_err(|reason: String| End::close(code::REFUSED, reason))? {
                socket.send(message).await?;
            }
        }
        Ok(())
    }

    /// Tells the rest and that it is over.
    async fn finish(&mut self, socket: &mut Socket, code: u16, reason: &str) -> Result<(), End> {
        let rest = self.intake.finish();
        if !rest.is_empty() {
            self.hear(&rest, socket).await?;
        }
        let outputs = self.all(Input::Finish).await?;
        self.tell(outputs, socket).await?;
        let hash = format!("{:x}", self.hash.clone().finalize());
        socket.send(self.results.metadata(self.seconds, &hash)).await?;
        Err(End::close(code, reason))
    }
}
