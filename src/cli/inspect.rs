//! `vivavoce inspect`.

use std::io::Write;

use serde_json::json;
use vivavoce::search::Constraint;
use vivavoce::{Engine, StreamOptions};

use super::args::{InspectArguments, InspectWhat};

pub fn run(arguments: &InspectArguments) -> anyhow::Result<()> {
    if let Some(InspectWhat::Attention(arguments)) = &arguments.what {
        return super::attention::run(arguments);
    }
    let recognizer = super::recognizer(&arguments.model)?;
    let config = recognizer.config();
    let summary = recognizer.model().summary();
    let words = match recognizer.constraint() {
        Constraint::Lexicon(constraint) => constraint.lexicon().num_words(),
        Constraint::Free | Constraint::Text(_) | Constraint::Grammar(_) => 0,
    };
    let order = recognizer.constraint().lm().map_or(0, vivavoce::lm::NgramLm::order);
    let mut session = recognizer.session(&StreamOptions::default())?;
    let mut engine = Engine::new(&recognizer);
    let rate_hz = recognizer.sample_rate_hz();
    for _ in 0..20 {
        session.accept_waveform(rate_hz, &vec![0.0; rate_hz as usize / 10])?;
        engine.advance(&mut [&mut session])?;
    }
    let mut out = std::io::stdout().lock();
    if arguments.json {
        let value = json!({
            "config": config,
            "parameters": {
                "encoder": summary.encoder_parameters,
                "attention": summary.attention_parameters,
                "transducer": summary.transducer_parameters,
            },
            "bytes": {
                "stream": session.num_bytes(),
                "hypothesis": summary.hypothesis_state_bytes,
            },
            "tokens": recognizer.tokens().len(),
            "words": words,
            "lm_order": order,
        });
        return Ok(writeln!(out, "{value:#}")?);
    }
    let total =
        summary.encoder_parameters + summary.attention_parameters + summary.transducer_parameters;
    writeln!(out, "model        {} ({})", config.name, config.language)?;
    writeln!(
        out,
        "audio        {} Hz, {} mel bins every {} ms, encoder frames of {} ms",
        config.features.sample_rate_hz,
        config.features.num_mel_bins,
        config.features.frame_shift_ms,
        config.encoder_frame_ms()
    )?;
    writeln!(
        out,
        "parameters   {:.2} M: encoder {:.2} M ({} layers of {}), attention {:.2} M, transducer {:.2} M",
        millions(total),
        millions(summary.encoder_parameters),
        config.encoder.num_layers,
        config.encoder.dim,
        millions(summary.attention_parameters),
        millions(summary.transducer_parameters)
    )?;
    writeln!(
        out,
        "memory       {} KiB a stream, {} KiB a hypothesis",
        session.num_bytes() / 1024,
        summary.hypothesis_state_bytes / 1024
    )?;
    writeln!(out, "tokens       {} ({:?})", recognizer.tokens().len(), config.units)?;
    if words > 0 {
        writeln!(out, "lexicon      {words} words, language model of order {order}")?;
    }
    for (name, mode) in &config.latency_modes {
        let frame = config.encoder_frame_ms();
        let ahead = (mode.look_ahead_frames + config.encoder.lag_frames()) as f32 * frame;
        let block = mode.block_frames as f32 * frame;
        let mark = if *name == config.default_latency { " (default)" } else { "" };
        writeln!(
            out,
            "latency      {name}: blocks of {block} ms, waits {} ms on average, {} ms at most{mark}",
            ahead + block / 2.0,
            ahead + block
        )?;
    }
    Ok(())
}

fn millions(count: usize) -> f64 {
    count as f64 / 1e6
}
