//! Files of a model, and lists for it.

use std::sync::OnceLock;

use vivavoce::config::ModelConfig;
use vivavoce::lexicon::{LetterToSound, Lexicon};
use vivavoce::lm::{NgramLm, TokenPrior};
use vivavoce::model::Model;
use vivavoce::text::Punctuator;
use vivavoce::tokens::TokenTable;
use vivavoce::{Precision, Recognizer, StreamOptions};

use crate::common::{folder, phone_model, phone_tokens, root};

fn recognizer() -> &'static Recognizer {
    static RECOGNIZER: OnceLock<Recognizer> = OnceLock::new();
    RECOGNIZER.get_or_init(|| {
        let mut files = phone_model();
        files.insert("g2p.bin", std::fs::read(root().join("tests/golden/g2p-tiny.bin")).unwrap());
        Recognizer::load(folder(&files).path()).unwrap()
    })
}

fn table() -> &'static TokenTable {
    static TABLE: OnceLock<TokenTable> = OnceLock::new();
    TABLE.get_or_init(|| TokenTable::parse(&phone_tokens()).unwrap())
}

pub fn hotwords(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(hotwords) = recognizer().hotwords("list.txt", text) {
        assert!(hotwords.num_phrases() > 0);
        recognizer().session(&StreamOptions::default().hotwords(hotwords)).unwrap();
    }
}

pub fn grammar(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(grammar) = recognizer().grammar("grammar.jsgf", text) {
        recognizer().session(&StreamOptions::default().grammar(grammar)).unwrap();
    }
}

pub fn config(data: &[u8]) {
    if let Ok(config) = serde_json::from_slice::<ModelConfig>(data) {
        if config.validate().is_ok() {
            assert!(config.latency_mode(None).is_ok() && config.subsampling() > 0);
        }
    }
}

pub fn tokens(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(table) = TokenTable::parse(text) {
        assert!(table.len() > 0 && (table.end_of_block() as usize) < table.len());
    }
}

pub fn lexicon(data: &[u8]) {
    let Ok(lexicon) = Lexicon::from_bytes(data, table()) else { return };
    for id in 0..lexicon.num_words().min(100) as u32 {
        let word = lexicon.word(id).expect("a word for every number");
        assert_eq!(lexicon.word_id(word), Some(id));
    }
    let words: Vec<u32> = (0..lexicon.num_words().min(100) as u32).collect();
    for way in lexicon.pronunciations_of(&words).iter().flatten() {
        assert!(way.iter().all(|token| (*token as usize) < table().len()));
    }
}

pub fn lm(data: &[u8]) {
    let Ok(lm) = NgramLm::from_bytes(data.to_vec()) else { return };
    let mut state = lm.start();
    for word in [0, 1, 2, 0, 5, u32::MAX] {
        let (log_prob, next) = lm.score(state, word);
        assert!(log_prob.is_finite(), "{log_prob}");
        state = next;
    }
    assert!(lm.end(state).is_finite());
}

pub fn g2p(data: &[u8]) {
    let Ok(model) = LetterToSound::from_bytes(data.to_vec(), table()) else { return };
    for word in ["a", "cab", "o'neill"] {
        for guess in model.pronounce(word, table(), 3) {
            assert!(!guess.tokens.is_empty() && guess.cost >= 0.0);
        }
    }
}

pub fn prior(data: &[u8]) {
    let Ok(prior) = TokenPrior::from_bytes(data.to_vec(), table().len()) else { return };
    for recent in [0, 1, 0x0001_0002_0003, u128::MAX] {
        let costs = prior.after(recent);
        assert!((0..=table().len() as u32).all(|token| costs.of(token) >= 0.0));
    }
}

pub fn punctuation(data: &[u8]) {
    let _ = Punctuator::from_bytes(data.to_vec());
}

/// Two bytes, the length of a configuration; the configuration; weights.
pub fn weights(data: &[u8]) {
    let Some((length, rest)) = data.split_first_chunk() else { return };
    let (config, weights) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
    let _ = Model::from_bytes(config, weights, Precision::default());
}
