//! Files of a model, and lists for it.

use std::path::Path;
use std::sync::OnceLock;

use vivavoce::config::{ModelConfig, Units};
use vivavoce::lexicon::{LetterToSound, Lexicon};
use vivavoce::lm::{NeuralLm, NeuralScratch, NgramLm, TokenPrior};
use vivavoce::model::Model;
use vivavoce::text::Punctuator;
use vivavoce::tokens::TokenTable;
use vivavoce::{Precision, Recognizer, StreamOptions};

use crate::common::{Solo, folder, noise, phone_model, phone_tokens, root};

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

/// Two bytes, the length of a configuration; the configuration; weights. What loads hears a moment of noise, in each precision.
pub fn weights(data: &[u8]) {
    let Some((length, rest)) = data.split_first_chunk() else { return };
    let (config, weights) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
    for precision in [Precision::Stored, Precision::F32, Precision::Int8] {
        let Ok(model) = Model::from_bytes(config, weights, precision) else { return };
        let phones = model.config().units == Units::Phones;
        let mut builder = Recognizer::builder()
            .file("config.json", config.to_vec())
            .file("model.safetensors", weights.to_vec())
            .precision(precision);
        builder = if phones {
            let lexicon = std::fs::read(root().join("tests/golden/lexicon-tiny.bin")).unwrap();
            builder.file("tokens.txt", phone_tokens().into_bytes()).file("lexicon.bin", lexicon)
        } else {
            let tokens = std::fs::read(root().join("tests/golden/plain/tokens.txt")).unwrap();
            builder.file("tokens.txt", tokens)
        };
        let Ok(recognizer) = builder.build() else { continue };
        let mut solo = Solo::new(&recognizer, &StreamOptions::default());
        let _ = solo.accept_waveform(&noise(4_000, 1)).and_then(|_| solo.finish());
    }
}

/// Words are numbers of vectors; whatever the weights are, what they say is a cost.
pub fn word_lm(data: &[u8]) {
    for precision in [Precision::Stored, Precision::F32] {
        let path = Path::new("word_lm.safetensors");
        let Ok(lm) = NeuralLm::from_bytes(path, data, precision) else { return };
        let (state, outlook) = lm.start();
        let (mut states, mut outlook) = (state.repeat(3), outlook.clone());
        let mut scratch = NeuralScratch::default();
        for words in [[0, 1, 2], [3, 0, u32::MAX], [5, 70_000, 4]] {
            assert!(!lm.end(&outlook).is_nan(), "the end");
            for word in words {
                let known = (word as usize) < lm.num_words();
                let cost = lm.log_prob(&outlook, word);
                assert_eq!(cost.is_some(), known);
                assert!(cost.is_none_or(|cost| cost <= 0.0), "{cost:?}");
            }
            lm.step(&states, &words, &mut scratch);
            for (row, state) in states.chunks_exact_mut(lm.state_size()).enumerate() {
                state.copy_from_slice(lm.state(row, &scratch));
            }
            lm.outlook_into(2, &scratch, &mut outlook);
        }
    }
}
