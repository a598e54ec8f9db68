//! When a segment is over: rules on silence and length, fed with evidence of the network and of the voice-activity detector.

use crate::error::{Error, Result};

/// A token comes out up to this long after its sound, block and look-ahead included.
const TOKEN_DELAY_S: f32 = 0.5;
/// For so much longer one witness must be silent to outvote the other.
const OUTVOTE_S: f32 = 1.0;

/// Silence after which a phrase that nothing can follow is over.
const AFTER_PHRASE_S: f32 = 0.3;

/// What becomes of the encoder's memory at an endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AfterEndpoint {
    /// It is cleared, so that every segment is heard like a stream of its own.
    Reset,
    /// It is kept: voice, room and loudness are known when the next segment begins.
    #[default]
    Keep,
}

/// Ends of segments, each rule with its own length. An infinite length switches a rule off. Each is set by the method of its name.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointOptions {
    /// Silence after which a segment without words is over.
    pub(crate) silence_s: f32,
    /// Silence after which a segment with words is over.
    pub(crate) after_speech_s: f32,
    /// Length at which a segment is cut behind its last confirmed word; the others go on in the next.
    pub(crate) utterance_s: f32,
    /// The encoder's memory.
    pub(crate) after: AfterEndpoint,
    /// Whether the network sleeps between segments, until the detector hears a voice.
    pub(crate) sleep: bool,
    /// Audio before the voice was noticed that is heard when the network wakes.
    pub(crate) pre_roll_s: f32,
    /// The detector's score of speech, in 0..=1; lower hears fainter voices, and more noise.
    pub(crate) voice_threshold: f32,
}

impl Default for EndpointOptions {
    fn default() -> Self {
        Self {
            silence_s: 2.4,
            after_speech_s: 1.2,
            utterance_s: 20.0,
            after: AfterEndpoint::Keep,
            sleep: true,
            pre_roll_s: 0.5,
            voice_threshold: 0.5,
        }
    }
}

/// Which rule ended a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Silence, and nothing was said.
    Silence,
    /// A little silence after a whole phrase of a grammar.
    AfterPhrase,
    /// Silence after words.
    AfterSpeech,
    /// The segment is too long.
    Utterance,
}

/// What is known at some moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Evidence {
    /// For how long the detector has heard no voice.
    pub voice_quiet_s: f32,
    /// For how long the network has emitted no token.
    pub network_quiet_s: f32,
    /// Length of the segment.
    pub segment_s: f32,
    /// Whether it has words.
    pub words: bool,
    /// Whether they are a phrase that nothing can follow.
    pub phrase: bool,
}

impl Evidence {
    /// Silence that both witnesses agree on, or that one insists on. The network speaks late, so it is granted its delay; a
    /// detector that takes noise for a voice, or a network that babbles, is outvoted.
    pub fn silence_s(&self) -> f32 {
        let both = self.voice_quiet_s.min(self.network_quiet_s + TOKEN_DELAY_S);
        both.max(self.network_quiet_s - OUTVOTE_S).max(self.voice_quiet_s - OUTVOTE_S)
    }
}

impl EndpointOptions {
    /// Silence after which a segment without words is over.
    #[must_use]
    pub fn silence_s(mut self, seconds: f32) -> Self {
        self.silence_s = seconds;
        self
    }

    /// Silence after which a segment with words is over.
    #[must_use]
    pub fn after_speech_s(mut self, seconds: f32) -> Self {
        self.after_speech_s = seconds;
        self
    }

    /// Length at which a segment is cut behind its last confirmed word; the others go on in the next.
    #[must_use]
    pub fn utterance_s(mut self, seconds: f32) -> Self {
        self.utterance_s = seconds;
        self
    }

    /// What becomes of the encoder's memory.
    #[must_use]
    pub fn after(mut self, after: AfterEndpoint) -> Self {
        self.after = after;
        self
    }

    /// Whether the network sleeps between segments, until the detector hears a voice.
    #[must_use]
    pub fn sleep(mut self, sleep: bool) -> Self {
        self.sleep = sleep;
        self
    }

    /// Audio before the voice was noticed that is heard when the network wakes; at most 5 s.
    #[must_use]
    pub fn pre_roll_s(mut self, seconds: f32) -> Self {
        self.pre_roll_s = seconds;
        self
    }

    /// The detector's score of speech, in 0..=1; lower hears fainter voices, and more noise.
    #[must_use]
    pub fn voice_threshold(mut self, score: f32) -> Self {
        self.voice_threshold = score;
        self
    }

    /// Refuses lengths that make no sense.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first that is out of range.
    #[doc(hidden)]
    pub fn validate(&self) -> Result<()> {
        for (name, value, low) in [
            ("silence_s", self.silence_s, 0.1),
            ("after_speech_s", self.after_speech_s, 0.1),
            ("utterance_s", self.utterance_s, 1.0),
        ] {
            if value.is_nan() || value < low {
                let reason = format!("{value} is not a length of at least {low} s");
                return Err(Error::config(format!("endpoint.{name}"), reason));
            }
        }
        if !(0.0..=5.0).contains(&self.pre_roll_s) {
            let reason = format!("{} is not in 0..=5", self.pre_roll_s);
            return Err(Error::config("endpoint.pre_roll_s", reason));
        }
        if !(0.0..=1.0).contains(&self.voice_threshold) {
            let reason = format!("{} is not in 0..=1", self.voice_threshold);
            return Err(Error::config("endpoint.voice_threshold", reason));
        }
        Ok(())
    }

    /// The rule that ends the segment now.
    pub(crate) fn check(&self, now: &Evidence) -> Option<Rule> {
        let silence_s = now.silence_s();
        if now.words && silence_s >= self.after_speech_s {
            Some(Rule::AfterSpeech)
        } else if now.phrase && silence_s >= AFTER_PHRASE_S.min(self.after_speech_s) {
            Some(Rule::AfterPhrase)
        } else if !now.words && silence_s >= self.silence_s && now.segment_s >= self.silence_s {
            Some(Rule::Silence)
        } else if now.segment_s >= self.utterance_s {
            Some(Rule::Utterance)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(voice: f32, network: f32, segment_s: f32, words: bool) -> Evidence {
        Evidence { voice_quiet_s: voice, network_quiet_s: network, segment_s, words, phrase: false }
    }

    #[test]
    fn each_rule_has_its_own_length() {
        let rules = EndpointOptions::default();
        for (evidence, expected) in [
            (now(1.1, 1.1, 5.0, true), None),
            (now(1.2, 1.2, 5.0, true), Some(Rule::AfterSpeech)),
            (now(1.2, 1.2, 5.0, false), None),
            (now(2.4, 2.4, 5.0, false), Some(Rule::Silence)),
            (now(0.0, 0.0, 19.9, true), None),
            (now(0.0, 0.0, 20.0, true), Some(Rule::Utterance)),
        ] {
            assert_eq!(rules.check(&evidence), expected, "{evidence:?}");
        }
        let patient = EndpointOptions { after_speech_s: 3.0, utterance_s: 60.0, ..rules };
        assert_eq!(patient.check(&now(2.0, 2.0, 30.0, true)), None);
        assert_eq!(patient.check(&now(3.0, 3.0, 30.0, true)), Some(Rule::AfterSpeech));
    }

    #[test]
    fn the_network_may_be_late_but_neither_witness_rules_alone() {
        let rules = EndpointOptions::default();
        assert_eq!(rules.check(&now(1.2, 0.7, 5.0, true)), Some(Rule::AfterSpeech));
        assert_eq!(rules.check(&now(1.2, 0.6, 5.0, true)), None, "a token came just now");
        assert_eq!(rules.check(&now(0.0, 2.1, 5.0, true)), None, "a voice is heard");
        assert_eq!(rules.check(&now(0.0, 2.2, 5.0, true)), Some(Rule::AfterSpeech), "noise");
        assert_eq!(rules.check(&now(2.2, 0.0, 5.0, true)), Some(Rule::AfterSpeech), "babble");
    }

    #[test]
    fn a_whole_phrase_ends_sooner() {
        let rules = EndpointOptions::default();
        let phrase = |voice, network| Evidence { phrase: true, ..now(voice, network, 5.0, true) };
        assert_eq!(rules.check(&phrase(0.2, 0.2)), None);
        assert_eq!(rules.check(&phrase(0.3, 0.0)), Some(Rule::AfterPhrase));
        assert_eq!(rules.check(&phrase(0.0, 0.4)), None, "a voice is heard");
    }

    #[test]
    fn lengths_that_make_no_sense_are_refused() {
        let good = EndpointOptions::default();
        good.validate().unwrap();
        EndpointOptions { utterance_s: f32::INFINITY, ..good.clone() }.validate().unwrap();
        for bad in [
            EndpointOptions { silence_s: 0.0, ..good.clone() },
            EndpointOptions { after_speech_s: f32::NAN, ..good.clone() },
            EndpointOptions { utterance_s: -1.0, ..good.clone() },
            EndpointOptions { pre_roll_s: 9.0, ..good.clone() },
            EndpointOptions { voice_threshold: 2.0, ..good },
        ] {
            assert!(bad.validate().unwrap_err().to_string().contains("endpoint."));
        }
    }
}
