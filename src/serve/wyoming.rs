//! Wyoming, which Home Assistant speaks: events over TCP, each a line of JSON, more JSON behind it, and bytes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::Server;
use super::appended::Appended;
use super::ask::Ask;
use super::connections::stopped;
use super::limits::SlotGuard;
use super::pcm::{Encoding, Intake};
use super::scheduler::{Input, Output};
use super::stream::Stream;
use vivavoce::transcript::Event;

/// The line of an event.
const MAX_LINE_BYTES: u64 = 64 * 1024;
/// The JSON behind it, and the bytes.
const MAX_DATA_BYTES: usize = 1024 * 1024;
/// For a client that does not read.
const WRITE: Duration = Duration::from_secs(10);

/// An event.
#[derive(Debug)]
pub struct Message {
    /// What it is.
    pub kind: String,
    /// What it says.
    pub data: Map<String, Value>,
    /// Sound.
    pub payload: Vec<u8>,
}

/// What a client says between `audio-start` and `audio-stop`.
struct Utterance {
    stream: Stream,
    intake: Intake,
    appended: Appended,
    /// Rate, width and channels, which must not change.
    layout: (u64, u64, u64),
    seconds: f64,
    _slot: SlotGuard,
}

/// Serves until the server stops.
pub async fn accept(listener: TcpListener, server: Arc<Server>) {
    let mut stop = server.stop.clone();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&server.callers).try_acquire_owned() else {
            server.metrics.refuse("connections");
            continue;
        };
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let mut stop = server.stop.clone();
            tokio::select! {
                () = stopped(&mut stop) => {}
                talked = talk(server, stream) => if let Err(error) = talked {
                    tracing::debug!(protocol = "wyoming", %error, "a connection ended");
                },
            }
            drop(place);
        });
    }
}

async fn talk(server: Arc<Server>, stream: TcpStream) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut utterance: Option<Utterance> = None;
    loop {
        let idle = server.settings.limits.idle;
        let Some(message) = timeout(idle, read(&mut reader)).await?? else { return Ok(()) };
        let done = match message.kind.as_str() {
            "describe" => write(&mut writer, "info", &info(&server)).await.map(|()| None),
            "ping" => {
                let text = message.data.get("text").cloned().unwrap_or_default();
                write(&mut writer, "pong", &json!({ "text": text })).await.map(|()| None)
            }
            "audio-start" => match begin(&server, &message).await {
                Ok(begun) => {
                    utterance = Some(begun);
                    write(&mut writer, "transcript-start", &json!({"language": "en"}))
                        .await
                        .map(|()| None)
                }
                Err(reason) => Ok(Some(reason)),
            },
            "audio-chunk" => match &mut utterance {
                Some(utterance) => hear(&server, utterance, &message, &mut writer).await,
                None => Ok(Some("audio-chunk before audio-start".into())),
            },
            "audio-stop" => match utterance.take() {
                Some(utterance) => finish(utterance, &mut writer).await.map(|()| None),
                None => Ok(Some("audio-stop before audio-start".into())),
            },
            _ => Ok(None),
        };
        if let Some(reason) = done? {
            utterance = None;
            let data = json!({"text": reason, "code": "refused"});
            write(&mut writer, "error", &data).await?;
        }
    }
}

fn layout(data: &Map<String, Value>) -> (u64, u64, u64) {
    let number =
        |name: &str, otherwise| data.get(name).and_then(Value::as_u64).unwrap_or(otherwise);
    (number("rate", 16_000), number("width", 2), number("channels", 1))
}

async fn begin(server: &Arc<Server>, message: &Message) -> Result<Utterance, String> {
    let layout = layout(&message.data);
    if layout.1 != 2 || !(8_000..=192_000).contains(&layout.0) || !(1..=64).contains(&layout.2) {
        return Err(
            "audio of 2 bytes a sample, 8000 to 192000 Hz and 1 to 64 channels is wanted".into()
        );
    }
    let slot = server.slots.take("wyoming").ok_or("all streams are taken")?;
    let ask = Ask::default();
    let options = server.options(&ask).await?;
    let stream = server.pool.open(layout.0 as u32, &options).map_err(|error| error.to_string())?;
    Ok(Utterance {
        stream,
        intake: Intake::bare(Encoding::S16, layout.2 as usize, layout.0 as u32),
        appended: Appended::new(server.makes_text_anew(&ask)),
        layout,
        seconds: 0.0,
        _slot: slot,
    })
}

/// Why it ends, if it does.
type Refused = Option<String>;

async fn hear(
    server: &Server,
    utterance: &mut Utterance,
    message: &Message,
    writer: &mut OwnedWriteHalf,
) -> anyhow::Result<Refused> {
    if layout(&message.data) != utterance.layout {
        return Ok(Some("audio whose rate, width or channels change".into()));
    }
    let samples = utterance.intake.take(&message.payload).map_err(anyhow::Error::msg)?;
    utterance.seconds += samples.len() as f64 / f64::from(utterance.intake.rate_hz());
    if utterance.seconds > server.settings.limits.seconds {
        return Ok(Some("too long".into()));
    }
    let mut outputs = Vec::new();
    let gone = |_| anyhow::anyhow!("the recogniser failed");
    utterance.stream.send_audio(&samples, &mut outputs).await.map_err(gone)?;
    utterance.stream.drain(&mut outputs).await.map_err(gone)?;
    tell(&mut utterance.appended, outputs, writer).await?;
    Ok(None)
}

async fn tell(
    appended: &mut Appended,
    outputs: Vec<Output>,
    writer: &mut OwnedWriteHalf,
) -> anyhow::Result<()> {
    for event in outputs.into_iter().flat_map(|output| output.events) {
        if let Event::Error(error) = &event {
            anyhow::bail!("{error}");
        }
        if let Some(text) = appended.hear(&event) {
            write(writer, "transcript-chunk", &json!({ "text": text })).await?;
        }
    }
    Ok(())
}

async fn finish(mut utterance: Utterance, writer: &mut OwnedWriteHalf) -> anyhow::Result<()> {
    let mut outputs = Vec::new();
    let gone = |_| anyhow::anyhow!("the recogniser failed");
    utterance.stream.send(Input::Finish, &mut outputs).await.map_err(gone)?;
    utterance.stream.drain(&mut outputs).await.map_err(gone)?;
    tell(&mut utterance.appended, outputs, writer).await?;
    let text = utterance.appended.text();
    write(writer, "transcript", &json!({"text": text, "language": "en"})).await?;
    write(writer, "transcript-stop", &json!({})).await
}

fn info(server: &Server) -> Value {
    let by = json!({"name": "vivavoce", "url": ""});
    let version = env!("CARGO_PKG_VERSION");
    let model = json!({
        "name": server.settings.model, "description": "Streaming recognition", "version": version,
        "installed": true, "attribution": by, "languages": ["en"],
    });
    json!({
        "asr": [{
            "name": "vivavoce", "description": "Text while you are still speaking",
            "version": version, "installed": true, "attribution": by, "models": [model],
            "supports_transcript_streaming": true, "requires_external_vad": true,
            "prefers_auto_gain_enabled": true, "prefers_noise_reduction_enabled": true,
        }],
        "tts": [], "handle": [], "intent": [], "wake": [], "mic": [], "snd": [],
    })
}

/// The next message; none at the end.
///
/// # Errors
/// What is wrong with it.
pub async fn read(reader: &mut (impl AsyncBufRead + Unpin)) -> anyhow::Result<Option<Message>> {
    let mut line = Vec::new();
    (&mut *reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    anyhow::ensure!(line.ends_with(b"\n"), "a line too long");
    let mut head: Map<String, Value> = serde_json::from_slice(&line)?;
    let length = |name: &str| -> anyhow::Result<usize> {
        let bytes = head.get(name).and_then(Value::as_u64).unwrap_or(0) as usize;
        anyhow::ensure!(bytes <= MAX_DATA_BYTES, "{bytes} bytes are too many");
        Ok(bytes)
    };
    let (data_length, payload_length) = (length("data_length")?, length("payload_length")?);
    let mut data = match head.remove("data") {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    };
    if data_length > 0 {
        let mut bytes = vec![0; data_length];
        reader.read_exact(&mut bytes).await?;
        data.extend(serde_json::from_slice::<Map<String, Value>>(&bytes)?);
    }
    let mut payload = vec![0; payload_length];
    reader.read_exact(&mut payload).await?;
    let kind = head.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Some(Message { kind, data, payload }))
}

async fn write(writer: &mut OwnedWriteHalf, kind: &str, data: &Value) -> anyhow::Result<()> {
    let data = data.to_string();
    let version = env!("CARGO_PKG_VERSION");
    let head = json!({"type": kind, "version": version, "data_length": data.len()});
    timeout(WRITE, writer.write_all(format!("{head}\n{data}").as_bytes())).await??;
    Ok(())
}
