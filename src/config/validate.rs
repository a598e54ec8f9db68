//! What a configuration must fulfil before anything is made of it.

use super::{AreaKeyKind, FORMAT_VERSION, FrontendConfig, MixKind, ModelConfig, ScoreKind};
use crate::error::{Error, Result};

impl ModelConfig {
    /// Refuses values that would make a later stage fail or allocate without bound.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first field that is out of range.
    pub fn validate(&self) -> Result<()> {
        if self.format_version != FORMAT_VERSION {
            return Err(Error::config(
                "format_version",
                format!("{} is not {FORMAT_VERSION}, the version read here", self.format_version),
            ));
        }
        let f = &self.features;
        within("features.sample_rate_hz", f.sample_rate_hz as usize, 8_000, 48_000)?;
        finite("features.frame_length_ms", f.frame_length_ms, 1.0, 100.0)?;
        finite("features.frame_shift_ms", f.frame_shift_ms, 1.0, f.frame_length_ms)?;
        within("features.num_mel_bins", f.num_mel_bins, 1, 256)?;
        within("features.fft_size", f.fft_size, f.frame_length_samples(), 8192)?;
        finite("features.low_hz", f.low_hz, 0.0, f.high_hz - 1.0)?;
        finite("features.high_hz", f.high_hz, 1.0, f.sample_rate_hz as f32 / 2.0)?;
        finite("features.log_floor", f.log_floor, 1e-20, 1.0)?;
        within("encoder.dim", self.encoder.dim, 1, 4096)?;
        within("encoder.num_layers", self.encoder.num_layers, 1, 32)?;
        if let Some(s) = &self.encoder.self_attention {
            within("encoder.self_attention.num_layers", s.num_layers, 1, 32)?;
            within("encoder.self_attention.num_heads", s.num_heads, 1, 64)?;
            within("encoder.self_attention.left_frames", s.left_frames, 0, 1024)?;
            if !self.encoder.dim.is_multiple_of(s.num_heads) {
                let reason = "must divide encoder.dim";
                return Err(Error::config("encoder.self_attention.num_heads", reason));
            }
        }
        if let Some(mean) = &self.encoder.running_mean {
            finite("encoder.running_mean.prior_frames", mean.prior_frames, 0.0, 1e6)?;
            finite("encoder.running_mean.horizon_frames", mean.horizon_frames, 2.0, 1e6)?;
        }
        self.validate_context_layers()?;
        if let Some(fine) = &self.encoder.fine_layers {
            within("encoder.fine_layers.dim", fine.dim, 1, 4096)?;
            within("encoder.fine_layers.num_layers", fine.num_layers, 1, 32)?;
            if matches!(self.encoder.frontend, FrontendConfig::Linear { .. }) {
                let reason = "they stand between a convolution and the joining of its frames";
                return Err(Error::config("encoder.fine_layers", reason));
            }
        }
        match &self.encoder.frontend {
            FrontendConfig::Conv { channels, stack } => {
                within("encoder.frontend.channels", channels[0], 1, 512)?;
                within("encoder.frontend.channels", channels[1], 1, 512)?;
                within("encoder.frontend.stack", *stack, 1, 8)?;
                if !f.num_mel_bins.is_multiple_of(4) {
                    return Err(Error::config("features.num_mel_bins", "must be a multiple of 4"));
                }
            }
            FrontendConfig::Linear { input_dim } => {
                within("encoder.frontend.input_dim", *input_dim, 1, 4096)?;
            }
        }
        self.validate_transducer()?;
        for (name, mode) in &self.latency_modes {
            let field = |leaf: &str| format!("latency_modes.{name}.{leaf}");
            within(&field("block_frames"), mode.block_frames, 1, 1024)?;
            within(&field("look_back_frames"), mode.look_back_frames, 0, 1024)?;
            within(&field("look_ahead_frames"), mode.look_ahead_frames, 0, 1024)?;
            within(&field("max_tokens_per_block"), mode.max_tokens_per_block, 1, 1024)?;
        }
        self.latency_mode(None)?;
        finite("streaming.tail_padding_ms", self.streaming.tail_padding_ms, 0.0, 10_000.0)?;
        let s = &self.search;
        within("search.beam_size", s.beam_size, 1, 1024)?;
        within("search.max_states", s.max_states, 0, 1024)?;
        finite("search.lm_weight", s.lm_weight, 0.0, 100.0)?;
        finite("search.word_bonus", s.word_bonus, -100.0, 100.0)?;
        finite("search.end_of_block_bias", s.end_of_block_bias, -20.0, 20.0)?;
        within("search.merge_tokens", s.merge_tokens, 0, 8)?;
        finite("search.prior_weight", s.prior_weight, 0.0, 10.0)?;
        finite("search.internal_lm_weight", s.internal_lm_weight, 0.0, 10.0)?;
        finite("search.neural_weight", s.neural_weight, 0.0, 1.0)?;
        finite("search.pronunciation_weight", s.pronunciation_weight, 0.0, 100.0)?;
        finite("search.prune_log_prob", s.prune_log_prob, 0.0, 1e6)?;
        super::words::validate(
            self.confidence.as_ref(),
            self.word_times.as_ref(),
            self.attention.num_heads,
        )
    }

    fn validate_context_layers(&self) -> Result<()> {
        let Some(context) = &self.encoder.context_layers else { return Ok(()) };
        within("encoder.context_layers.dim", context.dim, 1, 4096)?;
        within("encoder.context_layers.hidden_dim", context.hidden_dim, 1, 8192)?;
        let field = "encoder.context_layers.offsets";
        within(field, context.offsets.len(), 1, 64)?;
        for offsets in &context.offsets {
            within(field, offsets.len(), 1, 16)?;
            if !offsets.iter().all(|o| (-64..=64).contains(o)) {
                return Err(Error::config(field, "an offset is not in -64..=64"));
            }
        }
        if self.encoder.fine_layers.is_some() {
            return Err(Error::config("encoder.fine_layers", "not beside context_layers"));
        }
        match &self.encoder.frontend {
            FrontendConfig::Conv { stack, .. } if context.after().is_multiple_of(*stack) => Ok(()),
            FrontendConfig::Conv { stack, .. } => {
                let reason = format!(
                    "they look ahead {} frames, not a multiple of the {stack} that are joined",
                    context.after()
                );
                Err(Error::config(field, reason))
            }
            FrontendConfig::Linear { .. } => {
                let reason = "they stand between a convolution and the joining of its frames";
                Err(Error::config("encoder.context_layers", reason))
            }
        }
    }

    fn validate_transducer(&self) -> Result<()> {
        let t = &self.transducer;
        within("transducer.embedding_dim", t.embedding_dim, 1, 4096)?;
        within("transducer.state_dim", t.state_dim, 1, 4096)?;
        within("transducer.state_layers", t.state_layers, 1, 8)?;
        within("transducer.emit_dim", t.emit_dim, 1, 4096)?;
        within("transducer.emit_layers", t.emit_layers, 1, 8)?;
        if t.input_feeding && !t.carry_state {
            return Err(Error::config("transducer.input_feeding", "needs carry_state"));
        }
        within("transducer.history", t.history, 0, MAX_HISTORY)?;
        if t.history > 0 && (t.input_feeding || !t.carry_state) {
            let reason = "feeds nothing back and begins nothing anew";
            return Err(Error::config("transducer.history", reason));
        }
        if t.history > 0 && (t.state_layers, t.emit_layers) != (1, 1) {
            return Err(Error::config("transducer.history", "needs one layer before and after"));
        }
        let a = &self.attention;
        within("attention.num_heads", a.num_heads, 1, 64)?;
        within("attention.dim", a.dim, a.num_heads, 4096)?;
        within("attention.max_positions", a.max_positions, 0, 1024)?;
        within("attention.hops", a.hops, 1, 16)?;
        within("attention.max_area", a.max_area, 1, 64)?;
        within("attention.recurrent_dim", a.recurrent_dim, 1, 4096)?;
        if !a.dim.is_multiple_of(a.num_heads) {
            return Err(Error::config("attention.dim", "must be a multiple of num_heads"));
        }
        let product = matches!(
            a.score,
            ScoreKind::ScaledDot | ScoreKind::Dot | ScoreKind::General | ScoreKind::Cosine
        );
        if a.mix == MixKind::Area && !product {
            return Err(Error::config("attention.score", "areas need a score that is a product"));
        }
        let joined = a.area_key == AreaKeyKind::MeanStd && a.score == ScoreKind::General;
        if a.mix == MixKind::Area && joined {
            return Err(Error::config("attention.area_key", "mean_std needs keys of their own"));
        }
        if a.keeps_state() && !t.carry_state {
            return Err(Error::config("transducer.carry_state", "this attention needs it"));
        }
        if a.keeps_state() && a.hops > 1 {
            return Err(Error::config("attention.hops", "this attention looks once"));
        }
        for mode in self.latency_modes.values().filter(|_| a.keeps_state()) {
            let before = a.max_positions * 3 / 4;
            if mode.block_frames.saturating_add(mode.look_back_frames) > before
                || mode.look_ahead_frames > a.max_positions - before
            {
                let reason = format!("{} places for {mode:?}", a.max_positions);
                return Err(Error::config("attention.max_positions", reason));
            }
        }
        Ok(())
    }
}

/// Of tokens that a transducer may know: what a search tells apart in 64 bits.
const MAX_HISTORY: usize = 4;

fn within(field: &str, value: usize, low: usize, high: usize) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::config(field, format!("{value} is not in {low}..={high}")))
}
fn finite(field: &str, value: f32, low: f32, high: f32) -> Result<()> {
    if value.is_finite() && value >= low && value <= high {
        return Ok(());
    }
    Err(Error::config(field, format!("{value} is not in {low}..={high}")))
}
