//! What a session says.

use super::Session;
use crate::config::{NUM_EVIDENCE, Units};
use crate::error::{Error, Result};
use crate::recognizer::StreamOptions;
use crate::search::{Constraint, Word};
use crate::text::{Sentence, Shaping};
use crate::transcript::{Alternative, Final, Partial, TimedWord, join, to_ms};

/// No word is shorter.
const SHORTEST_WORD_S: f64 = 0.02;

/// Shares this near 0 or 1 are as good as these.
const NEARLY: f32 = 1e-3;

fn logit(share: f32) -> f32 {
    let share = share.clamp(NEARLY, 1.0 - NEARLY);
    (share / (1.0 - share)).ln()
}

/// Lets no word begin before the one before it ends, at `from` for the first, or last beyond `now`.
fn apart(mut words: Vec<TimedWord>, from: f64, now: f64) -> Vec<TimedWord> {
    let mut from = from;
    for word in &mut words {
        word.start = word.start.max(from).min(now);
        word.end = word.end.max(word.start + SHORTEST_WORD_S).min(now);
        from = word.end;
    }
    words
}

/// What speaks for a word (docs/model-format.md, `confidence`).
fn evidence(word: Word) -> [f32; NUM_EVIDENCE] {
    let tokens = word.num_tokens.max(1) as f32;
    [
        (word.log_prob / tokens).max(-10.0),
        word.lowest_log_prob.max(-10.0),
        logit(word.support),
        logit(word.lowest_support),
        tokens.ln(),
        word.lm_log_prob.max(-20.0) / 10.0,
        ((word.last_block - word.first_block + 1) as f32 / tokens).min(4.0),
    ]
}

impl Session {
    /// Numbers that speak for a word being right, which confidence is made of.
    #[doc(hidden)]
    pub fn evidence(&self, word: Word) -> [f32; NUM_EVIDENCE] {
        evidence(word)
    }

    /// Text of a word of this stream.
    #[doc(hidden)]
    pub fn text(&self, word: Word) -> &str {
        match &self.constraint {
            Constraint::Lexicon(lexicon) => lexicon.word(word.id),
            Constraint::Text(text) => text.word(word.id),
            Constraint::Grammar(grammar) => grammar.word(word.id),
            Constraint::Free => self.recognizer.tokens.text(word.id).unwrap_or(""),
        }
    }

    pub(super) fn joined<'a>(&self, words: impl IntoIterator<Item = &'a Word>) -> String {
        let words = words.into_iter();
        if self.lexical && self.recognizer.config().units == Units::Bpe {
            return self.recognizer.tokens.detokenise(words.map(|w| w.id));
        }
        join(words.map(|&w| self.text(w)))
    }

    /// Shapes the text of results as `options` say.
    pub(crate) fn shaped_by(mut self, options: &StreamOptions) -> Result<Self> {
        if options.punctuate && self.recognizer.punctuator().is_none() {
            let reason = "the model has no punctuation.bin; make it with training/punctuate.py";
            return Err(Error::Usage { reason: reason.into() });
        }
        // Bare tokens are no words.
        if self.lexical {
            self.shaping = Shaping { digits: options.digits, punctuate: options.punctuate };
        }
        Ok(self)
    }

    /// Duration of an encoder frame.
    fn frame_s(&self) -> f64 {
        f64::from(self.recognizer.config().encoder_frame_ms()) / 1000.0
    }

    /// A time of this session as one of its stream, to the millisecond.
    pub(super) fn stream_s(&self, time_s: f64) -> f64 {
        to_ms(time_s + self.skipped as f64 / f64::from(self.sample_rate_hz()))
    }

    /// Words in order, none of which begins before the one before it ends, in the times of the session.
    pub(super) fn parted<'a>(&self, words: impl Iterator<Item = &'a Word>) -> Vec<TimedWord> {
        apart(words.map(|&word| self.placed(word)).collect(), self.taken_end_s, self.time_s())
    }

    /// The same words in the times of the stream.
    pub(super) fn told(&self, mut words: Vec<TimedWord>) -> Vec<TimedWord> {
        for word in &mut words {
            (word.start, word.end) = (self.stream_s(word.start), self.stream_s(word.end));
        }
        words
    }

    /// Time at which the block before `block` of the segment ends in the audio.
    fn block_end_s(&self, block: u32) -> f64 {
        ((self.first_block + block as usize) * self.mode.block_frames) as f64 * self.frame_s()
    }

    /// Audio since the block of the newest token of the best hypothesis, or since the segment began: for how long the network has
    /// had nothing to say. Audio that waits for its block counts as quiet.
    #[doc(hidden)]
    pub fn quiet_s(&self) -> f64 {
        let since = self.search.last_token_block().map_or(0, |block| block + 1);
        (self.time_s() - self.block_end_s(since)).max(0.0)
    }

    /// Whether what was said is a whole phrase of a grammar.
    pub(crate) fn phrase_is_over(&self) -> bool {
        self.search.phrase_is_over()
    }

    /// Whether there are words, confirmed or not, since the last [`Session::take_confirmed`].
    #[doc(hidden)]
    pub fn has_words(&self) -> bool {
        !self.confirmed.is_empty() || !self.tentative.is_empty()
    }

    /// A word with its times and confidence.
    #[doc(hidden)]
    pub fn timed(&self, word: Word) -> TimedWord {
        let placed = self.placed(word);
        let (start, end) = (self.stream_s(placed.start), self.stream_s(placed.end));
        TimedWord { start, end, ..placed }
    }

    /// The same in the times of the session.
    fn placed(&self, word: Word) -> TimedWord {
        let (start, end) = self.span_s(word);
        TimedWord { word: self.text(word).to_owned(), start, end, conf: self.confidence(word) }
    }

    /// Start and end of a word.
    pub(super) fn span_s(&self, word: Word) -> (f64, f64) {
        let now = self.time_s();
        let (first, last) =
            (self.block_end_s(word.first_block), self.block_end_s(word.last_block + 1));
        let Some(times) = &self.recognizer.config().word_times else {
            return (first.min(now), last.min(now));
        };
        let frame_s = self.frame_s();
        let first_end = self.block_end_s(word.first_block + 1);
        let start = first_end
            + f64::from(word.start_place) * frame_s
            + f64::from(times.start_offset_ms) / 1000.0;
        let end =
            last + f64::from(word.end_place) * frame_s + f64::from(times.end_offset_ms) / 1000.0;
        let begin = self.block_end_s(0).min(now);
        let start = start.clamp(begin, now);
        (start, (end.max(start + SHORTEST_WORD_S)).clamp(begin, now.max(start)))
    }

    /// Probability that a word is right.
    fn confidence(&self, word: Word) -> f32 {
        match &self.recognizer.config().confidence {
            Some(c) => {
                let evidence = evidence(word);
                let sum: f32 = evidence.iter().zip(&c.weights).map(|(e, w)| e * w).sum();
                1.0 / (1.0 + (-c.intercept - sum).exp())
            }
            None => word.log_prob.exp().clamp(0.0, 1.0),
        }
    }

    /// What is known so far.
    pub fn partial(&self) -> Partial {
        let confirmed = self.joined(&self.confirmed);
        let tentative = self.joined(&self.tentative);
        let partial = self.joined(self.confirmed.iter().chain(&self.tentative));
        Partial { partial, confirmed, tentative, time: self.stream_s(self.time_s()) }
    }

    /// The best `n` hypotheses of a stream that is over, with the tokens of all words.
    #[cfg(feature = "lists")]
    #[doc(hidden)]
    pub fn listed(&self, n: usize) -> Vec<crate::search::Listed> {
        let common =
            &self.confirmed[..self.settled.unwrap_or(usize::MAX).min(self.confirmed.len())];
        let hypotheses = self.search.n_best(n).into_iter();
        let listed = hypotheses.map(|h| {
            let words = || common.iter().chain(&h.words);
            let (tokens, blocks) = words().flat_map(|word| word.emitted.tokens()).unzip();
            let log_prob = h.emitted.log_prob();
            crate::search::Listed {
                text: self.joined(words()),
                score: h.score,
                log_prob,
                tokens,
                blocks,
            }
        });
        listed.collect()
    }

    /// The result, with up to `alternatives` other readings; complete after [`Session::finish`].
    pub fn result(&self, alternatives: usize) -> Final {
        let others = if alternatives > 0 { self.search.n_best(alternatives) } else { Vec::new() };
        let best = others.first().map_or(0.0, |h| h.score);
        let total: f64 = others.iter().map(|h| (h.score - best).exp()).sum();
        // Search knows the words that it has not yet handed out, or that the end settled.
        let common =
            &self.confirmed[..self.settled.unwrap_or(usize::MAX).min(self.confirmed.len())];
        let words = [self.confirmed.as_slice(), &self.tentative].concat();
        let timed = self.parted(words.iter());
        Final {
            alternatives: others
                .into_iter()
                .map(|h| Alternative {
                    text: self.joined(common.iter().chain(&h.words)),
                    score: h.score,
                    confidence: ((h.score - best).exp() / total) as f32,
                })
                .collect(),
            start: self.stream_s(self.block_end_s(0)),
            ..self.segment(&words, timed, &[]).0
        }
    }

    /// The confirmed words alone, which are forgotten, as by [`Session::take_confirmed`]; the tentative ones stay.
    #[doc(hidden)]
    pub fn take_result(&mut self) -> Final {
        let timed = self.parted(self.confirmed.iter());
        let end_s = timed.last().map_or(self.taken_end_s, |word| word.end);
        let (segment, goes_on) = self.segment(&self.confirmed, timed, &self.tentative);
        self.taken_end_s = end_s;
        self.sentence = if goes_on { Sentence::GoesOn } else { Sentence::Begins };
        self.settled = self.settled.map(|_| 0);
        self.confirmed.clear();
        segment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(times: &[(f64, f64)]) -> Vec<TimedWord> {
        let word = |&(start, end)| TimedWord { word: "a".into(), start, end, conf: 1.0 };
        times.iter().map(word).collect()
    }

    #[test]
    fn words_that_overlap_are_parted_in_order() {
        let times = [(0.0, 0.5), (0.5, 1.0), (0.75, 1.25), (1.125, 1.25), (2.0, 2.5)];
        let all = apart(words(&times), 0.25, 3.0);
        let found: Vec<_> = all.iter().map(|w| (w.start, w.end)).collect();
        let short = 1.25 + SHORTEST_WORD_S;
        let expected = [(0.25, 0.5), (0.5, 1.0), (1.0, 1.25), (1.25, short), (2.0, 2.5)];
        assert_eq!(found, expected);
        // Piece by piece it is the same.
        let first = apart(words(&times[..2]), 0.25, 3.0);
        let rest = apart(words(&times[2..]), first[1].end, 3.0);
        assert_eq!([first, rest].concat(), all);
        let late = apart(words(&[(2.99, 3.0), (2.99, 3.0)]), 0.0, 3.0);
        assert!(late.iter().all(|w| w.start <= w.end && w.end <= 3.0));
    }

    #[test]
    fn evidence_computed_by_hand() {
        let word = Word {
            id: 1,
            first_block: 4,
            last_block: 5,
            start_place: -1.0,
            end_place: -1.0,
            log_prob: -3.0,
            lowest_log_prob: -2.0,
            num_tokens: 4,
            lm_log_prob: -7.0,
            support: 0.75,
            lowest_support: 0.0,
            emitted: crate::search::Emitted::default(),
        };
        let expected =
            [-0.75, -2.0, 3.0_f32.ln(), (0.001_f32 / 0.999).ln(), 4.0_f32.ln(), -0.7, 0.5];
        for (got, expected) in evidence(word).iter().zip(expected) {
            assert!((got - expected).abs() < 1e-5, "{got} {expected}");
        }
    }
}
