//! Answers as Vosk writes them.

use serde_json::{Map, Value, json};
use vivavoce::transcript::{Event, Final, Partial, TimedWord, text_of};

use super::super::scheduler::Output;

/// What answers are to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Words with times.
    pub words: bool,
    /// Other readings.
    pub alternatives: bool,
    /// Which words of a partial result are confirmed.
    pub detail: bool,
}

/// What came of one message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    finals: Vec<Final>,
    partial: Partial,
    /// Whether it must be a result though nothing ended.
    end: bool,
}

impl Answer {
    /// Adds what an input has brought.
    ///
    /// # Errors
    /// Why the stream is over.
    pub fn hear(&mut self, output: Output) -> Result<(), String> {
        for event in output.events {
            match event {
                Event::Final(segment) => self.finals.push(segment),
                Event::Error(error) => return Err(error.to_string()),
                _ => {}
            }
        }
        self.partial = output.partial;
        Ok(())
    }

    /// Adds what came later.
    pub fn add(&mut self, later: Self) {
        self.finals.extend(later.finals);
        self.partial = later.partial;
    }

    /// Makes it a result.
    pub fn end(&mut self) {
        self.end = true;
    }

    /// As JSON. No value but a text is ever empty, since some clients look for `""`.
    pub fn text(&self, style: Style) -> String {
        if self.finals.is_empty() && !self.end {
            return self.partial(style).to_string();
        }
        let text = text_of(&self.finals);
        let words: Vec<Value> = self.finals.iter().flat_map(|f| &f.result).map(word).collect();
        let mut result = Map::new();
        if style.words && !words.is_empty() {
            result.insert("result".into(), words.into());
        }
        result.insert("text".into(), text.into());
        let tags: Vec<&str> =
            self.finals.iter().flat_map(|f| &f.tags).map(String::as_str).collect();
        if !tags.is_empty() {
            result.insert("tags".into(), tags.into());
        }
        if !style.alternatives {
            return Value::Object(result).to_string();
        }
        // Readings of several segments do not go together.
        let readings = match self.finals.as_slice() {
            [only] => only.alternatives.as_slice(),
            _ => &[],
        };
        let confidence = readings.first().map_or(1.0, |reading| reading.score);
        result.insert("confidence".into(), confidence.into());
        let others = readings
            .iter()
            .skip(1)
            .map(|reading| json!({"confidence": reading.score, "text": reading.text}));
        let all: Vec<Value> = std::iter::once(Value::Object(result)).chain(others).collect();
        json!({"alternatives": all}).to_string()
    }

    fn partial(&self, style: Style) -> Value {
        let mut value = json!({"partial": self.partial.partial});
        if style.detail {
            value["confirmed"] = self.partial.confirmed.as_str().into();
        }
        value
    }
}

fn word(word: &TimedWord) -> Value {
    let conf = (f64::from(word.conf) * 1e6).round() / 1e6;
    json!({"conf": conf, "end": word.end, "start": word.start, "word": word.word})
}

#[cfg(test)]
mod tests {
    use super::*;
    use vivavoce::transcript::Alternative;

    fn segment(words: &[&str]) -> Final {
        let mut segment = Final::default();
        segment.text = words.join(" ");
        segment.result.extend(words.iter().zip(0_u8..).map(|(text, i)| {
            let (mut word, start) = (TimedWord::default(), f64::from(i));
            (word.word, word.start, word.end, word.conf) =
                ((*text).into(), start, start + 0.5, 0.9);
            word
        }));
        segment
    }

    fn read(answer: &Answer, words: bool, alternatives: bool) -> Value {
        let style = Style { words, alternatives, detail: false };
        serde_json::from_str(&answer.text(style)).unwrap()
    }

    #[test]
    fn results_have_words_only_if_there_are_any_and_segments_are_joined() {
        let mut answer = Answer { finals: vec![segment(&["open", "the"])], ..Answer::default() };
        answer.add(Answer { finals: vec![segment(&["window"])], ..Answer::default() });
        let value = read(&answer, true, false);
        assert_eq!(value["text"], "open the window");
        assert_eq!(value["result"].as_array().unwrap().len(), 3);
        assert_eq!(
            value["result"][1],
            json!({"conf": 0.9, "end": 1.5, "start": 1.0, "word": "the"})
        );
        assert_eq!(read(&answer, false, false), json!({"text": "open the window"}));
        let nothing = Answer { end: true, ..Answer::default() };
        assert_eq!(read(&nothing, true, false), json!({"text": ""}));
        let expected = json!({"alternatives": [{"text": "", "confidence": 1.0}]});
        assert_eq!(read(&nothing, true, true), expected);
    }

    #[test]
    fn other_readings_follow_the_best() {
        let mut only = segment(&["open"]);
        let reading = |text: &str| {
            let mut reading = Alternative::default();
            (reading.text, reading.score, reading.confidence) = (text.into(), -2.0, 0.5);
            reading
        };
        only.alternatives = ["open", "often"].map(reading).into();
        let value = read(&Answer { finals: vec![only], ..Answer::default() }, true, true);
        assert_eq!(value["alternatives"][0]["result"][0]["word"], "open");
        assert_eq!(value["alternatives"][1], json!({"text": "often", "confidence": -2.0}));
    }

    #[test]
    fn a_partial_result_is_never_mixed_with_a_result() {
        let mut partial = Partial::default();
        (partial.partial, partial.confirmed) = ("open the".into(), "open".into());
        let answer = Answer { partial, ..Answer::default() };
        assert_eq!(read(&answer, true, true), json!({"partial": "open the"}));
        let style = Style { words: true, alternatives: false, detail: true };
        let detailed: Value = serde_json::from_str(&answer.text(style)).unwrap();
        assert_eq!(detailed, json!({"partial": "open the", "confirmed": "open"}));
        let result = read(&Answer { finals: vec![segment(&["open"])], ..answer }, true, false);
        assert!(result.get("partial").is_none());
    }
}
