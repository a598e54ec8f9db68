//! How a session begins: with the search and the constraint that its options ask for.

use std::sync::Arc;

use super::{Phase, Session};
use crate::attention::KeyValues;
use crate::audio::Intake;
use crate::config::{LatencyMode, ModelConfig, SearchConfig};
use crate::error::{Error, Result};
use crate::features::FeatureState;
use crate::model::Model;
use crate::recognizer::{Hotwords, Phrases, Recognizer, SearchKind, StreamOptions};
use crate::search::{BeamSearch, Constraint, Greedy, Search, TextConstraint};
use crate::text::{Sentence, Shaping};

/// Search for a known text: wide, as there is little to choose from.
const ALIGN_BEAM: usize = 64;
const ALIGN_PRUNE_LOG_PROB: f32 = 60.0;

/// Phrases this far below speech of any kind are kept.
const GRAMMAR_PRUNE_LOG_PROB: f32 = 30.0;

/// Added to the model's `end_of_block_bias`: a network that was trained on sentences is slow to say a single short word (a point of
/// `training/grammar_test.py`).
const GRAMMAR_END_OF_BLOCK_BIAS: f32 = -1.5;

impl Recognizer {
    /// A new stream. It hears samples at the model's rate ([`Session::sample_rate_hz`]).
    ///
    /// # Errors
    /// [`Error::Config`] if the model has no such latency mode or a setting is out of range.
    pub fn session(&self, options: &StreamOptions) -> Result<Session> {
        Session::new(self, options)?.shaped_by(options)
    }

    /// A stream known to be `text`: its words get the times at which the model hears them; those that the lexicon lacks are spoken as
    /// their letters suggest. When the stream has ended, fewer words
    /// than the text has mean that the text does not fit the audio.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the words that nobody can speak, or if the model has no lexicon; [`Error::Config`] if it has no
    /// such latency mode.
    pub fn aligner(&self, text: &str, latency: Option<&str>) -> Result<Session> {
        let Constraint::Lexicon(constraint) = &self.constraint else {
            let reason = format!("{}: the model has no lexicon to align with", self.config().name);
            return Err(Error::Usage { reason });
        };
        let known = constraint.lexicon();
        let (mut guessed, mut unknown) = (Vec::new(), Vec::new());
        for word in text.split_whitespace().filter(|word| known.word_id(word).is_none()) {
            match self.guess(word) {
                Ok(entries) => guessed.extend(entries),
                Err(_) => unknown.push(word),
            }
        }
        if !unknown.is_empty() {
            let reason = format!("not in the lexicon: {}", unknown.join(", "));
            return Err(Error::Usage { reason });
        }
        let lexicon = if guessed.is_empty() {
            Arc::clone(known)
        } else {
            Arc::new(known.with_words(&guessed, &self.tokens)?)
        };
        let words: Vec<_> =
            text.split_whitespace().filter_map(|word| lexicon.word_id(word)).collect();
        Session::aligner(self, TextConstraint::new(lexicon, &words), latency)
    }
}

impl Session {
    fn new(recognizer: &Recognizer, options: &StreamOptions) -> Result<Self> {
        let mode = recognizer.config().latency_mode(options.latency.as_deref())?;
        let mut search = recognizer.config().search.clone();
        if let Some(beam_size) = options.beam_size {
            // More hypotheses than the model's settings have in mind want more states too.
            let times = beam_size.div_ceil(search.beam_size.max(1)).max(1);
            search.max_states = (search.max_states * times).min(beam_size);
            search.beam_size = beam_size;
        }
        search.lm_weight = options.lm_weight.unwrap_or(search.lm_weight);
        search.word_bonus = options.word_bonus.unwrap_or(search.word_bonus);
        search.prior_weight = options.prior_weight.unwrap_or(search.prior_weight);
        search.internal_lm_weight = options.internal_lm_weight.unwrap_or(search.internal_lm_weight);
        search.end_of_block_bias = options.end_of_block_bias.unwrap_or(search.end_of_block_bias);
        ModelConfig { search: search.clone(), ..recognizer.config().clone() }.validate()?;
        let end = recognizer.tokens.end_of_block();
        let lexical = options.search == SearchKind::Beam;
        let hotwords = match &options.grammar {
            None => options.hotwords.as_ref().or(recognizer.hotwords.as_ref()),
            Some(_) => None,
        };
        if hotwords.is_some_and(|h| !h.fit(recognizer)) {
            let reason = "hotwords of another recognizer; make them with this one";
            return Err(Error::Usage { reason: reason.into() });
        }
        let constraint = match hotwords.map_or(&recognizer.constraint, Hotwords::constraint) {
            constraint if lexical => constraint.clone(),
            _ => Constraint::Free,
        };
        if let Some(grammar) = &options.grammar {
            return Self::with_grammar(recognizer, options, grammar, mode, search);
        }
        let hotwords = hotwords.map(|h| if lexical { h.words() } else { h.tokens() });
        let search: Box<dyn Search> = match options.search {
            SearchKind::Greedy => Box::new(Greedy::new(&search, end).with_hotwords(hotwords)),
            SearchKind::Tokens | SearchKind::Beam => {
                let beam =
                    BeamSearch::new(&search, constraint.clone(), end).with_hotwords(hotwords);
                Box::new(
                    beam.with_small_states(recognizer.model.small_parts())
                        .with_known_tokens(recognizer.model.known_tokens()),
                )
            }
        };
        Ok(Self::with_search(recognizer, mode, search, constraint, lexical))
    }

    /// A stream that is said to be `text`.
    fn aligner(
        recognizer: &Recognizer,
        text: TextConstraint,
        latency: Option<&str>,
    ) -> Result<Self> {
        let mode = recognizer.config().latency_mode(latency)?;
        let mut search = recognizer.config().search.clone();
        search.beam_size = ALIGN_BEAM;
        search.prune_log_prob = ALIGN_PRUNE_LOG_PROB;
        // Words that sound alike stand at different places.
        search.merge_tokens = 0;
        search.max_states = 0;
        let constraint = Constraint::Text(text);
        let end = recognizer.tokens.end_of_block();
        let beam = Box::new(BeamSearch::new(&search, constraint.clone(), end));
        Ok(Self::with_search(recognizer, mode, beam, constraint, true))
    }

    fn with_search(
        recognizer: &Recognizer,
        mode: LatencyMode,
        search: Box<dyn Search>,
        constraint: Constraint,
        lexical: bool,
    ) -> Self {
        Self {
            intake: Intake::new(recognizer.config().features.sample_rate_hz),
            features: FeatureState::default(),
            encoder: recognizer.model.encoder_state(),
            memory: KeyValues::default(),
            search,
            frames: Vec::new(),
            encoded: 0,
            confirmed: Vec::new(),
            tentative: Vec::new(),
            before: Vec::new(),
            block: 0,
            first_block: 0,
            ran: false,
            changed: false,
            samples: 0,
            skipped: 0,
            settled: None,
            phase: Phase::Open,
            window: Model::window(mode),
            mode,
            constraint,
            lexical,
            shaping: Shaping::default(),
            sentence: Sentence::Begins,
            taken_end_s: 0.0,
            recognizer: recognizer.clone(),
        }
    }

    /// A stream whose segments are phrases of a grammar.
    fn with_grammar(
        recognizer: &Recognizer,
        options: &StreamOptions,
        grammar: &Phrases,
        mode: LatencyMode,
        mut search: SearchConfig,
    ) -> Result<Self> {
        let refuse = |reason: &str| Err(Error::Usage { reason: reason.into() });
        if !grammar.fit(recognizer) {
            return refuse("a grammar of another recognizer; make it with this one");
        }
        if options.hotwords.is_some() || options.search != SearchKind::Beam {
            return refuse("a grammar goes with beam search and without hotwords");
        }
        search.prune_log_prob = search.prune_log_prob.max(GRAMMAR_PRUNE_LOG_PROB);
        if options.end_of_block_bias.is_none() {
            search.end_of_block_bias += GRAMMAR_END_OF_BLOCK_BIAS;
        }
        let constraint = match (&*grammar.constraint, options.unknown_cost) {
            (Constraint::Grammar(_), Some(cost)) if !(0.0..=100.0).contains(&cost) => {
                let reason = format!("{cost} is not in 0..=100");
                return Err(Error::config("unknown_cost", reason));
            }
            (Constraint::Grammar(phrases), Some(cost)) => {
                Constraint::Grammar(phrases.with_unknown_cost(cost))
            }
            (other, _) => other.clone(),
        };
        let end = recognizer.tokens.end_of_block();
        let beam = BeamSearch::new(&search, constraint.clone(), end);
        let beam = Box::new(
            beam.with_small_states(recognizer.model.small_parts())
                .with_known_tokens(recognizer.model.known_tokens()),
        );
        Ok(Self::with_search(recognizer, mode, beam, constraint, true))
    }
}
