//! The items of a conversation: each is what was said between two ends of speech, or between two commits.

use serde_json::{Value, json};
use vivavoce::transcript::Event;

use super::super::super::appended::Appended;
use super::super::super::scheduler::Output;

const TRANSCRIPTION: &str = "conversation.item.input_audio_transcription";

/// The items of one client.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Turns {
    /// What was told of the item.
    pub appended: Appended,
    /// Whether the client knows the item.
    open: bool,
    /// Where it began.
    start_s: f64,
    items: u64,
    events: u64,
    voice: bool,
    /// Whether the older shape is spoken.
    old: bool,
    /// Whether the client itself ends the item.
    asked: bool,
    ended: bool,
}

impl Turns {
    /// At the start of a session.
    pub fn new(old: bool) -> Self {
        Self { old, ..Self::default() }
    }

    /// Speaks the older shape, or not.
    pub fn set_old(&mut self, old: bool) {
        self.old = old;
    }

    /// Forgets the item; the next begins at `start_s`.
    pub fn begin(&mut self, start_s: f64) {
        if self.open {
            self.items += 1;
        }
        self.appended.clear();
        (self.open, self.start_s, self.asked) = (false, start_s, false);
    }

    /// An event with a name of its own.
    pub fn event(&mut self, kind: &str, mut value: Value) -> String {
        self.events += 1;
        value["type"] = kind.into();
        value["event_id"] = format!("event_{}", self.events).into();
        value.to_string()
    }

    /// The client ends the item: a segment's end is no end of it.
    pub fn ask_to_end(&mut self) {
        self.asked = true;
    }

    /// Whether an item has ended by itself since the last call.
    pub fn take_ended(&mut self) -> bool {
        std::mem::take(&mut self.ended)
    }

    /// What an output gives to tell; `detects`: ends of speech end the item.
    ///
    /// # Errors
    /// Why the stream is over.
    pub fn hear(&mut self, output: Output, detects: bool) -> Result<Vec<String>, String> {
        let mut events = Vec::new();
        let began = output.voice && !self.voice;
        self.voice = output.voice;
        if began && detects && !self.open {
            events.push(self.open(output.time_s));
        }
        for event in output.events {
            if let Event::Error(error) = &event {
                return Err(error.to_string());
            }
            if let Some(delta) = self.appended.hear(&event) {
                if detects && !self.open {
                    events.push(self.open(output.time_s));
                }
                self.open = true;
                let delta = json!({"item_id": self.item(), "content_index": 0, "delta": delta});
                events.push(self.event(&format!("{TRANSCRIPTION}.delta"), delta));
            }
            if let Event::Final(segment) = &event
                && detects
                && !self.asked
            {
                let end_s = segment.result.last().map_or(segment.time, |word| word.end);
                let stopped = json!({"audio_end_ms": ms(end_s), "item_id": self.item()});
                events.push(self.event("input_audio_buffer.speech_stopped", stopped));
                events.extend(self.end(segment.time - self.start_s, segment.time));
                self.ended = true;
            }
        }
        Ok(events)
    }

    fn open(&mut self, at_s: f64) -> String {
        self.open = true;
        let started = json!({"audio_start_ms": ms(at_s), "item_id": self.item()});
        self.event("input_audio_buffer.speech_started", started)
    }

    /// Ends the item, which has lasted for `seconds`, at `at_s`.
    pub fn end(&mut self, seconds: f64, at_s: f64) -> Vec<String> {
        let item = self.item();
        let before = self.items.checked_sub(1).map(|n| format!("item_{n}"));
        let committed = json!({"item_id": item, "previous_item_id": before});
        let content = json!([{"type": "input_audio", "transcript": null}]);
        let added = json!({
            "previous_item_id": before,
            "item": {
                "id": item, "object": "realtime.item", "type": "message", "status": "completed",
                "role": "user", "content": content,
            },
        });
        let added_kind =
            if self.old { "conversation.item.created" } else { "conversation.item.added" };
        let usage = json!({"type": "duration", "seconds": (seconds * 1000.0).round() / 1000.0});
        let completed = json!({
            "item_id": item, "content_index": 0, "transcript": self.appended.text(), "usage": usage,
        });
        let events = vec![
            self.event("input_audio_buffer.committed", committed),
            self.event(added_kind, added),
            self.event(&format!("{TRANSCRIPTION}.completed"), completed),
        ];
        self.open = true;
        self.begin(at_s);
        events
    }

    fn item(&self) -> String {
        format!("item_{}", self.items)
    }
}

fn ms(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1000.0).round() as u64
}
