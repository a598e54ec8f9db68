//! What a session says.

use super::Session;
use crate::config::Units;
use crate::search::{Constraint, Word};
use crate::transcript::{Alternative, Final, Partial, TimedWord, join};

impl Session {
    /// Text of a word of this stream.
    pub fn text(&self, word: Word) -> &str {
        match &self.constraint {
            Constraint::Lexicon(lexicon) => lexicon.word(word.id),
            Constraint::Text(text) => text.word(word.id),
            Constraint::Free => self.recognizer.tokens.text(word.id).unwrap_or(""),
        }
    }

    fn joined<'a>(&self, words: impl IntoIterator<Item = &'a Word>) -> String {
        let words = words.into_iter();
        if self.lexical && self.recognizer.config().units == Units::Bpe {
            return self.recognizer.tokens.detokenise(words.map(|w| w.id));
        }
        join(words.map(|&w| self.text(w)))
    }

    /// Time at which the block before `block` of the segment ends in the audio.
    fn block_end_s(&self, block: u32) -> f32 {
        let frame_s = self.recognizer.config().encoder_frame_ms() / 1000.0;
        ((self.first_block + block as usize) * self.mode.block_frames) as f32 * frame_s
    }

    /// Audio since the block of the newest token of the best hypothesis, or since the segment began: for how long the network has
    /// had nothing to say. Audio that waits for its block counts as quiet.
    pub fn quiet_s(&self) -> f32 {
        let since = self.search.last_token_block().map_or(0, |block| block + 1);
        (self.time_s() - self.block_end_s(since)).max(0.0)
    }

    /// Whether there are words, confirmed or not, since the last [`Session::take_confirmed`].
    pub fn has_words(&self) -> bool {
        !self.confirmed.is_empty() || !self.tentative.is_empty()
    }

    /// A word with its times, which are those of its first and last block.
    pub fn timed(&self, word: Word) -> TimedWord {
        TimedWord {
            word: self.text(word).to_owned(),
            start: self.block_end_s(word.first_block).min(self.time_s()),
            end: self.block_end_s(word.last_block + 1).min(self.time_s()),
            conf: word.log_prob.exp().clamp(0.0, 1.0),
        }
    }

    /// What is known so far.
    pub fn partial(&self) -> Partial {
        let confirmed = self.joined(&self.confirmed);
        let tentative = self.joined(&self.tentative);
        let partial = self.joined(self.confirmed.iter().chain(&self.tentative));
        Partial { partial, confirmed, tentative, time: self.time_s() }
    }

    /// The result, with up to `alternatives` other readings; complete after [`Session::finish`].
    pub fn result(&self, alternatives: usize) -> Final {
        let others = if alternatives > 0 { self.search.n_best(alternatives) } else { Vec::new() };
        // Search knows the words that it has not yet handed out, or that the end settled.
        let common =
            &self.confirmed[..self.settled.unwrap_or(usize::MAX).min(self.confirmed.len())];
        Final {
            text: self.partial().partial,
            result: self.confirmed.iter().chain(&self.tentative).map(|&w| self.timed(w)).collect(),
            alternatives: others
                .into_iter()
                .map(|h| Alternative {
                    text: self.joined(common.iter().chain(&h.words)),
                    score: h.score,
                })
                .collect(),
            time: self.time_s(),
        }
    }

    /// The confirmed words alone, which are forgotten, as by [`Session::take_confirmed`]; the tentative ones stay.
    pub fn take_result(&mut self) -> Final {
        let text = self.joined(&self.confirmed);
        let result = self.confirmed.iter().map(|&word| self.timed(word)).collect();
        self.settled = self.settled.map(|_| 0);
        self.confirmed.clear();
        Final { text, result, alternatives: Vec::new(), time: self.time_s() }
    }
}
