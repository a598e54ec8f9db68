//! Choices of one stream.

use crate::endpoint::EndpointOptions;
use crate::recognizer::{Hotwords, Phrases};

/// Which search finds the words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchKind {
    /// Beam search with what the model has: lexicon and language model for phones, nothing for bpe.
    #[default]
    Beam,
    /// Beam search over bare tokens.
    Tokens,
    /// The best token at every step.
    Greedy,
}

/// Choices of one stream; what is not chosen comes from the model. Each is set by the method of its name.
///
/// ```
/// use vivavoce::{EndpointOptions, StreamOptions};
///
/// let options = StreamOptions::default()
///     .latency("low".to_owned())
///     .endpoints(EndpointOptions::default().after_speech_s(0.8))
///     .alternatives(3)
///     .punctuate(true);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StreamOptions {
    pub(crate) latency: Option<String>,
    pub(crate) search: SearchKind,
    pub(crate) beam_size: Option<usize>,
    pub(crate) lm_weight: Option<f32>,
    pub(crate) word_bonus: Option<f32>,
    pub(crate) prior_weight: Option<f32>,
    pub(crate) internal_lm_weight: Option<f32>,
    pub(crate) end_of_block_bias: Option<f32>,
    pub(crate) hotwords: Option<Hotwords>,
    pub(crate) grammar: Option<Phrases>,
    pub(crate) unknown_cost: Option<f32>,
    pub(crate) digits: bool,
    pub(crate) punctuate: bool,
    pub(crate) endpoints: Option<EndpointOptions>,
    pub(crate) alternatives: usize,
    pub(crate) partials: bool,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            latency: None,
            search: SearchKind::default(),
            beam_size: None,
            lm_weight: None,
            word_bonus: None,
            prior_weight: None,
            internal_lm_weight: None,
            end_of_block_bias: None,
            hotwords: None,
            grammar: None,
            unknown_cost: None,
            digits: false,
            punctuate: false,
            endpoints: None,
            alternatives: 0,
            partials: true,
        }
    }
}

impl StreamOptions {
    /// Name of a latency mode of the model; none: its default.
    #[must_use]
    pub fn latency(mut self, mode: impl Into<Option<String>>) -> Self {
        self.latency = mode.into();
        self
    }

    /// Search.
    #[must_use]
    pub fn search(mut self, kind: SearchKind) -> Self {
        self.search = kind;
        self
    }

    /// Hypotheses kept; none: the model's.
    #[must_use]
    pub fn beam_size(mut self, hypotheses: impl Into<Option<usize>>) -> Self {
        self.beam_size = hypotheses.into();
        self
    }

    /// Factor of the language model instead of the model's.
    #[must_use]
    pub fn lm_weight(mut self, factor: impl Into<Option<f32>>) -> Self {
        self.lm_weight = factor.into();
        self
    }

    /// Nats added for every word instead of the model's.
    #[must_use]
    pub fn word_bonus(mut self, nats: impl Into<Option<f32>>) -> Self {
        self.word_bonus = nats.into();
        self
    }

    /// Share of the token n-gram model that is taken back from the network's opinion, instead of the model's.
    #[must_use]
    #[doc(hidden)]
    pub fn prior_weight(mut self, share: impl Into<Option<f32>>) -> Self {
        self.prior_weight = share.into();
        self
    }

    /// Share of what the network expects had nothing been heard that is taken back, instead of the model's.
    #[must_use]
    #[doc(hidden)]
    pub fn internal_lm_weight(mut self, share: impl Into<Option<f32>>) -> Self {
        self.internal_lm_weight = share.into();
        self
    }

    /// Nats added to the end-of-block symbol's logit instead of the model's; below 0 more is spoken.
    #[must_use]
    #[doc(hidden)]
    pub fn end_of_block_bias(mut self, nats: impl Into<Option<f32>>) -> Self {
        self.end_of_block_bias = nats.into();
        self
    }

    /// Words to expect, instead of the recognizer's.
    #[must_use]
    pub fn hotwords(mut self, hotwords: impl Into<Option<Hotwords>>) -> Self {
        self.hotwords = hotwords.into();
        self
    }

    /// The only phrases to expect.
    #[must_use]
    pub fn grammar(mut self, phrases: impl Into<Option<Phrases>>) -> Self {
        self.grammar = phrases.into();
        self
    }

    /// Cost, in nats, of each token of speech that is no phrase of the grammar; none: 2. Lower turns more away.
    #[must_use]
    pub fn unknown_cost(mut self, nats: impl Into<Option<f32>>) -> Self {
        self.unknown_cost = nats.into();
        self
    }

    /// Whether the text of results has digits for numbers.
    #[must_use]
    pub fn digits(mut self, digits: bool) -> Self {
        self.digits = digits;
        self
    }

    /// Whether the text of results has sentence ends, commas and capitals.
    #[must_use]
    pub fn punctuate(mut self, punctuate: bool) -> Self {
        self.punctuate = punctuate;
        self
    }

    /// Where a [`Listener`](crate::Listener) ends segments; none: the whole stream is one, unless it is cut. A session has no
    /// segments and does not heed this, nor what follows.
    #[must_use]
    pub fn endpoints(mut self, endpoints: impl Into<Option<EndpointOptions>>) -> Self {
        self.endpoints = endpoints.into();
        self
    }

    /// Other readings in each [`Final`](crate::transcript::Final); 0 for none.
    #[must_use]
    pub fn alternatives(mut self, most: usize) -> Self {
        self.alternatives = most;
        self
    }

    /// Whether [`Event::Partial`](crate::transcript::Event::Partial) tells whenever the words change; so it is by default.
    #[must_use]
    pub fn partials(mut self, partials: bool) -> Self {
        self.partials = partials;
        self
    }
}
