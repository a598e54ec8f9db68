//! Loading a model.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::Recognizer;
use crate::config::Units;
use crate::error::{Error, Result};
use crate::features::{FeatureExtractor, Normalizer};
use crate::lexicon::{LetterToSound, Lexicon};
use crate::lm::{NeuralLm, NgramLm, TokenPrior};
use crate::model::{Model, Precision};
use crate::search::Constraint;
use crate::text::Punctuator;
use crate::tokens::TokenTable;

type Bytes = Cow<'static, [u8]>;

/// Why there is no model inside.
const NO_MODEL: &str = if cfg!(feature = "embed-model") {
    "the crate's package has no model to compile in; name a model folder, or build in a clone of the repository"
} else {
    "built without the feature embed-model; name a model folder"
};

/// Where the files of a model are.
#[derive(Debug, Clone, Default)]
enum Files {
    #[default]
    Embedded,
    Folder(PathBuf),
    Bytes(BTreeMap<String, Bytes>),
}

/// How to load a [`Recognizer`]. Told nothing else, it takes the model that is compiled in (feature `embed-model`, in a clone of
/// the repository: the package of the crate has no model).
///
/// ```no_run
/// # fn main() -> vivavoce::Result<()> {
/// use vivavoce::{Precision, Recognizer};
///
/// let recognizer = Recognizer::builder()
///     .folder("models/en-small")
///     .precision(Precision::F32)
///     .hotwords("names", "kowalczyk\njean-luc : 5")
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct RecognizerBuilder {
    files: Files,
    precision: Precision,
    hotwords: Option<(PathBuf, String)>,
}

impl RecognizerBuilder {
    /// Reads a model folder (docs/model-format.md).
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.files = Files::Folder(folder.into());
        self
    }

    /// Takes the contents of the file `name` of a model folder; say this for each of its files.
    #[must_use]
    pub fn file(
        mut self,
        name: impl Into<String>,
        contents: impl Into<Cow<'static, [u8]>>,
    ) -> Self {
        let mut files = match self.files {
            Files::Bytes(files) => files,
            Files::Embedded | Files::Folder(_) => BTreeMap::new(),
        };
        files.insert(name.into(), contents.into());
        self.files = Files::Bytes(files);
        self
    }

    /// How the network is computed.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Words to expect in all streams that have no list of their own, written as [`Recognizer::hotwords`] has it; `name` is the
    /// list's in messages.
    #[must_use]
    pub fn hotwords(mut self, name: impl Into<PathBuf>, list: impl Into<String>) -> Self {
        self.hotwords = Some((name.into(), list.into()));
        self
    }

    /// Loads it.
    ///
    /// # Errors
    /// [`Error::Io`] if a file is missing, [`Error::Model`] if one is damaged or does not fit the others, or if no model is
    /// compiled in, [`Error::Config`] if a setting is out of range; what [`Recognizer::hotwords`] refuses.
    pub fn build(self) -> Result<Recognizer> {
        let mut files = match self.files {
            Files::Embedded if cfg!(not(embedded_model)) => {
                return Err(Error::model("(embedded)", NO_MODEL));
            }
            Files::Embedded => Files::Bytes(embedded()),
            Files::Folder(dir) if !dir.is_dir() => {
                return Err(Error::model(
                    dir,
                    "not a folder with config.json and model.safetensors",
                ));
            }
            named => named,
        };
        let config = files.needed("config.json")?;
        let weights = files.needed("model.safetensors")?;
        let (config_path, weights_path) =
            (files.path("config.json"), files.path("model.safetensors"));
        let model =
            Model::from_files(&config_path, &config, &weights_path, &weights, self.precision)?;
        drop(weights);
        let mut recognizer =
            assemble(model, self.precision, &files.needed("tokens.txt")?, &mut files)?;
        if let Some((name, list)) = self.hotwords {
            recognizer.hotwords = Some(recognizer.hotwords(name, &list)?);
        }
        Ok(recognizer)
    }
}

/// The model that is compiled in; no files, if there is none.
fn embedded() -> BTreeMap<String, Bytes> {
    #[cfg(embedded_model)]
    let files = super::embedded::FILES.iter().chain(super::embedded::WORD_LM);
    #[cfg(not(embedded_model))]
    let files: std::slice::Iter<'_, (&str, &'static [u8])> = [].iter();
    files.map(|(name, bytes)| ((*name).to_owned(), Cow::Borrowed(*bytes))).collect()
}

impl Files {
    /// The file in messages.
    fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Folder(dir) => dir.join(name),
            Self::Embedded | Self::Bytes(_) => format!("{name} (in memory)").into(),
        }
    }

    /// Its contents, if there is one. Those that are in memory are handed over: a copy of a language model would be large.
    fn take(&mut self, name: &str) -> Result<Option<Bytes>> {
        match self {
            Self::Embedded => Ok(None),
            Self::Bytes(files) => Ok(files.remove(name)),
            Self::Folder(dir) => {
                let path = dir.join(name);
                match std::fs::read(&path) {
                    Ok(bytes) => Ok(Some(bytes.into())),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(Error::io(path, error)),
                }
            }
        }
    }

    /// The contents of a file that every model has.
    fn needed(&mut self, name: &str) -> Result<Bytes> {
        match (self.take(name)?, &self) {
            (Some(bytes), _) => Ok(bytes),
            (None, Self::Folder(_)) => {
                Err(Error::io(self.path(name), std::io::ErrorKind::NotFound.into()))
            }
            (None, _) => Err(Error::model(self.path(name), "missing")),
        }
    }
}

/// A network with the files beside it.
fn assemble(
    model: Model,
    precision: Precision,
    tokens: &[u8],
    files: &mut Files,
) -> Result<Recognizer> {
    let text = std::str::from_utf8(tokens)
        .map_err(|e| Error::model("tokens.txt", format!("not UTF-8: {e}")))?;
    let tokens = TokenTable::parse(text)?;
    if tokens.len() != model.num_tokens() {
        let reason = format!("{} tokens, the model has {}", tokens.len(), model.num_tokens());
        return Err(Error::model("tokens.txt", reason));
    }
    let phones = model.config().units == Units::Phones;
    let letter_to_sound = match files.take("g2p.bin")? {
        Some(bytes) if phones => Some(Arc::new(LetterToSound::from_bytes(bytes, &tokens)?)),
        _ => None,
    };
    let constraint = if phones {
        let bytes = files.take("lexicon.bin")?;
        let bytes = bytes.ok_or_else(|| Error::model("lexicon.bin", "missing"))?;
        let lexicon = Arc::new(Lexicon::from_bytes(&bytes, &tokens)?);
        let lm = files.take("lm.bin")?.map(NgramLm::from_bytes).transpose()?.map(Arc::new);
        let mut constraint = Constraint::lexicon(lexicon, lm)?;
        if let Some(bytes) = files.take("word_lm.safetensors")? {
            let path = files.path("word_lm.safetensors");
            let neural = NeuralLm::from_bytes(&path, &bytes, precision)?;
            constraint = constraint.with_neural(Arc::new(neural))?;
        }
        match files.take("prior.bin")? {
            Some(bytes) => {
                constraint.with_prior(Arc::new(TokenPrior::from_bytes(bytes, tokens.len())?))
            }
            None => constraint,
        }
    } else {
        Constraint::Free
    };
    let punctuator = files.take("punctuation.bin")?.map(Punctuator::from_bytes).transpose()?;
    let (mean, inv_std) = model.normalization();
    let features =
        FeatureExtractor::new(&model.config().features, Normalizer::new(mean, inv_std)?)?;
    Ok(Recognizer {
        model: Arc::new(model),
        tokens: Arc::new(tokens),
        constraint,
        letter_to_sound,
        punctuator: punctuator.map(Arc::new),
        features: Arc::new(features),
        hotwords: None,
    })
}

#[cfg(all(test, embedded_model))]
mod tests {
    use super::*;

    /// All that the folder has for the library, the neural language model too, if there is one.
    #[test]
    fn the_embedded_model_is_the_folder_of_the_repository() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/en-small");
        let held = embedded();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name != "README.md" && name != "files.json" {
                let bytes = std::fs::read(entry.path()).unwrap();
                assert!(held.get(&name).is_some_and(|own| **own == bytes), "{name}");
            }
        }
    }
}
