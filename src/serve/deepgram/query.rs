//! What a client asks for in the query. What the program lacks is refused, for whoever asked would miss it.

use super::super::ask::{Ask, query};
use super::super::pcm::{Encoding, Intake};

/// The shortest silence that ends a segment: less would cut words in two.
const MIN_ENDPOINTING_S: f32 = 0.3;
/// A day: no silence ends a segment.
const NEVER_S: f32 = 86_400.0;

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wishes {
    /// What the stream is to be like.
    pub ask: Ask,
    /// How bare samples are written; none: a file.
    audio: Option<(Encoding, usize, u32)>,
    /// Whether results come before they are final.
    pub interim: bool,
    /// Silence after which the end of an utterance is told.
    pub utterance_end_s: Option<f64>,
    /// Whether the beginning of speech is told.
    pub vad_events: bool,
    /// Whether a file's segments are listed.
    pub utterances: bool,
}

impl Wishes {
    /// Reads a query.
    ///
    /// # Errors
    /// What is wrong, or cannot be done.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut wishes = Self::default();
        let (mut encoding, mut channels, mut rate) = (None, 1, None);
        for (name, value) in query(text) {
            let yes = value == "true";
            let number =
                || value.parse::<u32>().map_err(|_| format!("{name}={value} is no number"));
            match name.as_str() {
                "encoding" => {
                    encoding = Some(match value.as_str() {
                        "linear16" => Encoding::S16,
                        "mulaw" => Encoding::MuLaw,
                        "alaw" => Encoding::ALaw,
                        _ => {
                            return Err(format!("encoding={value} is not linear16, mulaw or alaw"));
                        }
                    });
                }
                "sample_rate" => rate = Some(number()?),
                "channels" => channels = number()?.clamp(1, 64) as usize,
                "interim_results" => wishes.interim = yes,
                "vad_events" => wishes.vad_events = yes,
                "utterances" => wishes.utterances = yes,
                "utterance_end_ms" => wishes.utterance_end_s = Some(f64::from(number()?) / 1000.0),
                "endpointing" => {
                    wishes.ask.after_speech_s = match value.as_str() {
                        "false" => Some(NEVER_S),
                        "true" => None,
                        _ => Some((number()? as f32 / 1000.0).max(MIN_ENDPOINTING_S)),
                    }
                }
                "punctuate" => wishes.ask.punctuate = Some(yes),
                "numerals" => wishes.ask.digits = Some(yes),
                "smart_format" if yes => {
                    (wishes.ask.punctuate, wishes.ask.digits) = (Some(true), Some(true));
                }
                "keyterm" => wishes.ask.hotwords.push(value),
                // The boost is of another scale.
                "keywords" => {
                    let word = value.split(':').next().unwrap_or_default();
                    wishes.ask.hotwords.push(word.to_owned());
                }
                "language" | "detect_language"
                    if !(value == "en" || value.starts_with("en-") || value == "false") =>
                {
                    return Err(format!("{name}={value} is not supported; en is"));
                }
                "diarize" | "diarize_model" | "multichannel" | "redact" | "replace" | "search"
                | "detect_entities" | "profanity_filter" | "dictation" | "summarize" | "topics"
                | "intents" | "sentiment" | "paragraphs" | "callback"
                    if value != "false" =>
                {
                    return Err(format!("{name} is not supported"));
                }
                _ => {}
            }
        }
        if let Some(encoding) = encoding {
            let rate = rate.ok_or("encoding needs sample_rate")?;
            if !(8_000..=192_000).contains(&rate) {
                return Err(format!("sample_rate={rate} is not in 8000..=192000"));
            }
            wishes.audio = Some((encoding, channels, rate));
        }
        if wishes.utterance_end_s.is_some() && !wishes.interim {
            return Err("utterance_end_ms needs interim_results=true".into());
        }
        if wishes.utterance_end_s.is_some_and(|s| s < 1.0) {
            return Err("utterance_end_ms is less than 1000".into());
        }
        Ok(wishes)
    }

    /// What takes the bytes of a live stream.
    pub fn intake(&self) -> Intake {
        match self.audio {
            Some((Encoding::S16, 1, rate_hz)) => Intake::sniffing(rate_hz),
            Some((encoding, channels, rate_hz)) => Intake::bare(encoding, channels, rate_hz),
            None => Intake::sniffing(16_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacked_or_does_not_fit_is_refused() {
        for (query, reason) in [
            ("diarize=true", "diarize"),
            ("multichannel=true", "multichannel"),
            ("language=de", "language=de"),
            ("encoding=linear16", "sample_rate"),
            ("encoding=opus&sample_rate=16000", "encoding=opus"),
            ("encoding=linear16&sample_rate=10", "sample_rate=10"),
            ("utterance_end_ms=1000", "interim_results"),
            ("interim_results=true&utterance_end_ms=500", "1000"),
            ("endpointing=soon", "endpointing"),
        ] {
            let message = Wishes::read(query).unwrap_err();
            assert!(message.contains(reason), "{query}: {message}");
        }
        for fine in ["", "model=nova-3&language=en-US&diarize=false&tag=a&tag=b&mip_opt_out=true"] {
            assert_eq!(Wishes::read(fine).unwrap(), Wishes::default());
        }
    }

    #[test]
    fn what_is_had_is_understood() {
        let query = "encoding=mulaw&sample_rate=8000&interim_results=true&endpointing=10&smart_format=true&keyterm=new%20york\
                     &keywords=qi:2&utterance_end_ms=1500&vad_events=true";
        let wishes = Wishes::read(query).unwrap();
        assert_eq!(wishes.ask.hotwords, ["new york", "qi"]);
        assert_eq!(wishes.ask.after_speech_s, Some(MIN_ENDPOINTING_S));
        assert_eq!((wishes.ask.punctuate, wishes.ask.digits), (Some(true), Some(true)));
        assert_eq!(wishes.utterance_end_s, Some(1.5));
        assert_eq!((wishes.intake().rate_hz(), wishes.intake().is_known()), (8_000, true));
    }
}
