//! [`Recognizer`], immutable and shared by all streams, and [`Session`], all that belongs to one of them. No threads, no files
//! after loading, no clock: samples in, words out.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use crate::config::{ModelConfig, Units};
use crate::error::{Error, Result};
use crate::lexicon::{LetterToSound, Lexicon};
use crate::lm::{NgramLm, TokenPrior};
use crate::model::{Model, Precision};
use crate::search::{Constraint, TextConstraint};
use crate::text::Punctuator;
use crate::tokens::TokenTable;

mod batcher;
#[cfg(feature = "embed-model")]
mod embedded;
mod hotwords;
mod phrases;
mod session;
mod trace;
mod workspace;

pub use batcher::{Batcher, StreamId};
pub use hotwords::{DEFAULT_BOOST, Hotwords};
pub use phrases::Phrases;
pub use session::Session;
pub use trace::{AttentionTrace, TracedStep};
pub use workspace::StageTimes;

/// Which search finds the words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SearchKind {
    /// Beam search with what the model has: lexicon and language model for phones, nothing for bpe.
    #[default]
    Beam,
    /// Beam search over bare tokens.
    Tokens,
    /// The best token at every step.
    Greedy,
}

/// Choices of one stream; the rest comes from the model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionOptions {
    /// Name of a latency mode of the model; none: its default.
    pub latency: Option<String>,
    /// Search.
    pub search: SearchKind,
    /// Hypotheses kept; none: the model's.
    pub beam_size: Option<usize>,
    /// Replaces the model's.
    pub lm_weight: Option<f32>,
    /// Replaces the model's.
    pub word_bonus: Option<f32>,
    /// Instead of the model's [`prior_weight`](crate::config::SearchConfig::prior_weight).
    pub prior_weight: Option<f32>,
    /// Replaces the model's.
    pub end_of_block_bias: Option<f32>,
    /// Words to expect.
    pub hotwords: Option<Hotwords>,
    /// The only phrases to expect.
    pub grammar: Option<Phrases>,
    /// Cost, in nats, of speech that is no phrase of the grammar; none:
    /// [`DEFAULT_UNKNOWN_COST`](crate::search::DEFAULT_UNKNOWN_COST). Lower turns more away.
    pub unknown_cost: Option<f32>,
    /// Whether the text of results has digits for numbers.
    pub digits: bool,
    /// Whether the text of results has sentence ends and capitals.
    pub punctuate: bool,
}

/// A model with its tokens, lexicon and language model. Cheap to clone; all clones share the same memory.
#[derive(Debug, Clone)]
pub struct Recognizer {
    model: Arc<Model>,
    tokens: Arc<TokenTable>,
    constraint: Constraint,
    letter_to_sound: Option<Arc<LetterToSound>>,
    punctuator: Option<Arc<Punctuator>>,
}

/// Files of a model folder beside the network, read in place where they are compiled in.
struct Parts {
    lexicon: Option<Cow<'static, [u8]>>,
    lm: Option<Cow<'static, [u8]>>,
    prior: Option<Cow<'static, [u8]>>,
    letter_to_sound: Option<Cow<'static, [u8]>>,
    punctuation: Option<Cow<'static, [u8]>>,
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::io(path, e))
}

impl Recognizer {
    /// Loads a model folder (docs/model-format.md).
    ///
    /// # Errors
    /// [`Error::Io`] if a file is missing, [`Error::Model`] if one is damaged or does not fit the others, [`Error::Config`] if a
    /// setting is out of range.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self> {
        Self::load_as(dir, Precision::default())
    }

    /// As [`Recognizer::load`], with the network in `precision`.
    ///
    /// # Errors
    /// As [`Recognizer::load`].
    pub fn load_as(dir: impl AsRef<Path>, precision: Precision) -> Result<Self> {
        let dir = dir.as_ref();
        if !dir.is_dir() {
            return Err(Error::model(dir, "not a folder with config.json and model.safetensors"));
        }
        let model = Model::load_as(dir, precision)?;
        let tokens = read(&dir.join("tokens.txt"))?;
        let optional = |name: &str| {
            let path = dir.join(name);
            path.exists().then(|| read(&path)).transpose()
        };
        let parts = Parts {
            lexicon: optional("lexicon.bin")?.map(Into::into),
            lm: optional("lm.bin")?.map(Into::into),
            prior: optional("prior.bin")?.map(Into::into),
            letter_to_sound: optional("g2p.bin")?.map(Into::into),
            punctuation: optional("punctuation.bin")?.map(Into::into),
        };
        Self::from_parts(model, &tokens, parts)
    }

    /// The model compiled into the program (feature `embed-model`), else an error that says how to name one.
    ///
    /// # Errors
    /// [`Error::Model`] without the feature.
    pub fn embedded() -> Result<Self> {
        Self::embedded_as(Precision::default())
    }

    /// As [`Recognizer::embedded`], with the network in `precision`.
    ///
    /// # Errors
    /// As [`Recognizer::embedded`].
    pub fn embedded_as(precision: Precision) -> Result<Self> {
        #[cfg(feature = "embed-model")]
        return embedded::load(precision);
        #[cfg(not(feature = "embed-model"))]
        let _ = precision;
        #[cfg(not(feature = "embed-model"))]
        Err(Error::model(
            "(embedded)",
            "built without the feature embed-model; name a model folder",
        ))
    }

    fn from_parts(model: Model, tokens: &[u8], parts: Parts) -> Result<Self> {
        let text = std::str::from_utf8(tokens)
            .map_err(|e| Error::model("tokens.txt", format!("not UTF-8: {e}")))?;
        let tokens = TokenTable::parse(text)?;
        if tokens.len() != model.num_tokens() {
            let reason = format!("{} tokens, the model has {}", tokens.len(), model.num_tokens());
            return Err(Error::model("tokens.txt", reason));
        }
        let letter_to_sound =
            parts.letter_to_sound.filter(|_| model.config().units == Units::Phones);
        let letter_to_sound = letter_to_sound
            .map(|bytes| LetterToSound::from_bytes(bytes, &tokens))
            .transpose()?
            .map(Arc::new);
        let constraint = match (model.config().units, parts.lexicon) {
            (Units::Phones, Some(bytes)) => {
                let lexicon = Arc::new(Lexicon::from_bytes(&bytes, &tokens)?);
                let lm = parts.lm.map(NgramLm::from_bytes).transpose()?.map(Arc::new);
                let constraint = Constraint::lexicon(lexicon, lm)?;
                match parts.prior {
                    Some(bytes) => {
                        let prior = TokenPrior::from_bytes(bytes, tokens.len())?;
                        constraint.with_prior(Arc::new(prior))
                    }
                    None => constraint,
                }
            }
            (Units::Phones, None) => return Err(Error::model("lexicon.bin", "missing")),
            (Units::Bpe, _) => Constraint::Free,
        };
        let punctuator = parts.punctuation.map(Punctuator::from_bytes).transpose()?.map(Arc::new);
        let (model, tokens) = (Arc::new(model), Arc::new(tokens));
        Ok(Self { model, tokens, constraint, letter_to_sound, punctuator })
    }

    /// The network.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Settings of the model.
    pub fn config(&self) -> &ModelConfig {
        self.model.config()
    }

    /// The token table.
    pub fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    /// What search finds words under.
    pub fn constraint(&self) -> &Constraint {
        &self.constraint
    }

    /// The letter-to-sound model, if there is one.
    pub fn letter_to_sound(&self) -> Option<&LetterToSound> {
        self.letter_to_sound.as_deref()
    }

    /// The model of marks and capitals, if there is one.
    pub fn punctuator(&self) -> Option<&Punctuator> {
        self.punctuator.as_deref()
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

    /// A new stream. It hears samples at the model's rate ([`Session::sample_rate_hz`]).
    ///
    /// # Errors
    /// [`Error::Config`] if the model has no such latency mode or a setting is out of range.
    pub fn session(&self, options: &SessionOptions) -> Result<Session> {
        Session::new(self, options)?.shaped_by(options)
    }
}
