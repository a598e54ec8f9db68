//! How a session's words are written.

use super::Session;
use crate::config::Units;
use crate::search::{Constraint, Word};
use crate::text::{Around, Sentence, Shaping, SpokenWord, Written};
use crate::transcript::{Final, TimedWord, join};

/// A word as it is said, of one or more pieces.
struct Spoken {
    word: String,
    start_s: f64,
    end_s: f64,
    pieces: usize,
}

impl Spoken {
    fn as_word(&self) -> SpokenWord<'_> {
        SpokenWord { word: &self.word, start_s: self.start_s, end_s: self.end_s }
    }
}

impl Session {
    /// Words as they are said; pieces that make one are joined.
    fn spoken(&self, words: &[Word]) -> Vec<Spoken> {
        let pieces = self.recognizer.config().units == Units::Bpe;
        let mut spoken: Vec<Spoken> = Vec::with_capacity(words.len());
        for &word in words {
            let (start_s, end_s) = self.span_s(word);
            match spoken.last_mut() {
                Some(begun) if pieces && !self.recognizer.tokens.is_word_start(word.id) => {
                    begun.word.push_str(self.text(word));
                    begun.end_s = end_s;
                    begun.pieces += 1;
                }
                _ => {
                    let word = if pieces {
                        self.recognizer.tokens.detokenise([word.id])
                    } else {
                        self.text(word).to_owned()
                    };
                    spoken.push(Spoken { word, start_s, end_s, pieces: 1 });
                }
            }
        }
        spoken
    }

    /// A segment of `words`, which are `timed` and which those `after` follow; and whether its last sentence goes on.
    pub(super) fn segment(
        &self,
        words: &[Word],
        timed: Vec<TimedWord>,
        after: &[Word],
    ) -> (Final, bool) {
        let (written, goes_on) = self.written(words, &timed, after);
        let text = if self.shaping == Shaping::default() {
            self.joined(words)
        } else {
            join(written.iter().map(|w| w.word.as_str()))
        };
        let segment = Final {
            text,
            result: self.told(timed),
            written: self.told(written),
            tags: self.tags(words),
            time: self.stream_s(self.time_s()),
            ..Final::default()
        };
        (segment, goes_on)
    }

    /// What a grammar tells of its phrase.
    fn tags(&self, words: &[Word]) -> Vec<String> {
        let Constraint::Grammar(grammar) = &self.constraint else { return Vec::new() };
        grammar.tags(&words.iter().map(|word| grammar.word(word.id)).collect::<Vec<_>>())
    }

    /// The same words, which are `timed`, as they are written; and whether their last sentence goes on.
    fn written(
        &self,
        words: &[Word],
        timed: &[TimedWord],
        after: &[Word],
    ) -> (Vec<TimedWord>, bool) {
        if self.shaping == Shaping::default() {
            return (Vec::new(), false);
        }
        let (own, next) = (self.spoken(words), self.spoken(after));
        let own_words: Vec<_> = own.iter().map(Spoken::as_word).collect();
        let after: Vec<_> = next.iter().map(Spoken::as_word).collect();
        let around = Around { goes_on: self.sentence == Sentence::GoesOn, after: &after };
        let (shaped, goes_on) =
            self.shaping.shape(&own_words, around, self.recognizer.punctuator());
        let (mut own, mut timed) = (own.iter(), timed.iter());
        let written = shaped.into_iter().filter_map(|Written { text: word, words }| {
            let pieces = own.by_ref().take(words).map(|w| w.pieces).sum();
            let mut parts = timed.by_ref().take(pieces);
            let first = parts.next()?;
            let conf = |least: f32, w: &TimedWord| least.min(w.conf);
            let (end, conf) =
                parts.fold((first.end, first.conf), |(_, least), w| (w.end, conf(least, w)));
            Some(TimedWord { word, start: first.start, end, conf })
        });
        (written.collect(), goes_on)
    }
}
