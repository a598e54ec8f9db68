//! One stream over the socket of Vosk.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tungstenite::Message;

use super::Speech;

/// A server that says nothing for so long has lost the stream.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of a stream. Times in seconds.
#[derive(Debug, Default)]
pub struct Told {
    pub answers: Vec<f64>,
    pub words: Vec<f64>,
    pub last: Option<f64>,
    pub late: Vec<f64>,
    pub lost: Option<String>,
    pub different: Option<(String, String)>,
}

impl Told {
    /// A stream that did not come to its end.
    pub fn lost(reason: impl Into<String>) -> Self {
        Self { lost: Some(reason.into()), ..Self::default() }
    }
}

/// When the samples of a stream are due.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    begin: Instant,
    chunk: Duration,
    rate_hz: u32,
}

impl Schedule {
    fn step(&self) -> usize {
        ((f64::from(self.rate_hz) * self.chunk.as_secs_f64()) as usize).max(1)
    }

    /// When so many samples were spoken.
    fn spoken(&self, samples: usize) -> Instant {
        self.begin + Duration::from_secs_f64(samples as f64 / f64::from(self.rate_hz))
    }

    /// When the message is due that has the audio until `seconds`.
    fn due(&self, seconds: f64) -> Instant {
        let samples = (seconds * f64::from(self.rate_hz)).round().max(0.0) as usize;
        self.spoken(samples.div_ceil(self.step()) * self.step())
    }
}

/// The words of a segment as they are shown, each with the moment since which it stands.
#[derive(Debug, Default)]
struct Shown(Vec<(String, Instant)>);

impl Shown {
    fn partial(&mut self, text: &str, now: Instant) {
        let same = self.0.iter().zip(text.split_whitespace()).take_while(|(a, b)| a.0 == *b);
        let same = same.count();
        self.0.truncate(same);
        self.0.extend(text.split_whitespace().skip(same).map(|word| (word.to_owned(), now)));
    }

    /// Since when the words of a result stand, which are no longer shown afterwards.
    fn result(&mut self, words: &[Value], now: Instant) -> Vec<(f64, Instant)> {
        let since = words.iter().enumerate().map(|(i, word)| {
            let shown = self.0.get(i).filter(|shown| word["word"] == shown.0.as_str());
            (word["end"].as_f64().unwrap_or_default(), shown.map_or(now, |shown| shown.1))
        });
        let since = since.collect();
        self.0.drain(..words.len().min(self.0.len()));
        since
    }
}

/// Says a speech at its pace and notes when what comes back.
pub async fn talk(
    socket: WebSocketStream<TcpStream>,
    speech: Arc<Speech>,
    begin: Instant,
    chunk: Duration,
    rate_hz: u32,
) -> Told {
    let schedule = Schedule { begin, chunk, rate_hz };
    let (mut writer, mut reader) = socket.split();
    let (mut told, mut late) = (Told::default(), Vec::new());
    let messages = speech.samples.chunks(schedule.step());
    let sending = async {
        let config = json!({"config": {"sample_rate": rate_hz, "words": true}});
        writer.send(Message::text(config.to_string())).await?;
        let mut sent = 0;
        for samples in messages {
            sent += samples.len();
            let due = schedule.spoken(sent);
            sleep_until(due).await;
            let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            late.push(due.elapsed().as_secs_f64());
            writer.send(Message::binary(bytes)).await?;
        }
        writer.send(Message::text("{\"eof\": 1}")).await?;
        anyhow::Ok(())
    };
    let hearing = async {
        let (mut shown, mut texts, mut heard) = (Shown::default(), Vec::new(), 0);
        let (step, all) = (schedule.step(), speech.samples.len());
        loop {
            let message = timeout(PATIENCE, reader.next()).await;
            let message = message.map_err(|_| anyhow::anyhow!("no answer for a minute"))?;
            let answer: Value = match message.transpose()? {
                Some(Message::Text(text)) => serde_json::from_str(&text)?,
                Some(Message::Ping(_) | Message::Pong(_)) => continue,
                Some(Message::Close(Some(frame))) => {
                    anyhow::bail!("closed: {} {}", u16::from(frame.code), frame.reason)
                }
                _ => anyhow::bail!("the connection broke off"),
            };
            let now = Instant::now();
            if let Some(partial) = answer["partial"].as_str() {
                shown.partial(partial, now);
            }
            let words = answer["result"].as_array().map(Vec::as_slice).unwrap_or_default();
            for (end_s, since) in shown.result(words, now) {
                told.words.push(since.duration_since(schedule.due(end_s)).as_secs_f64());
            }
            texts
                .extend(answer["text"].as_str().filter(|text| !text.is_empty()).map(str::to_owned));
            let due = schedule.spoken((heard + step).min(all));
            if heard >= all {
                told.last = Some(due.elapsed().as_secs_f64());
                return Ok(texts.join(" "));
            }
            heard += step;
            told.answers.push(due.elapsed().as_secs_f64());
        }
    };
    let (sent, text) = tokio::join!(sending, hearing);
    told.late = late;
    // What the server said tells more than that nothing can be sent to it.
    match text.and_then(|text| sent.map(|()| text)) {
        Ok(text) if text == speech.text => {}
        Ok(text) => told.different = Some((speech.text.clone(), text)),
        Err(error) => told.lost = Some(format!("{error:#}")),
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_counts_since_it_stands_and_audio_is_due_with_its_message() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let schedule = Schedule { begin, chunk: Duration::from_millis(100), rate_hz: 16_000 };
        assert_eq!((schedule.step(), schedule.spoken(8_000)), (1_600, at(500)));
        assert_eq!(
            (schedule.due(0.25), schedule.due(0.3), schedule.due(0.0)),
            (at(300), at(300), begin)
        );

        let mut shown = Shown::default();
        shown.partial("open a", at(1));
        shown.partial("open the", at(2));
        shown.partial("open the win", at(3));
        let words = [("open", 0.5), ("the", 0.75), ("window", 1.0)]
            .map(|(word, end)| json!({"word": word, "end": end}));
        let since = shown.result(&words, at(4));
        assert_eq!(since, [(0.5, at(1)), (0.75, at(2)), (1.0, at(4))]);
        shown.partial("please do", at(5));
        assert_eq!(shown.result(&[json!({"word": "please", "end": 2.0})], at(6)), [(2.0, at(5))]);
        assert_eq!(shown.0, [("do".to_owned(), at(5))]);
    }
}
