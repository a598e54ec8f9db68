//! `OpenAI`'s Realtime interface, for transcription only: audio is appended as base64, text comes as deltas that are never taken back.

mod config;
mod turns;

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::super::Server;
use super::super::appended::Appended;
use super::super::limits::SlotGuard;
use super::super::pcm::Intake;
use super::super::scheduler::{Input, Output};
use super::super::socket::{Frame, Hung, Socket, code};
use super::super::stream::{Gone, Stream};
use config::Config;
use turns::Turns;

/// The shortest audio that can be committed.
const MIN_COMMIT_S: f64 = 0.1;

/// Why a conversation ends.
enum End {
    Hung,
    Close(u16, String),
}

impl From<Hung> for End {
    fn from(_: Hung) -> Self {
        Self::Hung
    }
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Close(code::FAULT, "the recogniser failed".into())
    }
}

/// What is wrong with a client's event; the session goes on.
struct Fault {
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
    };
    let end = match talk.tell_session("created", &mut socket).await {
        Ok(()) => loop {
            let step = match talk.next(&mut socket).await {
                Ok(Next::Frame(frame)) => talk.obey(frame, &mut socket).await,
                Ok(Next::Output(output)) => talk.tell(vec![output], &mut socket).await,
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
                return Err(End::Close(code::REFUSED, "nothing was sent for too long".into()));
            }
            Frame::Refused(code, reason) => return Err(End::Close(code, reason.into())),
            Frame::Binary(_) => {
                return Err(End::Close(code::UNSUPPORTED, "events are text".into()));
            }
            Frame::Stop => {
                if self.uncommitted_s > 0.0 {
                    self.commit(socket).await?;
                }
                return Err(End::Close(code::RESTART, "the server stops".into()));
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
                    if self.uncommitted_s > 0.0 {
                        self.commit(socket).await?;
                    }
                    (self.stream, self.intake, self.seconds) = (None, self.config.intake(), 0.0);
                    self.turns.begin(0.0);
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
                (self.stream, self.intake) = (None, self.config.intake());
                (self.uncommitted_s, self.seconds) = (0.0, 0.0);
                self.turns.begin(0.0);
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
        let most = self.server.settings.limits.seconds;
        if self.seconds > most {
            let reason = format!("more than {most} seconds of audio");
            return Err(End::Close(code::REFUSED, reason).into());
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let refuse = |reason: String| fault("invalid_value", reason);
                let ask = self.config.ask();
                let options = self.server.options(&ask).await.map_err(refuse)?;
                let opened = self.server.pool.open(rate_hz, &options);
                self.turns.appended = Appended::new(self.server.makes_text_anew(&ask));
                none.insert(opened.map_err(|error| refuse(error.to_string()))?)
            }
        };
        let mut outputs = Vec::new();
        stream.send_audio(&samples, &mut outputs).await?;
        Ok(self.tell(outputs, socket).await?)
    }

    async fn tell(&mut self, outputs: Vec<Output>, socket: &mut Socket) -> Result<(), End> {
        for output in outputs {
            let refuse = |reason| End::Close(code::REFUSED, reason);
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

    /// Ends the turn here: all that was said until now is told.
    async fn commit(&mut self, socket: &mut Socket) -> Result<(), End> {
        let mut outputs = Vec::new();
        if let Some(stream) = &mut self.stream {
            stream.send(Input::Cut, &mut outputs).await?;
            stream.drain(&mut outputs).await?;
        }
        let seconds = self.uncommitted_s;
        self.turns.ask_to_end();
        self.tell(outputs, socket).await?;
        self.uncommitted_s = 0.0;
        for event in self.turns.end(seconds, self.seconds) {
            socket.send(event).await?;
        }
        Ok(())
    }
}
