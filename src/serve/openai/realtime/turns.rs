//! The items of a conversation: each is what was said between two ends of speech, or between two commits.
//!
//! A commit does not touch the stream: an item that ends in the middle of speech gets the words that stood in the partial result
//! then, once they are confirmed, and whatever comes later belongs to the next. So no word is cut in two or lost, however often a
//! client commits.

use std::collections::VecDeque;

use serde_json::{Value, json};
use vivavoce::transcript::{Event, Partial};

use super::super::super::appended::Appended;
use super::super::super::scheduler::Output;

const TRANSCRIPTION: &str = "conversation.item.input_audio_transcription";

/// An item that was committed and still waits for words.
#[derive(Debug, Clone, Default, PartialEq)]
struct Item {
    id: u64,
    text: String,
    /// Words of the stream at its end; none: not known before the segment is over.
    until: Option<usize>,
    seconds: f64,
}

/// The items of one client.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Turns {
    /// What was told of the stream.
    appended: Appended,
    finals_only: bool,
    /// Words of the stream that were told, and those of them that belong to its segment.
    words: usize,
    segment_words: usize,
    waiting: VecDeque<Item>,
    /// The item that is being spoken.
    text: String,
    id: u64,
    /// Whether the client knows it.
    open: bool,
    /// Where it began.
    start_s: f64,
    events: u64,
    voice: bool,
    /// Whether the older shape is spoken.
    old: bool,
    ended: bool,
    partial: Partial,
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

    /// A stream begins; the item that was being spoken is forgotten. `finals_only`: see [`Appended`].
    pub fn begin(&mut self, finals_only: bool) {
        self.id += u64::from(self.open);
        (self.open, self.start_s, self.voice, self.finals_only) = (false, 0.0, false, finals_only);
        (self.words, self.segment_words) = (0, 0);
        (self.text, self.partial) = (String::new(), Partial::default());
        self.appended = Appended::new(finals_only);
    }

    /// An event with a name of its own.
    pub fn event(&mut self, kind: &str, mut value: Value) -> String {
        self.events += 1;
        value["type"] = kind.into();
        value["event_id"] = format!("event_{}", self.events).into();
        value.to_string()
    }

    /// Whether an item has ended by itself since the last call.
    pub fn take_ended(&mut self) -> bool {
        std::mem::take(&mut self.ended)
    }

    /// Whether items wait for words.
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
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
            events.push(self.start(output.time_s));
        }
        for event in output.events {
            if let Event::Error(error) = &event {
                return Err(error.to_string());
            }
            if let Some(added) = self.appended.hear(&event) {
                let began = self.open || !detects;
                let deltas = self.allot(&added);
                if self.open && !began {
                    events.push(self.start(output.time_s));
                }
                events.extend(deltas);
            }
            let Event::Final(segment) = &event else { continue };
            self.segment_words = 0;
            if detects {
                events.extend(self.all_heard());
                if !self.open {
                    continue;
                }
                let end_s = segment.result.last().map_or(segment.time, |word| word.end);
                let stopped = json!({"audio_end_ms": ms(end_s), "item_id": name(self.id)});
                events.push(self.event("input_audio_buffer.speech_stopped", stopped));
                events.extend(self.commit(segment.time - self.start_s, segment.time));
                events.extend(self.all_heard());
                self.ended = true;
            }
        }
        self.partial = output.partial;
        while let Some(until) = self.waiting.front().and_then(|item| item.until)
            && until <= self.words
        {
            let item = self.waiting.pop_front();
            events.extend(item.map(|item| self.completed(&item)));
        }
        // A segment that is over without as many words as it seemed to have.
        if self.partial.partial.is_empty() && !self.voice && self.segment_words == 0 {
            events.extend(self.all_heard());
        }
        Ok(events)
    }

    /// Gives words that were confirmed to the items that they belong to.
    fn allot(&mut self, added: &str) -> Vec<String> {
        let first = self.words == 0;
        let mut deltas: Vec<(u64, String)> = Vec::new();
        for (i, word) in added.split_whitespace().enumerate() {
            // Pieces may go on with a word that was begun.
            let begins = first || i > 0 || added.starts_with(' ');
            self.words += usize::from(begins);
            self.segment_words += usize::from(begins);
            let words = self.words;
            let fits = |item: &&mut Item| item.until.is_none_or(|until| words <= until);
            let (id, text) = if let Some(item) = self.waiting.iter_mut().find(fits) {
                (item.id, &mut item.text)
            } else {
                self.open = true;
                (self.id, &mut self.text)
            };
            let between = if begins && !text.is_empty() { " " } else { "" };
            let delta = format!("{between}{word}");
            text.push_str(&delta);
            match deltas.last_mut() {
                Some((last, text)) if *last == id => text.push_str(&delta),
                _ => deltas.push((id, delta)),
            }
        }
        let events = deltas.into_iter().map(|(id, delta)| {
            let delta = json!({"item_id": name(id), "content_index": 0, "delta": delta});
            self.event(&format!("{TRANSCRIPTION}.delta"), delta)
        });
        events.collect()
    }

    fn start(&mut self, at_s: f64) -> String {
        self.open = true;
        let started = json!({"audio_start_ms": ms(at_s), "item_id": name(self.id)});
        self.event("input_audio_buffer.speech_started", started)
    }

    /// Ends the item, which has lasted for `seconds`, at `at_s`; it waits for the words that are not yet confirmed.
    pub fn commit(&mut self, seconds: f64, at_s: f64) -> Vec<String> {
        let said = self.partial.partial.split_whitespace().count();
        let until = self.words + said.saturating_sub(self.segment_words);
        let until = (!self.finals_only).then_some(until);
        let item = Item { id: self.id, text: std::mem::take(&mut self.text), until, seconds };
        let before = self.id.checked_sub(1).map(name);
        let committed = json!({"item_id": name(item.id), "previous_item_id": before});
        let content = json!([{"type": "input_audio", "transcript": null}]);
        let added = json!({
            "previous_item_id": before,
            "item": {
                "id": name(item.id), "object": "realtime.item", "type": "message",
                "status": "completed", "role": "user", "content": content,
            },
        });
        let added_kind =
            if self.old { "conversation.item.created" } else { "conversation.item.added" };
        self.waiting.push_back(item);
        self.id += 1;
        (self.open, self.start_s) = (false, at_s);
        vec![self.event("input_audio_buffer.committed", committed), self.event(added_kind, added)]
    }

    /// All that the waiting items can have was told.
    pub fn all_heard(&mut self) -> Vec<String> {
        let items = std::mem::take(&mut self.waiting);
        items.iter().map(|item| self.completed(item)).collect()
    }

    /// What follows belongs to the last waiting item, however much it is.
    pub fn wait_for_all(&mut self) {
        if let Some(item) = self.waiting.back_mut() {
            item.until = None;
        }
    }

    fn completed(&mut self, item: &Item) -> String {
        let seconds = (item.seconds * 1000.0).round() / 1000.0;
        let usage = json!({"type": "duration", "seconds": seconds});
        let completed = json!({
            "item_id": name(item.id), "content_index": 0, "transcript": item.text, "usage": usage,
        });
        self.event(&format!("{TRANSCRIPTION}.completed"), completed)
    }
}

fn name(id: u64) -> String {
    format!("item_{id}")
}

fn ms(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1000.0).round() as u64
}
