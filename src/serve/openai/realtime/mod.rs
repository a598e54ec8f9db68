//! `OpenAI`'s Realtime interface, for transcription only: audio is appended as base64, text comes as deltas that are never taken back.

pub mod config;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep_until};

use super::super::Server;
use super::super::limits::SlotGuard;
use super::super::pcm::Intake;
use super::super::scheduler::{Input, Output};
use super::super::socket::{End, Frame, Hung, Socket, code};
use super::super::stream::{Gone, Stream};
use config::Config;
use turns::Turns;

/// The shortest audio that can be committed.
const MIN_COMMIT_S: f64 = 0.1;
/// Silence of a client, beyond what its audio lasts, after which nothing more belongs to what it committed.
const PATIENCE: Duration = Duration::from_millis(400);
/// The most that is waited for a client that sends much at once.
const MAX_PIECE_S: f64 = 1.2;

/// What is wrong with a client's event; the session goes on.
pub struct Fault {
    code: &'static str,
    message: String,
    param: Option<&'static str>,
}

fn fault(code: &'static str, message: impl Into<String>) -> Fault {
    Fault { code, message: message.into(), param: None }
}

/// What comes of a client's event.
enum Trouble {
    End(End),
    Fault(Fault),
}

impl From<End> for Trouble {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

impl From<Hung> for Trouble {
    fn from(hung: Hung) -> Self {
        Self::End(hung.into())
    }
}

impl From<Gone> for Trouble {
    fn from(gone: Gone) -> Self {
        Self::End(gone.into())
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Something to do.
enum Next {
    Frame(Frame),
    Output(Output),
    /// The client sends nothing after a commit.
    Quiet,
}

/// One client.
struct Talk {
    server: Arc<Server>,
    config: Config,
    intake: Intake,
    stream: Option<Stream>,
    turns: Turns,
    /// Audio of the stream, and what of it was not committed.
    seconds: f64,
    uncommitted_s: f64,
    /// When a client that goes on would have sent more.
    more_by: Instant,
}

/// Speaks with a client until it is done.
pub async fn talk(server: Arc<Server>, mut socket: Socket, old: bool, _slot: SlotGuard) {
    let config = Config::new(&server.settings.model, old);
    let mut talk = Talk {
        intake: config.intake(),
        turns: Turns::new(old),
        config,
        server,
        stream: None,
        seconds: 0.0,
        uncommitted_s: 0.0,
        more_by: Instant::now(),
    };
    let end = match talk.tell_session("created", &mut socket).await {
        Ok(()) => loop {
            let step = match talk.next(&mut socket).await {
                Ok(Next::Frame(frame)) => talk.obey(frame, &mut socket).await,
                Ok(Next::Output(output)) => talk.tell(vec![output], &mut socket).await,
                Ok(Next::Quiet) => talk.flush(&mut socket).await,
                Err(end) => Err(end),
            };
            if let Err(end) = step {
                break end;
            }
        },
        Err(end) => end,
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
            () = sleep_until(self.more_by), if self.turns.waits() => Ok(Next::Quiet),
        }
    }

    async fn tell_session(&mut self, what: &str, socket: &mut Socket) -> Result<(), End> {
        let kind = format!("{}.{what}", self.config.kind());
        let event = self.turns.event(&kind, json!({"session": self.config.session()}));
        Ok(socket.send(event).await?)
    }

    async fn obey(&mut self, frame: Frame, socket: &mut Socket) -> Result<(), End> {
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Closed => return Err(End::Hung),
            Frame::Idle => {
                return Err(End::close(code::REFUSED, "nothing was sent for too long"));
            }
            Frame::Refused(code, reason) => return Err(End::close(code, reason)),
            Frame::Binary(_) => {
                return Err(End::close(code::UNSUPPORTED, "events are text"));
            }
            Frame::Stop => {
                self.end_stream(socket).await?;
                return Err(End::close(code::RESTART, "the server stops"));
            }
        };
        let event: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
        let fault = match self.act(&event, socket).await {
            Ok(()) => return Ok(()),
            Err(Trouble::End(end)) => return Err(end),
            Err(Trouble::Fault(fault)) => fault,
        };
        let error = json!({
            "type": "invalid_request_error", "code": fault.code, "message": fault.message,
            "param": fault.param, "event_id": event.get("event_id"),
        });
        let event = self.turns.event("error", json!({"error": error}));
        Ok(socket.send(event).await?)
    }

    async fn act(
        &mut self,
        event: &Map<String, Value>,
        socket: &mut Socket,
    ) -> Result<(), Trouble> {
        match event.get("type").and_then(Value::as_str).unwrap_or_default() {
            kind @ ("session.update" | "transcription_session.update") => {
                let before = self.config.clone();
                self.config.update(event.get("session"), kind.starts_with('t'))?;
                self.turns.set_old(self.config.is_old());
                if before.sound() != self.config.sound() {
                    // What was heard so far is told; what comes is another stream.
                    self.end_stream(socket).await?;
                    self.forget();
                }
                Ok(self.tell_session("updated", socket).await?)
            }
            "input_audio_buffer.append" => {
                let audio = event.get("audio").and_then(Value::as_str);
                let audio =
                    audio.ok_or_else(|| fault("missing_required_parameter", "audio is missing"))?;
                let bytes = BASE64_STANDARD.decode(audio);
                let bytes = bytes.map_err(|_| fault("invalid_value", "audio is no base64"))?;
                self.hear(&bytes, socket).await
            }
            "input_audio_buffer.commit" => {
                if self.uncommitted_s < MIN_COMMIT_S {
                    let have = self.uncommitted_s * 1000.0;
                    let message = format!(
                        "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer only has {have:.2}ms of audio."
                    );
                    return Err(fault("input_audio_buffer_commit_empty", message).into());
                }
                Ok(self.commit(socket).await?)
            }
            "input_audio_buffer.clear" => {
                if self.turns.waits() {
                    self.flush(socket).await?;
                }
                self.forget();
                let event = self.turns.event("input_audio_buffer.cleared", json!({}));
                Ok(socket.send(event).await?)
            }
            "" => Err(fault("invalid_event", "an event without a type, or no JSON object").into()),
            kind => {
                let message = format!("{kind:?} is no event of a transcription session");
                Err(Fault { code: "invalid_value", message, param: Some("type") }.into())
            }
        }
    }

    async fn hear(&mut self, bytes: &[u8], socket: &mut Socket) -> Result<(), Trouble> {
        let samples = self.intake.take(bytes).map_err(|reason| fault("invalid_value", reason))?;
        let rate_hz = self.intake.rate_hz();
        let seconds = samples.len() as f64 / f64::from(rate_hz);
        (self.seconds, self.uncommitted_s) = (self.seconds + seconds, self.uncommitted_s + seconds);
        let wait = PATIENCE + Duration::from_secs_f64(seconds.min(MAX_PIECE_S));
        self.more_by = Instant::now() + wait;
        let most = self.server.settings.limits.seconds;
        if self.seconds > most {
            let reason = format!("more than {most} seconds of audio");
            return Err(End::close(code::REFUSED, reason).into());
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let refuse = |reason: String| fault("invalid_value", reason);
                let ask = self.config.ask();
                let options = self.server.options(&ask).await.map_err(refuse)?;
                let opened = self.server.pool.open(rate_hz, &options);
                self.turns.begin(self.server.makes_text_anew(&ask));
                none.insert(opened.map_err(|error| refuse(error.to_string()))?)
            }
        };
        let mut outputs = Vec::new();
        stream.send_audio(&samples, &mut outputs).await?;
        Ok(self.tell(outputs, socket).await?)
    }

    async fn tell(&mut self, outputs: Vec<Output>, socket: &mut Socket) -> Result<(), End> {
        for output in outputs {
            let refuse = |reason: String| End::close(code::REFUSED, reason);
            let events = self.turns.hear(output, self.config.detects()).map_err(refuse)?;
            for event in events {
                socket.send(event).await?;
            }
            if self.turns.take_ended() {
                self.uncommitted_s = 0.0;
            }
        }
        Ok(())
    }

    /// Ends the item here. The stream goes on: the item waits for the words that were being said.
    async fn commit(&mut self, socket: &mut Socket) -> Result<(), End> {
        let mut outputs = Vec::new();
        if let Some(stream) = &mut self.stream {
            stream.drain(&mut outputs).await?;
        }
        self.tell(outputs, socket).await?;
        let seconds = std::mem::take(&mut self.uncommitted_s);
        for event in self.turns.commit(seconds, self.seconds) {
            socket.send(event).await?;
        }
        Ok(())
    }

    /// Nothing more comes for the items that wait: the last word is let out, as at the end of a recording.
    async fn flush(&mut self, socket: &mut Socket) -> Result<(), End> {
        let mut outputs = Vec::new();
        if let Some(stream) = &mut self.stream {
            stream.send(Input::Cut, &mut outputs).await?;
            stream.drain(&mut outputs).await?;
        }
        self.turns.wait_for_all();
        self.tell(outputs, socket).await?;
        for event in self.turns.all_heard() {
            socket.send(event).await?;
        }
        Ok(())
    }

    /// Tells what was heard until now.
    async fn end_stream(&mut self, socket: &mut Socket) -> Result<(), End> {
        if self.uncommitted_s > 0.0 {
            self.commit(socket).await?;
        }
        if self.turns.waits() { self.flush(socket).await } else { Ok(()) }
    }

    /// What comes now is another stream.
    fn forget(&mut self) {
        (self.stream, self.intake) = (None, self.config.intake());
        (self.uncommitted_s, self.seconds) = (0.0, 0.0);
        self.turns.begin(false);
    }
}
