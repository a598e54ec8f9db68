//! The protocol of vosk-server: one answer for each message of audio, no more and no less. Clients send, then wait; a second answer
//! would shift all that follow.

mod answer;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Server;
use super::ask::Ask;
use super::limits::SlotGuard;
use super::pcm::Intake;
use super::scheduler::{Input, Output};
use super::socket::{End, Frame, Socket, code};
use super::stream::Stream;
use answer::{Answer, Style};

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
    ask: Ask,
    style: Style,
    intake: Intake,
    stream: Option<Stream>,
    seconds: f64,
}

/// Speaks with a client until it is done.
pub async fn talk(server: Arc<Server>, mut socket: Socket, ask: Ask, slot: Option<SlotGuard>) {
    let Some(_slot) = slot else { return socket.close(code::FULL, "all streams are taken").await };
    let defaults = &server.settings.vosk;
    let mut talk = Talk {
        ask: Ask { alternatives: defaults.alternatives, ..ask },
        style: Style {
            words: defaults.words,
            alternatives: defaults.alternatives > 0,
            detail: false,
        },
        intake: Intake::sniffing(defaults.rate_hz),
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
                Ok(socket.send(answer.text(self.style)).await?)
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
            return Ok(socket.send(answer.text(self.style)).await?);
        }
        match told.get("config") {
            Some(Value::Object(config)) if self.stream.is_none() => self.configure(config),
            _ => Ok(()),
        }
    }

    fn configure(&mut self, config: &Map<String, Value>) -> Result<(), End> {
        let refuse = |name: &str| End::close(code::REFUSED, format!("config: a bad {name}"));
        for (name, value) in config {
            let flag = || value.as_bool().or(value.as_f64().map(|n| n != 0.0));
            let words = || {
                let list = value.as_array()?.iter().map(|word| word.as_str().map(str::to_owned));
                list.collect::<Option<Vec<_>>>()
            };
            match name.as_str() {
                "sample_rate" => {
                    let rate = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
                    let rate = rate.filter(|rate| (8_000.0..=192_000.0).contains(rate));
                    let rate = rate.ok_or_else(|| refuse("sample_rate"))? as u32;
                    self.intake = Intake::sniffing(rate);
                }
                "words" => self.style.words = flag().ok_or_else(|| refuse(name))?,
                "detail" => self.style.detail = flag().ok_or_else(|| refuse(name))?,
                "punctuate" => self.ask.punctuate = Some(flag().ok_or_else(|| refuse(name))?),
                "digits" => self.ask.digits = Some(flag().ok_or_else(|| refuse(name))?),
                "max_alternatives" => {
                    let most = value.as_f64().ok_or_else(|| refuse(name))?;
                    self.ask.alternatives = most.max(0.0) as usize;
                    self.style.alternatives = self.ask.alternatives > 0;
                }
                "latency" => {
                    let mode = value.as_str().ok_or_else(|| refuse(name))?;
                    self.ask.latency = Some(mode.to_owned());
                }
                "phrase_list" => {
                    self.ask.phrases = words().ok_or_else(|| refuse(name))?;
                    // How Vosk's grammars say that other speech may come; ours always expect it.
                    self.ask.phrases.retain(|phrase| phrase != "[unk]");
                }
                "hotwords" => self.ask.hotwords = words().ok_or_else(|| refuse(name))?,
                _ => {}
            }
        }
        Ok(())
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
                let options = self.server.options(&self.ask).await.map_err(refuse)?;
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
        Ok(socket.send(answer.text(self.style)).await?)
    }
}

fn answer_of(outputs: Vec<Output>) -> Result<Answer, End> {
    let mut answer = Answer::default();
    for output in outputs {
        answer.hear(output).map_err(|reason| End::close(code::REFUSED, reason))?;
    }
    Ok(answer)
}
