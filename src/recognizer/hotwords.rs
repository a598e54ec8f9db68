//! Words and phrases that a stream should expect.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::Recognizer;
use crate::error::{Error, Result};
use crate::lexicon::{Entry, Lexicon, WordId, spelt};
use crate::model::Model;
use crate::search::{Constraint, Hotword, HotwordTrie};
use crate::tokens::TokenId;

/// Nats for each word of a line that says nothing else.
#[doc(hidden)]
pub const DEFAULT_BOOST: f32 = 3.0;
const MAX_BOOST: f32 = 20.0;
/// Nobody says a longer one at a breath; that of a whole file is a mistake.
const MAX_WORDS: usize = 100;
/// Pronunciations of a word that the lexicon lacks, and of each word among bare tokens.
const GUESSES: usize = 3;
/// Ways to speak a phrase, among bare tokens.
const MAX_WAYS: usize = 12;

/// Hotwords made ready for the streams of one recognizer ([`Recognizer::hotwords`]). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hotwords(Arc<Ready>);

#[derive(Debug)]
struct Ready {
    model: Arc<Model>,
    constraint: Constraint,
    words: Arc<HotwordTrie>,
    tokens: Arc<HotwordTrie>,
    num_phrases: usize,
    guessed: Vec<String>,
}

impl PartialEq for Hotwords {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A line of a list.
#[derive(Debug, Clone, PartialEq)]
struct Phrase {
    line: usize,
    words: Vec<String>,
    phones: Vec<String>,
    boost: f32,
}

/// Reads `words : boost` or `word = PH PH : boost` a line; empty lines and those that begin with `#` say nothing.
fn parse(name: &Path, text: &str) -> Result<Vec<Phrase>> {
    let mut phrases = Vec::new();
    for (line, content) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let refuse = |reason: String| Error::line(name, line, reason);
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let (content, boost) = match content.rsplit_once(':') {
            Some((content, boost)) => {
                let boost = boost.trim();
                let value = boost.parse().ok().filter(|b| *b > 0.0 && *b <= MAX_BOOST);
                let reason = || refuse(format!("{boost:?} is not a boost above 0, at most 20"));
                (content, value.ok_or_else(reason)?)
            }
            None => (content, DEFAULT_BOOST),
        };
        let (words, phones) =
            content.split_once('=').map_or((content, None), |(w, p)| (w, Some(p)));
        let words = spelt(words).map_err(refuse)?;
        let phones: Vec<_> =
            phones.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return Err(refuse("no word".into()));
        }
        if words.len() > MAX_WORDS {
            let reason = format!("{} words; write phrases of at most {MAX_WORDS}", words.len());
            return Err(refuse(reason));
        }
        if content.contains('=') && (words.len() != 1 || phones.is_empty()) {
            return Err(refuse("a pronunciation is written: word = PH PH".into()));
        }
        phrases.push(Phrase { line, words, phones, boost });
    }
    if phrases.is_empty() {
        return Err(Error::line(name, 1, "no words"));
    }
    Ok(phrases)
}

impl Recognizer {
    /// Makes the words and phrases of a list ready: one a line, each optionally with a boost in nats a word (`new york : 2.5`)
    /// or a pronunciation in the model's phones (`nguyen = W IH N`). Words that the lexicon lacks are added; how they are
    /// spoken is guessed from their letters. `name` is the list's in messages.
    ///
    /// # Errors
    /// [`Error::List`] naming the line that has other characters than letters, an unknown phone, a bad boost, or a word that
    /// nobody can speak; [`Error::Usage`] if the model has no lexicon.
    pub fn hotwords(&self, name: impl AsRef<Path>, list: &str) -> Result<Hotwords> {
        let name = name.as_ref();
        let Constraint::Lexicon(constraint) = &self.constraint else {
            let reason = format!("{}: hotwords need a model with a lexicon", self.config().name);
            return Err(Error::Usage { reason });
        };
        let phrases = parse(name, list)?;
        let known = constraint.lexicon();
        let (mut entries, mut guessed) = (Vec::new(), Vec::new());
        let mut added: HashSet<&str> = HashSet::new();
        for phrase in &phrases {
            let refuse = |reason: String| Error::line(name, phrase.line, reason);
            if !phrase.phones.is_empty() {
                entries.push(self.entry(&phrase.words[0], &phrase.phones).map_err(refuse)?);
                added.insert(&phrase.words[0]);
                continue;
            }
            for word in &phrase.words {
                if known.word_id(word).is_none() && added.insert(word) {
                    entries.extend(self.guess(word).map_err(refuse)?);
                    guessed.push(word.clone());
                }
            }
        }
        let lexicon = known.with_words(&entries, &self.tokens)?;
        let numbers = |phrase: &Phrase| -> Vec<WordId> {
            phrase.words.iter().filter_map(|word| lexicon.word_id(word)).collect()
        };
        let hotword: Vec<Hotword> = phrases
            .iter()
            .map(|phrase| Hotword { symbols: numbers(phrase), boost: phrase.boost })
            .collect();
        let tokens = self.spoken(&lexicon, &hotword);
        let words = HotwordTrie::new(&hotword, Vec::new());
        let lm_weight = self.config().search.lm_weight;
        Ok(Hotwords(Arc::new(Ready {
            model: Arc::clone(&self.model),
            constraint: constraint.with_hotwords(lexicon, &words.boosts(), lm_weight),
            words: Arc::new(words),
            tokens: Arc::new(tokens),
            num_phrases: phrases.len(),
            guessed,
        })))
    }

    /// A pronunciation given phone by phone.
    fn entry(&self, word: &str, phones: &[String]) -> std::result::Result<Entry, String> {
        let mut tokens = Vec::with_capacity(phones.len());
        for (i, phone) in phones.iter().enumerate() {
            let id = self
                .tokens
                .id(phone)
                .filter(|id| *id != self.tokens.end_of_block() && !self.tokens.is_word_final(*id));
            let last = i + 1 == phones.len();
            let id = id.and_then(|id| if last { self.tokens.word_final(id) } else { Some(id) });
            tokens.push(id.ok_or_else(|| format!("{phone:?} is not a phone of the model"))?);
        }
        Ok(Entry { word: word.to_owned(), tokens, cost: 0.0 })
    }

    /// Pronunciations of a word that the lexicon lacks.
    pub(crate) fn guess(&self, word: &str) -> std::result::Result<Vec<Entry>, String> {
        let Some(model) = &self.letter_to_sound else {
            return Err(format!(
                "{word:?} is not in the lexicon, and the model has no g2p.bin to tell how it is spoken; write: {word} = PH PH"
            ));
        };
        let entries = model.entries(word, &self.tokens, GUESSES);
        if entries.is_empty() {
            return Err(format!("cannot tell how {word:?} is spoken; write: {word} = PH PH"));
        }
        Ok(entries)
    }

    /// The token sequences of hotwords; a word's boost is shared by its tokens.
    fn spoken(&self, lexicon: &Lexicon, hotword: &[Hotword]) -> HotwordTrie {
        let mut words: Vec<WordId> = hotword.iter().flat_map(|f| &f.symbols).copied().collect();
        words.sort_unstable();
        words.dedup();
        let ways: HashMap<WordId, Vec<Vec<TokenId>>> =
            words.iter().copied().zip(lexicon.pronunciations_of(&words)).collect();
        let mut sequences = Vec::new();
        for Hotword { symbols, boost } in hotword {
            let mut paths: Vec<Vec<TokenId>> = vec![Vec::new()];
            for word in symbols {
                let longer = paths.iter().flat_map(|path| {
                    let ways = ways[word].iter().take(GUESSES);
                    ways.map(move |way| path.iter().chain(way).copied().collect())
                });
                paths = longer.take(MAX_WAYS).collect();
            }
            for tokens in paths {
                let boost = boost * symbols.len() as f32 / tokens.len().max(1) as f32;
                sequences.push(Hotword { symbols: tokens, boost });
            }
        }
        let inner = |id| !self.tokens.is_word_final(id);
        HotwordTrie::new(&sequences, (0..self.tokens.len() as TokenId).map(inner).collect())
    }
}

impl Hotwords {
    /// Number of lines that name words.
    #[doc(hidden)]
    pub fn num_phrases(&self) -> usize {
        self.0.num_phrases
    }

    /// Words whose pronunciation was guessed from their letters.
    #[doc(hidden)]
    pub fn guessed(&self) -> &[String] {
        &self.0.guessed
    }

    pub(crate) fn constraint(&self) -> &Constraint {
        &self.0.constraint
    }

    pub(crate) fn words(&self) -> Arc<HotwordTrie> {
        Arc::clone(&self.0.words)
    }

    pub(crate) fn tokens(&self) -> Arc<HotwordTrie> {
        Arc::clone(&self.0.tokens)
    }

    /// Whether they were made by `recognizer` or a clone of it.
    pub(crate) fn fit(&self, recognizer: &Recognizer) -> bool {
        Arc::ptr_eq(&self.0.model, &recognizer.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_words_boosts_and_pronunciations() {
        let list =
            "\u{feff}# names\nOld Kowalczyk\n\njean-luc : 2.5\r\nnguyen = W IH N\nqi = K IY : 7\n";
        let found = parse(Path::new("list"), list).unwrap();
        let expected = [
            (2, "old kowalczyk", "", DEFAULT_BOOST),
            (4, "jean luc", "", 2.5),
            (5, "nguyen", "W IH N", DEFAULT_BOOST),
            (6, "qi", "K IY", 7.0),
        ];
        let found: Vec<_> = found
            .iter()
            .map(|p| (p.line, p.words.join(" "), p.phones.join(" "), p.boost))
            .collect();
        let expected = expected.map(|(l, w, p, b)| (l, w.to_owned(), p.to_owned(), b));
        assert_eq!(found, expected);
    }

    #[test]
    fn bad_lines_are_refused_with_their_number() {
        for (list, line, what) in [
            ("fine\ncaf\u{e9}\n", 2, "'\u{e9}'"),
            ("a b c\n\nroute 66", 3, "'6'"),
            ("word : loud", 1, "boost"),
            ("word : -1", 1, "boost"),
            ("word : inf", 1, "boost"),
            ("two words = T UW", 1, "word = PH"),
            ("word =", 1, "word = PH"),
            ("= T UW", 1, "no word"),
            ("", 1, "no words"),
            (&format!("fine\n{}", "word ".repeat(101)), 2, "at most 100"),
        ] {
            let message = parse(Path::new("list.txt"), list).unwrap_err().to_string();
            assert!(message.contains(&format!("list.txt: line {line}")), "{message}");
            assert!(message.contains(what), "{message}");
        }
    }
}
