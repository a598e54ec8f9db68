//! The protocol of vosk-server: one answer for each message of audio, no more and no less. Clients send, then wait; a second answer
//! would shift all that follow.

mod answer;
pub mod config;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Server;
use super::ask::Ask;
use super::limits::SlotGuard;
use super::pcm::Intake;
use super::scheduler::{Input, Output};
use super::socket::{End, Frame, Socket, code};
use super::stream::Stream;
use answer::Answer;
use config::Config;

/// A longer binary message that begins like an object is sound all the same.
const MAX_EOF_BYTES: usize = 64;

/// What the server takes for granted where a client says nothing.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// Rate of the samples.
    pub rate_hz: u32,
    /// Whether words have times.
    pub words: bool,
    /// Other readings.
    pub alternatives: usize,
}

/// One client.
struct Talk {
    server: Arc<Server>,
    config: Config,
    intake: Intake,
    stream: Option<Stream>,
    seconds: f64,
}

/// Speaks with a client until it is done.
pub async fn talk(server: Arc<Server>, mut socket: Socket, ask: Ask, slot: Option<SlotGuard>) {
    let Some(_slot) = slot else { return socket.close(code::FULL, "all streams are taken").await };
    let config = Config::new(&server.settings.vosk, ask);
    let mut talk = Talk {
        intake: Intake::sniffing(config.rate_hz),
        config,
        stream: None,
        seconds: 0.0,
        server,
    };
    let end = loop {
        let frame = socket.recv().await;
        if let Err(end) = talk.obey(frame, &mut socket).await {
            break end;
        }
    };
    match end {
        End::Hung => tracing::debug!(protocol = "vosk", seconds = talk.seconds, "gone"),
        End::Close(code, reason) => {
            tracing::debug!(protocol = "vosk", seconds = talk.seconds, code, reason, "closing");
            drop(talk);
            socket.close(code, &reason).await;
        }
    }
}

impl Talk {
    async fn obey(&mut self, frame: Frame, socket: &mut Socket) -> Result<(), End> {
        match frame {
            Frame::Closed => Err(End::Hung),
            Frame::Refused(code, reason) => Err(End::close(code, reason)),
            Frame::Idle => Err(End::close(code::REFUSED, "nothing was sent for too long")),
            Frame::Stop => {
                self.finish(socket).await?;
                Err(End::close(code::RESTART, "the server stops"))
            }
            Frame::Text(text) => {
                let told = serde_json::from_str::<Map<String, Value>>(&text);
                let told =
                    told.map_err(|_| End::close(code::UNSUPPORTED, "text that is no JSON object"))?;
                self.told(&told, socket).await
            }
            Frame::Binary(bytes) => {
                let short = bytes.len() <= MAX_EOF_BYTES && bytes.starts_with(b"{");
                if let Some(told) = short.then(|| serde_json::from_slice(&bytes).ok()).flatten() {
                    return self.told(&told, socket).await;
                }
                let answer = self.hear(&bytes).await?;
                Ok(socket.send(answer.text(self.config.style)).await?)
            }
        }
    }

    async fn told(&mut self, told: &Map<String, Value>, socket: &mut Socket) -> Result<(), End> {
        if told.contains_key("eof") {
            self.finish(socket).await?;
            return Err(End::close(code::NORMAL, ""));
        }
        if told.contains_key("reset") {
            let mut outputs = Vec::new();
            if let Some(stream) = &mut self.stream {
                stream.send(Input::Cut, &mut outputs).await?;
                stream.drain(&mut outputs).await?;
            }
            let mut answer = answer_of(outputs)?;
            answer.end();
            return Ok(socket.send(answer.text(self.config.style)).await?);
        }
        match told.get("config") {
            Some(Value::Object(config)) if self.stream.is_none() => {
                let refused =
                    |name: &str| End::close(code::REFUSED, format!("config: a bad {name}"));
                self.config.update(config).map_err(refused)?;
                if config.contains_key("sample_rate") {
                    self.intake = Intake::sniffing(self.config.rate_hz);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn hear(&mut self, bytes: &[u8]) -> Result<Answer, End> {
        let samples =
            self.intake.take(bytes).map_err(|reason| End::close(code::UNSUPPORTED, reason))?;
        if !self.intake.is_known() {
            return Ok(Answer::default());
        }
        self.hear_samples(&samples).await
    }

    async fn hear_samples(&mut self, samples: &[f32]) -> Result<Answer, End> {
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
                let options = self.server.options(&self.config.ask).await.map_err(refuse)?;
                let opened = self.server.pool.open(rate_hz, &options);
                none.insert(opened.map_err(|error| refuse(error.to_string()))?)
            }
        };
        let mut outputs = Vec::new();
        // Without samples it still tells what is known.
        if samples.is_empty() {
            stream.send(Input::Audio(Vec::new()), &mut outputs).await?;
        }
        stream.send_audio(samples, &mut outputs).await?;
        stream.drain(&mut outputs).await?;
        answer_of(outputs)
    }

    /// Tells the last result.
    async fn finish(&mut self, socket: &mut Socket) -> Result<(), End> {
        let rest = self.intake.finish();
        let mut answer =
            if rest.is_empty() { Answer::default() } else { self.hear_samples(&rest).await? };
        if let Some(stream) = &mut self.stream {
            let mut outputs = Vec::new();
            stream.send(Input::Finish, &mut outputs).await?;
            stream.drain(&mut outputs).await?;
            answer.add(answer_of(outputs)?);
        }
        answer.end();
        Ok(socket.send(answer.text(self.config.style)).await?)
    }
}

fn answer_of(outputs: Vec<Output>) -> Result<Answer, End> {
    let mut answer = Answer::default();
    for output in outputs {
        answer.hear(output).map_err(|reason| End::close(code::REFUSED, reason))?;
    }
    Ok(answer)
}
