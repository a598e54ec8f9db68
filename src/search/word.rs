//! What search gives back.

use super::{Emitted, NUM_PLACES};

/// A recognised word.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Word {
    /// [`crate::lexicon::WordId`], or the [`crate::tokens::TokenId`] where search has no lexicon.
    pub id: u32,
    /// Block, counted from 0 at the start of the stream, in which the first token was emitted.
    pub first_block: u32,
    /// Block in which the last token was emitted.
    pub last_block: u32,
    /// Where the first token begins, in encoder frames from the end of `first_block`.
    pub start_place: f32,
    /// Where the last token ends, in encoder frames from the end of `last_block`.
    pub end_place: f32,
    /// Natural log-probability that the network gives the word's tokens.
    pub log_prob: f32,
    /// Of the least likely of them.
    pub lowest_log_prob: f32,
    /// How many they are.
    pub num_tokens: u32,
    /// Natural log-probability that the language model gives the word; 0 without one.
    pub lm_log_prob: f32,
    /// Share of the hypotheses, by probability, that had the word at its place, over the blocks until it was settled; 1 where
    /// search follows one hypothesis.
    pub support: f32,
    /// The lowest of these shares.
    pub lowest_support: f32,
    /// Its tokens.
    pub emitted: Emitted,
}

impl Word {
    /// A word of one token, as search without lexicon finds them.
    pub(super) fn of_token(id: u32, block: u32, log_prob: f32, places: [f32; NUM_PLACES]) -> Self {
        Self {
            id,
            first_block: block,
            last_block: block,
            start_place: places[0],
            end_place: places[1],
            log_prob,
            lowest_log_prob: log_prob,
            num_tokens: 1,
            lm_log_prob: 0.0,
            support: 1.0,
            lowest_support: 1.0,
            emitted: Emitted::default(),
        }
    }
}

/// A sequence of words and its score.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// The words.
    pub words: Vec<Word>,
    /// Natural log-probability of the whole stream, with all weights and bonuses.
    pub score: f64,
    /// What was emitted last, and with what probability all.
    pub emitted: Emitted,
}
