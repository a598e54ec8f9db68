//! [`Recognizer`]: what is immutable and shared by all streams. No files after loading, no threads.

use std::path::Path;
use std::sync::Arc;

use crate::config::ModelConfig;
use crate::error::Result;
use crate::features::FeatureExtractor;
use crate::lexicon::LetterToSound;
use crate::model::Model;
use crate::search::Constraint;
use crate::text::Punctuator;
use crate::tokens::TokenTable;

mod builder;
#[cfg(embedded_model)]
mod embedded;
mod hotwords;
mod options;
mod phrases;
mod trace;

pub use builder::RecognizerBuilder;
pub use hotwords::{DEFAULT_BOOST, Hotwords};
pub use options::{SearchKind, StreamOptions};
pub use phrases::Phrases;
pub use trace::{AttentionTrace, TracedStep};

/// A model with its tokens, lexicon and language model. Cheap to clone; all clones share the same memory.
#[derive(Debug, Clone)]
pub struct Recognizer {
    pub(crate) model: Arc<Model>,
    pub(crate) tokens: Arc<TokenTable>,
    pub(crate) constraint: Constraint,
    letter_to_sound: Option<Arc<LetterToSound>>,
    punctuator: Option<Arc<Punctuator>>,
    /// What engines begin with.
    pub(crate) features: Arc<FeatureExtractor>,
    /// Of streams that say nothing else.
    pub(crate) hotwords: Option<Hotwords>,
}

impl Recognizer {
    /// How to load one: from a folder, from bytes, or as compiled in.
    pub fn builder() -> RecognizerBuilder {
        RecognizerBuilder::default()
    }

    /// Loads a model folder (docs/model-format.md); [`Recognizer::builder`] has more to choose.
    ///
    /// # Errors
    /// As [`RecognizerBuilder::build`].
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        Self::builder().folder(folder.as_ref()).build()
    }

    /// The network.
    #[doc(hidden)]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Settings of the model.
    #[doc(hidden)]
    pub fn config(&self) -> &ModelConfig {
        self.model.config()
    }

    /// The token table.
    #[doc(hidden)]
    pub fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    /// What search finds words under.
    #[doc(hidden)]
    pub fn constraint(&self) -> &Constraint {
        &self.constraint
    }

    /// The letter-to-sound model, if there is one.
    #[doc(hidden)]
    pub fn letter_to_sound(&self) -> Option<&LetterToSound> {
        self.letter_to_sound.as_deref()
    }

    /// The model of marks and capitals, if there is one.
    #[doc(hidden)]
    pub fn punctuator(&self) -> Option<&Punctuator> {
        self.punctuator.as_deref()
    }

    /// Rate of the samples that its streams hear.
    pub fn sample_rate_hz(&self) -> u32 {
        self.config().features.sample_rate_hz
    }
}
