//! Settings of search.

use serde::{Deserialize, Serialize};

/// Beam search. Scores are natural logarithms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchConfig {
    /// Hypotheses kept.
    pub beam_size: usize,
    /// States of the network kept, which hypotheses share that differ in words alone; 0 for as many as there are hypotheses. They
    /// take most of a stream's memory and time.
    #[serde(default)]
    pub max_states: usize,
    /// Factor of the language model's log-probability of a word.
    pub lm_weight: f32,
    /// Added for every word.
    pub word_bonus: f32,
    /// Added to the end-of-block symbol's logit, before the log-softmax; below 0 more is spoken.
    pub end_of_block_bias: f32,
    /// Hypotheses this far below the best are dropped.
    pub prune_log_prob: f32,
    /// Share of the tokens' own n-gram model (`prior.bin`) that is taken back from the network's log-probabilities.
    #[serde(default)]
    pub prior_weight: f32,
    /// Share of the transducer's own expectation of the token to come, had nothing been heard, that is taken back from its log-probabilities.
    #[serde(default)]
    pub internal_lm_weight: f32,
    /// Share of the neural language model (`word_lm.safetensors`) in the probability of a word; 0 leaves it unused.
    #[serde(default)]
    pub neural_weight: f32,
    /// Factor of a pronunciation's cost in the lexicon.
    #[serde(default = "default_pronunciation_weight")]
    pub pronunciation_weight: f32,
    /// Hypotheses that differ only before their last `merge_tokens` tokens, and that the language model cannot tell apart,
    /// are merged; at most 8, 0 for never.
    #[serde(default = "default_merge_tokens")]
    pub merge_tokens: usize,
}

fn default_merge_tokens() -> usize {
    4
}

fn default_pronunciation_weight() -> f32 {
    0.5
}
