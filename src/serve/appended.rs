//! Text for protocols that only ever add: confirmed words, and what a final result adds to them.

use vivavoce::transcript::Event;

/// What was sent of a text that only grows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appended {
    /// Of the segment.
    segment: String,
    /// All that was sent.
    text: String,
    /// Whether only final results are sent, because their text is made anew (digits, sentence ends).
    finals_only: bool,
}

impl Appended {
    /// Nothing was sent.
    pub fn new(finals_only: bool) -> Self {
        Self { finals_only, ..Self::default() }
    }

    /// All that was sent.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What an event adds to the text.
    pub fn hear(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Partial(partial) if !self.finals_only => self.grow(&partial.confirmed),
            Event::Final(segment) => {
                let added = self.grow(&segment.text);
                self.segment.clear();
                added
            }
            _ => None,
        }
    }

    /// The segment's text is now `all`, which begins with what it was.
    fn grow(&mut self, all: &str) -> Option<String> {
        let Some(added) = all.strip_prefix(self.segment.as_str()) else {
            tracing::error!(all, sent = self.segment, "a confirmed word was taken back");
            return None;
        };
        if added.is_empty() {
            return None;
        }
        let between = self.segment.is_empty() && !self.text.is_empty();
        let added = if between { format!(" {added}") } else { added.to_owned() };
        all.clone_into(&mut self.segment);
        self.text.push_str(&added);
        Some(added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vivavoce::transcript::{Final, Partial};

    fn partial(confirmed: &str) -> Event {
        let mut partial = Partial::default();
        partial.confirmed = confirmed.into();
        Event::Partial(partial)
    }

    fn last(text: &str) -> Event {
        let mut segment = Final::default();
        segment.text = text.into();
        Event::Final(segment)
    }

    #[test]
    fn what_is_sent_joins_to_the_text() {
        let mut appended = Appended::new(false);
        let events = [
            partial(""),
            partial("open"),
            partial("open the"),
            partial("open the"),
            last("open the window"),
            partial("please"),
            last("please"),
        ];
        let sent: Vec<_> = events.iter().filter_map(|event| appended.hear(event)).collect();
        assert_eq!(sent, ["open", " the", " window", " please"]);
        assert_eq!(appended.text(), "open the window please");
    }

    #[test]
    fn text_that_is_made_anew_comes_with_the_result() {
        let mut appended = Appended::new(true);
        assert_eq!(appended.hear(&partial("twenty one")), None);
        assert_eq!(appended.hear(&last("21")).as_deref(), Some("21"));
        assert_eq!(appended.hear(&last("Yes.")).as_deref(), Some(" Yes."));
    }
}
