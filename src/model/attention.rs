//! Reads the weights of an attention.

use crate::attention::{
    AreaKey, Areas, Attention, Keys, LOCATION_FILTERS, LOCATION_TAPS, Mix, Modulation,
    PositionBias, Prediction, Score,
};
use crate::config::{AreaKeyKind, AreaValueKind, MixKind, ModelConfig, ScoreKind};
use crate::error::Result;
use crate::nn::Linear;
use crate::weights::Weights;

const NAME: &str = "transducer.attention";

/// # Errors
/// [`Error::Model`](crate::Error::Model) naming the first tensor that does not fit.
pub(super) fn load(config: &ModelConfig, weights: &Weights<'_>) -> Result<Attention> {
    let a = &config.attention;
    let (heads, dim, n) = (a.num_heads, a.dim, a.dim / a.num_heads);
    let (state, encoder) = (config.transducer.state_dim, config.encoder.dim);
    let named = |leaf: &str| format!("{NAME}.{leaf}");
    let linear = |leaf: &str, outputs, inputs| weights.linear(&named(leaf), outputs, inputs);
    let tensor = |leaf: &str, shape: &[usize]| weights.tensor(&named(leaf), shape);
    let value = linear("value", dim, encoder)?;
    let (mut query, mut key) = (None, Keys::None);
    let score = if a.mix == MixKind::Last {
        Score::Dot { scale: 1.0 }
    } else {
        match a.score {
            ScoreKind::Concat => {
                let columns = state + encoder;
                let joint = weights.matrix(&named("concat.weight"), dim, columns)?;
                let bias = tensor("concat.bias", &[dim])?;
                key = Keys::Linear(Linear::from_packed(
                    joint.pack_columns(columns, state..columns),
                    vec![0.0; dim],
                ));
                query = Some(Linear::from_packed(joint.pack_columns(columns, 0..state), bias));
            }
            ScoreKind::General => {
                let outputs = heads * encoder;
                let weight = weights.matrix(&named("query.weight"), outputs, state)?;
                query = Some(Linear::from_packed(weight.pack(state), vec![0.0; outputs]));
                key = Keys::Frames;
            }
            ScoreKind::Latent => key = Keys::Linear(linear("key", dim, encoder)?),
            _ => {
                query = Some(linear("query", dim, state)?);
                key = Keys::Linear(linear("key", dim, encoder)?);
            }
        }
        let energy = || tensor("energy", &[heads, n]);
        match a.score {
            ScoreKind::Dot => Score::Dot { scale: 1.0 },
            ScoreKind::ScaledDot => Score::Dot { scale: 1.0 / (n as f32).sqrt() },
            ScoreKind::General => Score::Dot { scale: 1.0 / (encoder as f32).sqrt() },
            ScoreKind::Cosine => Score::Cosine { sharpness: tensor("sharpness", &[heads])? },
            ScoreKind::Additive | ScoreKind::Concat => Score::Additive { energy: energy()? },
            ScoreKind::Latent => Score::Latent { energy: energy()? },
            ScoreKind::Location => Score::Location {
                energy: energy()?,
                filters: tensor("filters", &[LOCATION_FILTERS, LOCATION_TAPS])?,
                location: tensor("location.weight", &[dim, LOCATION_FILTERS])?,
            },
        }
    };
    let biased = a.max_positions > 0 && a.mix != MixKind::Last;
    let bias =
        if biased { tensor("position_bias", &[heads, a.max_positions])? } else { Vec::new() };
    let hop = if a.hops > 1 { Some(linear("hop", state, dim)?) } else { None };
    let attention = Attention {
        query,
        key,
        value,
        score,
        position_bias: PositionBias::new(bias, heads),
        mix: mix(config, weights)?,
        hops: a.hops,
        hop,
        num_heads: heads,
    };
    Ok(attention.checked())
}

fn mix(config: &ModelConfig, weights: &Weights<'_>) -> Result<Mix> {
    let a = &config.attention;
    let (heads, dim, n) = (a.num_heads, a.dim, a.dim / a.num_heads);
    let named = |leaf: &str| format!("{NAME}.{leaf}");
    let linear = |leaf: &str, outputs, inputs| weights.linear(&named(leaf), outputs, inputs);
    let tensor = |leaf: &str, shape: &[usize]| weights.tensor(&named(leaf), shape);
    Ok(match a.mix {
        MixKind::Soft => Mix::Soft,
        MixKind::Hard => Mix::Hard,
        MixKind::Last => Mix::Last,
        MixKind::Area => {
            let key = match a.area_key {
                AreaKeyKind::Mean => None,
                AreaKeyKind::MeanStd => Some(AreaKey {
                    width: tensor("area_width", &[a.max_area, n])?,
                    inner: linear("area_in", n, 3 * n)?,
                    out: linear("area_out", n, n)?,
                }),
            };
            let bias = tensor("area_bias", &[heads, a.max_area])?;
            let sum = a.area_value == AreaValueKind::Sum;
            Mix::Area(Areas { max_area: a.max_area, bias, sum, key })
        }
        MixKind::Predictive => Mix::Predictive(Prediction {
            place: linear("place", dim, config.transducer.state_dim)?,
            energy: tensor("place_energy", &[heads, n])?,
        }),
        MixKind::Recurrent => {
            let places = heads * a.max_positions;
            let cell = weights.lstm_cell(&named("cell"), places, a.recurrent_dim)?;
            Mix::Recurrent(Modulation { cell, weigh: linear("weigh", places, a.recurrent_dim)? })
        }
    })
}
