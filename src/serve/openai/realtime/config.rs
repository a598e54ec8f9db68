//! The configuration of a session, in today's shape and in the older one. Only what an update names changes.

use serde_json::{Map, Value, json};

use super::super::super::ask::Ask;
use super::super::super::pcm::{Encoding, Intake};
use super::{Fault, fault};

/// What clients send that say nothing.
const RATE_HZ: u32 = 24_000;
const SILENCE_MS: f64 = 500.0;

/// How a session is configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    id: String,
    old: bool,
    encoding: Encoding,
    rate_hz: u32,
    transcription: Value,
    /// None: the client ends turns.
    detection: Option<Map<String, Value>>,
    noise_reduction: Value,
    include: Value,
}

impl Config {
    /// As nobody has said anything.
    pub fn new(model: &str, old: bool) -> Self {
        let detection = json!({
            "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300,
            "silence_duration_ms": SILENCE_MS,
        });
        Self {
            id: format!("sess_{}", super::super::super::access::random_id()),
            old,
            encoding: Encoding::S16,
            rate_hz: RATE_HZ,
            transcription: json!({"model": model, "language": "en", "prompt": ""}),
            detection: detection.as_object().cloned(),
            noise_reduction: Value::Null,
            include: json!([]),
        }
    }

    /// Whether the older shape is spoken.
    pub fn is_old(&self) -> bool {
        self.old
    }

    /// What events of the session are called.
    pub fn kind(&self) -> &'static str {
        if self.old { "transcription_session" } else { "session" }
    }

    /// Whether ends of speech end turns.
    pub fn detects(&self) -> bool {
        self.detection.is_some()
    }

    /// What takes the bytes.
    pub fn intake(&self) -> Intake {
        Intake::bare(self.encoding, 1, self.rate_hz)
    }

    /// What the stream is to be like.
    pub fn ask(&self) -> Ask {
        let silence = self.detection.as_ref().and_then(|d| d.get("silence_duration_ms")?.as_f64());
        let delay = self.transcription["delay"].as_str();
        let latency = match delay {
            Some("minimal" | "low") => Some("low"),
            Some("high" | "xhigh") => Some("accurate"),
            _ => None,
        };
        Ask {
            after_speech_s: silence.map(|ms| (ms / 1000.0) as f32),
            latency: latency.map(str::to_owned),
            ..Ask::default()
        }
    }

    /// All that a stream depends on.
    pub fn sound(&self) -> (Encoding, u32, Ask) {
        (self.encoding, self.rate_hz, self.ask())
    }

    /// The whole of it, for the client.
    pub fn session(&self) -> Value {
        if self.old {
            return json!({
                "id": self.id, "object": "realtime.transcription_session",
                "input_audio_format": self.name(true),
                "input_audio_transcription": self.transcription, "turn_detection": self.detection,
                "input_audio_noise_reduction": self.noise_reduction, "include": self.include,
                "expires_at": 0,
            });
        }
        let mut format = json!({"type": self.name(false)});
        if self.encoding == Encoding::S16 {
            format["rate"] = self.rate_hz.into();
        }
        json!({
            "type": "transcription", "object": "realtime.transcription_session", "id": self.id,
            "audio": {"input": {
                "format": format, "noise_reduction": self.noise_reduction,
                "transcription": self.transcription, "turn_detection": self.detection,
            }},
            "include": self.include, "expires_at": 0,
        })
    }

    fn name(&self, old: bool) -> &'static str {
        match (self.encoding, old) {
            (Encoding::S16, true) => "pcm16",
            (Encoding::MuLaw, true) => "g711_ulaw",
            (Encoding::ALaw, true) => "g711_alaw",
            (Encoding::S16, false) => "audio/pcm",
            (Encoding::MuLaw, false) => "audio/pcmu",
            (Encoding::ALaw, false) => "audio/pcma",
        }
    }

    /// Changes what `session` names.
    ///
    /// # Errors
    /// What it has wrong; nothing is changed then.
    pub fn update(&mut self, session: Option<&Value>, old: bool) -> Result<(), Fault> {
        let Some(Value::Object(session)) = session else {
            return Err(fault("missing_required_parameter", "session is missing"));
        };
        let mut new = self.clone();
        new.old = self.old || old;
        if let Some(include) = session.get("include").filter(|include| include.is_array()) {
            new.include = include.clone();
        }
        let flat = [
            ("input_audio_transcription", "transcription"),
            ("input_audio_noise_reduction", "noise_reduction"),
            ("turn_detection", "turn_detection"),
            ("input_audio_format", "format"),
        ];
        for (name, field) in flat {
            if let Some(value) = session.get(name) {
                new.set(field, value)?;
            }
        }
        let input =
            session.get("audio").and_then(|audio| audio.get("input")).and_then(Value::as_object);
        for (name, value) in input.into_iter().flatten() {
            new.set(name, value)?;
        }
        *self = new;
        Ok(())
    }

    fn set(&mut self, field: &str, value: &Value) -> Result<(), Fault> {
        match field {
            "format" => self.set_format(value)?,
            "noise_reduction" => self.noise_reduction = value.clone(),
            "transcription" => {
                let language = value["language"].as_str().unwrap_or("en");
                if !(language.is_empty() || language == "en" || language.starts_with("en-")) {
                    let message = format!("the language {language:?} is not supported; en is");
                    return Err(fault("invalid_value", message));
                }
                if let (Some(have), Some(new)) =
                    (self.transcription.as_object_mut(), value.as_object())
                {
                    have.extend(new.clone());
                }
            }
            "turn_detection" => match value {
                Value::Null => self.detection = None,
                Value::Object(new) => {
                    self.detection.get_or_insert_default().extend(new.clone());
                }
                _ => return Err(fault("invalid_value", "turn_detection is no object")),
            },
            _ => {}
        }
        Ok(())
    }

    fn set_format(&mut self, value: &Value) -> Result<(), Fault> {
        let name = value.as_str().or_else(|| value["type"].as_str()).unwrap_or_default();
        let (encoding, rate_hz) = match name {
            "audio/pcm" | "pcm16" => (Encoding::S16, RATE_HZ),
            "audio/pcmu" | "g711_ulaw" => (Encoding::MuLaw, 8_000),
            "audio/pcma" | "g711_alaw" => (Encoding::ALaw, 8_000),
            _ => return Err(fault("invalid_value", format!("{name:?} is no known format"))),
        };
        let rate_hz = match value.get("rate") {
            Some(rate) => rate.as_u64().and_then(|rate| u32::try_from(rate).ok()).unwrap_or(0),
            None => rate_hz,
        };
        if !(8_000..=192_000).contains(&rate_hz) {
            return Err(fault("invalid_value", "the rate is not in 8000..=192000"));
        }
        (self.encoding, self.rate_hz) = (encoding, rate_hz);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_changes_in_either_shape() {
        let mut config = Config::new("m", false);
        let update = json!({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}, "turn_detection": null}}});
        assert!(config.update(Some(&update), false).is_ok());
        assert_eq!((config.intake().rate_hz(), config.detects()), (16_000, false));
        let session = config.session();
        assert_eq!(session["audio"]["input"]["transcription"]["language"], "en");
        assert_eq!(session["audio"]["input"]["turn_detection"], Value::Null);

        let mut old = Config::new("m", true);
        let update = json!({"input_audio_format": "g711_ulaw", "turn_detection": {"silence_duration_ms": 700}});
        assert!(old.update(Some(&update), true).is_ok());
        assert_eq!((old.kind(), old.intake().rate_hz()), ("transcription_session", 8_000));
        assert_eq!(old.session()["turn_detection"]["threshold"], 0.5);
        assert_eq!(old.ask().after_speech_s, Some(0.7));
        assert!(old.update(Some(&json!({"input_audio_format": "mp3"})), true).is_err());
        assert_eq!(old.session()["input_audio_format"], "g711_ulaw");
    }
}
