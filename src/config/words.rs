//! Settings about single words, fitted on development data.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Numbers of evidence that a word's confidence is made of.
pub const NUM_EVIDENCE: usize = 7;

/// Logistic regression from the evidence for a word to the probability that it is right (docs/model-format.md).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfidenceConfig {
    /// Constant part.
    pub intercept: f32,
    /// Factor of each number of evidence.
    pub weights: [f32; NUM_EVIDENCE],
}

/// What lies between where a token is found and the time it was spoken at. It is found between the middle of the block that emits it
/// and the places where the heads of attention look: `middle + sum(share * (centre of mass - middle))`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordTimesConfig {
    /// From where a word's first token is found to the word's start; below 0 if that is earlier.
    pub start_offset_ms: f32,
    /// From where a word's last token is found to the word's end.
    pub end_offset_ms: f32,
    /// Shares of the heads in where a word's first token is found; none: the middle of the block.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start_heads: Vec<f32>,
    /// Shares of the heads in where a word's last token is found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub end_heads: Vec<f32>,
}

/// Refuses numbers out of range.
pub(super) fn validate(
    confidence: Option<&ConfidenceConfig>,
    times: Option<&WordTimesConfig>,
    num_heads: usize,
) -> Result<()> {
    let within = |field: &str, value: f32, limit: f32| {
        if value.is_finite() && value.abs() <= limit {
            return Ok(());
        }
        Err(Error::config(field, format!("{value} is not in -{limit}..={limit}")))
    };
    if let Some(c) = confidence {
        within("confidence.intercept", c.intercept, 1e3)?;
        c.weights.iter().try_for_each(|w| within("confidence.weights", *w, 1e3))?;
    }
    if let Some(t) = times {
        within("word_times.start_offset_ms", t.start_offset_ms, 2000.0)?;
        within("word_times.end_offset_ms", t.end_offset_ms, 2000.0)?;
        for (field, heads) in
            [("word_times.start_heads", &t.start_heads), ("word_times.end_heads", &t.end_heads)]
        {
            if !heads.is_empty() && heads.len() != num_heads {
                let reason = format!("{} shares for {num_heads} heads", heads.len());
                return Err(Error::config(field, reason));
            }
            heads.iter().try_for_each(|share| within(field, *share, 100.0))?;
        }
    }
    Ok(())
}
