//! What a client of vosk-server wants, as its message `config` says it.

use serde_json::{Map, Value};

use super::Defaults;
use super::answer::Style;
use crate::serve::ask::Ask;

/// The wishes of one client.
#[derive(Debug, Clone)]
pub struct Config {
    /// Of the stream.
    pub ask: Ask,
    /// Of the answers.
    pub style: Style,
    /// Of the samples, unless they say it themselves.
    pub rate_hz: u32,
}

impl Config {
    /// Of a client that has said nothing yet.
    pub fn new(defaults: &Defaults, ask: Ask) -> Self {
        let style =
            Style { words: defaults.words, alternatives: defaults.alternatives > 0, detail: false };
        let ask = Ask { alternatives: defaults.alternatives, ..ask };
        Self { ask, style, rate_hz: defaults.rate_hz }
    }

    /// Takes over what is told.
    ///
    /// # Errors
    /// The name of what cannot be understood.
    pub fn update<'a>(&mut self, told: &'a Map<String, Value>) -> Result<(), &'a str> {
        for (name, value) in told {
            self.set(name, value).ok_or(name.as_str())?;
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &Value) -> Option<()> {
        let flag = || value.as_bool().or(value.as_f64().map(|n| n != 0.0));
        let words = || {
            let list = value.as_array()?.iter().map(|word| word.as_str().map(str::to_owned));
            list.collect::<Option<Vec<_>>>()
        };
        match name {
            "sample_rate" => {
                let rate = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
                self.rate_hz = rate.filter(|rate| (8_000.0..=192_000.0).contains(rate))? as u32;
            }
            "words" => self.style.words = flag()?,
            "detail" => self.style.detail = flag()?,
            "punctuate" => self.ask.punctuate = Some(flag()?),
            "digits" => self.ask.digits = Some(flag()?),
            "max_alternatives" => {
                self.ask.alternatives = value.as_f64()?.max(0.0) as usize;
                self.style.alternatives = self.ask.alternatives > 0;
            }
            "latency" => self.ask.latency = Some(value.as_str()?.to_owned()),
            "phrase_list" => {
                self.ask.phrases = words()?;
                // How Vosk's grammars say that other speech may come; ours always expect it.
                self.ask.phrases.retain(|phrase| phrase != "[unk]");
            }
            "hotwords" => self.ask.hotwords = words()?,
            _ => {}
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_told_is_taken_over_and_what_cannot_be_understood_is_named() {
        let defaults = Defaults { rate_hz: 16_000, words: false, alternatives: 0 };
        let mut config = Config::new(&defaults, Ask::default());
        let told = json!({
            "sample_rate": " 8000 ", "words": 1, "max_alternatives": 3, "phrase_list": ["yes", "[unk]"], "future": [],
        });
        config.update(told.as_object().unwrap()).unwrap();
        assert_eq!((config.rate_hz, config.ask.alternatives), (8_000, 3));
        assert!(config.style.words && config.style.alternatives);
        assert_eq!(config.ask.phrases, ["yes"]);
        for (name, value) in [
            ("sample_rate", json!(7_999)),
            ("sample_rate", json!("fast")),
            ("words", json!("yes")),
            ("hotwords", json!(["a", 1])),
            ("latency", json!(1)),
            ("max_alternatives", json!(null)),
        ] {
            let told = Map::from_iter([(name.to_owned(), value)]);
            assert_eq!(config.update(&told), Err(name));
        }
    }
}
