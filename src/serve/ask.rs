//! What a client asks of its stream, and what it costs.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;
use vivavoce::StreamOptions;

use super::Server;

/// Bytes of all hotwords or phrases of a stream.
const MAX_LIST_BYTES: usize = 64 * 1024;
/// Other readings of a segment.
const MAX_ALTERNATIVES: usize = 10;
/// Lists that are made ready at once.
pub const LISTS_AT_ONCE: usize = 2;
/// Until a list can be made ready.
const TURN: Duration = Duration::from_secs(10);
/// The shortest silence that ends a segment.
const MIN_SILENCE_S: f32 = 0.1;

/// Wishes of a client; what it does not say is as the server was told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ask {
    /// Name of a latency mode.
    pub latency: Option<String>,
    /// Words to expect.
    pub hotwords: Vec<String>,
    /// The only phrases to expect.
    pub phrases: Vec<String>,
    /// Other readings.
    pub alternatives: usize,
    /// Sentence ends, commas and capitals.
    pub punctuate: Option<bool>,
    /// Digits for numbers.
    pub digits: Option<bool>,
    /// Silence that ends a segment.
    pub after_speech_s: Option<f32>,
    /// Whether a recording is heard to its end rather than a stream that may be silent for hours.
    pub recording: bool,
}

impl Server {
    /// Options of a stream for `ask`.
    ///
    /// # Errors
    /// What cannot be done, for the client.
    pub async fn options(&self, ask: &Ask) -> Result<StreamOptions, String> {
        let settings = &self.settings;
        let mut endpoints = settings.endpoints.clone();
        if let Some(seconds) = ask.after_speech_s {
            if !seconds.is_finite() {
                return Err("a silence of no length".into());
            }
            let seconds = seconds.max(MIN_SILENCE_S);
            endpoints = endpoints.map(|endpoints| endpoints.after_speech_s(seconds));
        }
        if ask.recording {
            endpoints = endpoints.map(|endpoints| endpoints.sleep(false));
        }
        let mut options = settings.stream.clone().endpoints(endpoints);
        options = options.alternatives(ask.alternatives.min(MAX_ALTERNATIVES));
        if let Some(mode) = &ask.latency {
            options = options.latency(mode.clone());
        }
        if let Some(punctuate) = ask.punctuate {
            options = options.punctuate(punctuate);
        }
        if let Some(digits) = ask.digits {
            options = options.digits(digits);
        }
        self.check_list(&ask.hotwords)?;
        self.check_list(&ask.phrases)?;
        if ask.hotwords.is_empty() && ask.phrases.is_empty() {
            return Ok(options);
        }
        let ask = ask.clone();
        let recognizer = self.recognizer.clone();
        // Nobody holds a place for long who only waits for his list.
        let turn = timeout(TURN, self.lists.acquire()).await;
        let turn = turn.map_err(|_| "too many lists are being made ready; try again later")?;
        let _turn = turn.map_err(|_| "the server stops")?;
        let made = tokio::task::spawn_blocking(move || {
            if !ask.hotwords.is_empty() {
                let list = ask.hotwords.join("\n");
                options = options.hotwords(recognizer.hotwords("hotwords", &list)?);
            }
            if !ask.phrases.is_empty() {
                let list = ask.phrases.join("\n");
                options = options.grammar(recognizer.grammar("phrases", &list)?);
            }
            Ok::<_, vivavoce::Error>(options)
        });
        match made.await {
            Ok(Ok(options)) => Ok(options),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the list cannot be used".into()),
        }
    }

    /// Whether the text of results is made anew out of the words that were confirmed.
    pub fn makes_text_anew(&self, ask: &Ask) -> bool {
        let (punctuates, digits) = self.settings.rewrites;
        ask.punctuate.unwrap_or(punctuates)
            || ask.digits.unwrap_or(digits)
            || !ask.phrases.is_empty()
    }

    fn check_list(&self, list: &[String]) -> Result<(), String> {
        let most = self.settings.limits.phrases;
        if list.len() > most {
            return Err(format!("{} words or phrases; at most {most} are allowed", list.len()));
        }
        if list.iter().map(String::len).sum::<usize>() > MAX_LIST_BYTES {
            return Err(format!("words or phrases of more than {MAX_LIST_BYTES} bytes"));
        }
        let odd = list.iter().find(|one| one.contains(['\n', '\r', '<', '#', ':', '=']));
        odd.map_or(Ok(()), |odd| Err(format!("{odd:?} is no phrase")))
    }
}

/// Lists are made ready a few at a time.
pub fn lists() -> Semaphore {
    Semaphore::new(LISTS_AT_ONCE)
}

/// The pairs of a query.
pub fn query(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let hex = |digit: &u8| char::from(*digit).to_digit(16);
        match (first, after) {
            (b'%', [high, low, after @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                let value = hex(high).unwrap_or(0) * 16 + hex(low).unwrap_or(0);
                bytes.push(value as u8);
                rest = after;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_taken_apart() {
        let pairs = query("a=1&b=x%20y+z&c&d=%e2%82%ac%zz&&=");
        let expected = [("a", "1"), ("b", "x y z"), ("c", ""), ("d", "\u{20ac}%zz"), ("", "")];
        assert_eq!(pairs, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }
}
