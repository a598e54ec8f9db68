//! Choices of a stream as an object of JSON, with the names that [`StreamOptions`] has.

use serde::Deserialize;
use vivavoce::{AfterEndpoint, EndpointOptions, Error, Result, SearchKind, StreamOptions};

/// Words or a grammar, and the name that messages give them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "Written")]
pub struct List {
    /// In messages.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// A list as it may be written: bare text, lines, or text with a name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Lines(Vec<String>),
    Named { name: String, text: String },
}

impl From<Written> for List {
    fn from(written: Written) -> Self {
        let (name, text) = match written {
            Written::Text(text) => (None, text),
            Written::Lines(lines) => (None, lines.join("\n")),
            Written::Named { name, text } => (Some(name), text),
        };
        Self { name: name.unwrap_or_else(|| "(list)".into()), text }
    }
}

/// Where segments end: `true` for the usual rules, or what differs from them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum Endpoints {
    Wanted(bool),
    Chosen(Rules),
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rules {
    silence_s: Option<f32>,
    after_speech_s: Option<f32>,
    utterance_s: Option<f32>,
    reset: Option<bool>,
    sleep: Option<bool>,
    pre_roll_s: Option<f32>,
    voice_threshold: Option<f32>,
}

/// Choices of a stream. What is absent or `null` is as the model or the library has it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    latency: Option<String>,
    search: Option<String>,
    beam: Option<usize>,
    lm_weight: Option<f32>,
    word_bonus: Option<f32>,
    pub(crate) hotwords: Option<List>,
    pub(crate) grammar: Option<List>,
    unknown_cost: Option<f32>,
    digits: Option<bool>,
    punctuate: Option<bool>,
    alternatives: Option<usize>,
    pub(crate) partials: Option<bool>,
    endpoints: Option<Endpoints>,
}

/// Sets what is there.
macro_rules! set {
    ($target:ident, $from:ident: $($name:ident)*) => {
        $(if let Some(value) = $from.$name {
            $target = $target.$name(value);
        })*
    };
}

impl Options {
    /// Reads them; an empty text chooses nothing.
    ///
    /// # Errors
    /// [`Error::Config`] if it is no object, or names an option that there is not.
    pub fn parse(json: &str) -> Result<Self> {
        if json.trim().is_empty() {
            return Ok(Self::default());
        }
        let refuse = |reason: String| Error::Config { field: "options".into(), reason };
        if !json.trim_start().starts_with('{') {
            return Err(refuse("not an object of JSON".into()));
        }
        serde_json::from_str(json).map_err(|e| refuse(e.to_string()))
    }

    /// All but the lists. `sleep` says whether the network sleeps in silence if nothing is said of it.
    pub(crate) fn stream(&self, sleep: bool) -> Result<StreamOptions> {
        let mut options = StreamOptions::default()
            .latency(self.latency.clone())
            .search(search(self.search.as_deref())?)
            .beam_size(self.beam)
            .lm_weight(self.lm_weight)
            .word_bonus(self.word_bonus)
            .unknown_cost(self.unknown_cost)
            .endpoints(self.endpoints(sleep));
        set!(options, self: digits punctuate alternatives partials);
        Ok(options)
    }

    fn endpoints(&self, sleep: bool) -> Option<EndpointOptions> {
        let mut rules = EndpointOptions::default().sleep(sleep);
        let chosen = match &self.endpoints {
            Some(Endpoints::Wanted(false)) => return None,
            None | Some(Endpoints::Wanted(true)) => return Some(rules),
            Some(Endpoints::Chosen(chosen)) => chosen,
        };
        set!(rules, chosen: silence_s after_speech_s utterance_s sleep pre_roll_s voice_threshold);
        if let Some(reset) = chosen.reset {
            rules = rules.after(if reset { AfterEndpoint::Reset } else { AfterEndpoint::Keep });
        }
        Some(rules)
    }
}

fn search(name: Option<&str>) -> Result<SearchKind> {
    match name {
        None | Some("beam") => Ok(SearchKind::Beam),
        Some("tokens") => Ok(SearchKind::Tokens),
        Some("greedy") => Ok(SearchKind::Greedy),
        Some(other) => {
            let reason = format!("{other:?} is not beam, tokens or greedy");
            Err(Error::Config { field: "search".into(), reason })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_set_and_the_rest_is_the_librarys() {
        let json = r#"{"latency": "low", "beam": 8, "digits": true, "alternatives": 3,
            "endpoints": {"after_speech_s": 0.5, "reset": true}}"#;
        let expected = StreamOptions::default()
            .latency("low".to_owned())
            .beam_size(8)
            .digits(true)
            .alternatives(3)
            .endpoints(
                EndpointOptions::default()
                    .after_speech_s(0.5)
                    .after(AfterEndpoint::Reset)
                    .sleep(false),
            );
        assert_eq!(Options::parse(json).unwrap().stream(false).unwrap(), expected);
        let usual = StreamOptions::default().endpoints(EndpointOptions::default());
        assert_eq!(Options::parse(" ").unwrap().stream(true).unwrap(), usual);
        let none = Options::parse(r#"{"endpoints": false, "beam": null}"#).unwrap();
        assert_eq!(none.stream(true).unwrap(), StreamOptions::default());
    }

    #[test]
    fn lists_are_text_lines_or_named() {
        for (json, name, text) in [
            (r#"{"hotwords": "a\nb"}"#, "(list)", "a\nb"),
            (r#"{"hotwords": ["a", "b : 2"]}"#, "(list)", "a\nb : 2"),
            (r#"{"hotwords": {"name": "n.txt", "text": "a"}}"#, "n.txt", "a"),
        ] {
            let list = Options::parse(json).unwrap().hotwords.unwrap();
            assert_eq!((list.name.as_str(), list.text.as_str()), (name, text));
        }
    }

    #[test]
    fn what_there_is_not_is_refused() {
        for (json, what) in [
            (r#"{"beems": 1}"#, "beems"),
            (r#"{"endpoints": {"silence": 1}}"#, "endpoints"),
            (r#"{"beam": -1}"#, "-1"),
            ("[]", "options"),
            ("{", "options"),
        ] {
            let message = Options::parse(json).unwrap_err().to_string();
            assert!(message.contains("options"), "{message}");
            assert!(message.contains(what) || what == "endpoints", "{message}");
        }
        let odd = Options::parse(r#"{"search": "best"}"#).unwrap();
        assert!(odd.stream(true).unwrap_err().to_string().contains("best"));
    }
}
