//! The token table: what the transducer's outputs are called.

use std::collections::HashMap;

use crate::error::{Error, Result};

/// Index of a token: its line in `tokens.txt` and its column in the transducer's output.
pub type TokenId = u32;

const FILE: &str = "tokens.txt";
const END_OF_BLOCK: &str = "<e>";
const WORD_FINAL_SUFFIX: &str = "_E";
const WORD_START: char = '▁';

/// The tokens of a model, in the order of their ids.
#[derive(Debug, Clone)]
pub struct TokenTable {
    texts: Vec<String>,
    ids: HashMap<String, TokenId>,
    word_final: Vec<bool>,
    end_of_block: TokenId,
}

impl TokenTable {
    /// Reads the text of a `tokens.txt`: one token a line.
    ///
    /// # Errors
    /// [`Error::Model`] if a line is empty, a token occurs twice, or `<e>` is missing.
    pub fn parse(text: &str) -> Result<Self> {
        let texts: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut ids = HashMap::with_capacity(texts.len());
        for (i, token) in texts.iter().enumerate() {
            let line = i + 1;
            if token.is_empty() || token.contains(char::is_whitespace) {
                return Err(Error::model(FILE, format!("line {line}: {token:?} is not a token")));
            }
            if ids.insert(token.clone(), i as TokenId).is_some() {
                return Err(Error::model(FILE, format!("line {line}: {token:?} occurs twice")));
            }
        }
        let Some(&end_of_block) = ids.get(END_OF_BLOCK) else {
            return Err(Error::model(FILE, format!("no end-of-block token {END_OF_BLOCK:?}")));
        };
        let word_final = texts
            .iter()
            .map(|t| t.strip_suffix(WORD_FINAL_SUFFIX).is_some_and(|phone| ids.contains_key(phone)))
            .collect();
        Ok(Self { texts, ids, word_final, end_of_block })
    }

    /// Number of tokens, the end-of-block symbol included.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are no tokens; never true of a parsed table.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The text of `id`.
    pub fn text(&self, id: TokenId) -> Option<&str> {
        self.texts.get(id as usize).map(String::as_str)
    }

    /// The token called `text`.
    pub fn id(&self, text: &str) -> Option<TokenId> {
        self.ids.get(text).copied()
    }

    /// The end-of-block symbol, the paper's `<e>`.
    pub fn end_of_block(&self) -> TokenId {
        self.end_of_block
    }

    /// The token without its word-final mark: a phone's plain form; any other token itself.
    pub fn plain(&self, id: TokenId) -> TokenId {
        let stripped = self.text(id).filter(|_| self.is_word_final(id));
        let plain = stripped.and_then(|text| text.strip_suffix(WORD_FINAL_SUFFIX));
        plain.and_then(|text| self.id(text)).unwrap_or(id)
    }

    /// The word-final form of a phone, `None` if it has none.
    pub fn word_final(&self, id: TokenId) -> Option<TokenId> {
        self.id(&format!("{}{WORD_FINAL_SUFFIX}", self.text(id)?))
    }

    /// Whether `id` is a phone in its word-final form (`AA_E` beside `AA`).
    pub fn is_word_final(&self, id: TokenId) -> bool {
        self.word_final.get(id as usize).copied().unwrap_or(false)
    }

    /// Whether `id` is a piece that starts a word (`▁`).
    pub fn is_word_start(&self, id: TokenId) -> bool {
        self.text(id).is_some_and(|t| t.starts_with(WORD_START))
    }

    /// Joins pieces to words: `▁` becomes a space; end-of-block symbols and unknown ids are left out.
    pub fn detokenise(&self, ids: impl IntoIterator<Item = TokenId>) -> String {
        let mut out = String::new();
        for id in ids {
            if id == self.end_of_block {
                continue;
            }
            for c in self.text(id).unwrap_or_default().chars() {
                match c {
                    WORD_START if out.is_empty() => {}
                    WORD_START => out.push(' '),
                    c => out.push(c),
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_line_numbers_and_end_of_block_is_found_by_name() {
        let table = TokenTable::parse("AA\n<e>\nAA_E\n").unwrap();
        assert_eq!((table.len(), table.end_of_block()), (3, 1));
        assert_eq!((table.id("AA_E"), table.text(2), table.text(3)), (Some(2), Some("AA_E"), None));
        assert!(table.is_word_final(2) && !table.is_word_final(0) && !table.is_word_final(99));
        assert_eq!((table.word_final(0), table.word_final(2)), (Some(2), None));
    }

    #[test]
    fn pieces_join_to_words() {
        let table = TokenTable::parse("<e>\n▁to\nday\n▁is\n").unwrap();
        assert_eq!(table.detokenise([1, 0, 2, 3, 0]), "today is");
        assert!(table.is_word_start(1) && !table.is_word_start(2));
    }

    #[test]
    fn bad_tables_are_refused_with_the_line() {
        for (text, expected) in [
            ("", "end-of-block"),
            ("A\nB\n", "end-of-block"),
            ("<e>\n\nA\n", "line 2"),
            ("<e>\nA\nA\n", "line 3"),
            ("<e>\nA B\n", "line 2"),
        ] {
            let message = TokenTable::parse(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
