//! Figures of a replay: as JSON, as a table, and compared with earlier ones.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use vivavoce::Recognizer;

use super::Setting;

use super::replay::Measured;
use crate::cli::args::BenchArguments;

/// Relative difference that counts as noise where a setting was measured only once.
const SINGLE_RUN_NOISE: f64 = 0.1;

/// Percentiles of a latency.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Quantiles {
    pub count: usize,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
}

/// Share of real time (CPU seconds a second of audio) that each stage takes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Stages {
    pub resample: f64,
    pub features: f64,
    pub encoder: f64,
    pub transducer: f64,
    pub search: f64,
}

/// All figures of one setting. Where it was measured more than once, medians for the first ones and all values for latencies.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    pub latency: String,
    pub search: String,
    pub precision: String,
    pub beam: usize,
    pub streams: usize,
    pub paced: bool,
    pub chunk_ms: usize,
    pub runs: usize,
    pub audio_s: f64,
    pub wall_s: f64,
    /// CPU seconds a second of audio.
    pub real_time_factor: f64,
    /// Half of the relative distance between the smallest and the largest.
    pub real_time_factor_spread: f64,
    pub cpu_s_per_audio_hour: f64,
    pub stages: Stages,
    /// Steps of the transducer a second of audio, and rows (hypotheses) in them.
    pub transducer_steps_per_s: f64,
    pub transducer_rows_per_s: f64,
    pub block_latency_ms: Quantiles,
    pub first_partial_ms: Quantiles,
    pub word_latency_ms: Quantiles,
    pub words_matched: f64,
    pub final_after_end_ms: Quantiles,
    pub unstable_partial_words: f64,
    pub queue_lag_ms: Quantiles,
    pub bytes_per_stream: usize,
    pub peak_memory_bytes: Option<u64>,
    /// 0 %, 1 % ... 100 % of the block latency.
    pub block_latency_distribution_ms: Vec<f64>,
}

pub fn at(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((share * last as f64).round() as usize).copied().unwrap_or(0.0)
}

pub fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

pub fn quantiles(seconds: impl Iterator<Item = f64>) -> Quantiles {
    let ms = sorted(seconds.map(|s| s * 1e3));
    Quantiles { count: ms.len(), p50: at(&ms, 0.5), p90: at(&ms, 0.9), p99: at(&ms, 0.99) }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    at(&sorted(values), 0.5)
}

/// The most memory that this process ever had, where the system tells.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kb| kb * 1024)
}

impl Report {
    pub fn new(
        recognizer: &Recognizer,
        setting: &Setting,
        arguments: &BenchArguments,
        runs: &[Measured],
    ) -> Self {
        let factors = sorted(runs.iter().map(|r| r.cpu_s / r.audio_s));
        let real_time_factor = at(&factors, 0.5);
        let spread = (at(&factors, 1.0) - at(&factors, 0.0)) / 2.0 / real_time_factor;
        let stage = |get: fn(&Measured) -> std::time::Duration| {
            median(runs.iter().map(|r| get(r).as_secs_f64() / r.audio_s))
        };
        let all = |get: fn(&Measured) -> &Vec<f64>| {
            quantiles(runs.iter().flat_map(move |r| get(r).iter().copied()))
        };
        let blocks = sorted(runs.iter().flat_map(|r| r.block_latency.iter().map(|s| s * 1e3)));
        let sum = |get: fn(&Measured) -> usize| runs.iter().map(get).sum::<usize>() as f64;
        let config = recognizer.config();
        let precision = arguments.model.precision();
        Self {
            latency: setting.latency.clone().unwrap_or_else(|| config.default_latency.clone()),
            search: format!("{:?}", arguments.search.search).to_lowercase(),
            precision: format!("{precision:?}").to_lowercase(),
            beam: setting.beam_size.unwrap_or(config.search.beam_size),
            streams: setting.streams,
            paced: !arguments.unpaced,
            chunk_ms: arguments.chunk_ms,
            runs: runs.len(),
            audio_s: runs.iter().map(|r| r.audio_s).sum(),
            wall_s: runs.iter().map(|r| r.wall_s).sum(),
            real_time_factor,
            real_time_factor_spread: spread,
            cpu_s_per_audio_hour: real_time_factor * 3600.0,
            stages: Stages {
                resample: stage(|r| r.resample),
                features: stage(|r| r.stages.features),
                encoder: stage(|r| r.stages.encoder),
                transducer: stage(|r| r.stages.transducer),
                search: stage(|r| r.stages.search),
            },
            transducer_steps_per_s: median(runs.iter().map(|r| r.stages.steps as f64 / r.audio_s)),
            transducer_rows_per_s: median(runs.iter().map(|r| r.stages.rows as f64 / r.audio_s)),
            block_latency_ms: all(|r| &r.block_latency),
            first_partial_ms: all(|r| &r.first_partial),
            word_latency_ms: all(|r| &r.word_latency),
            words_matched: sum(|r| r.word_latency.len()) / sum(|r| r.reference_words).max(1.0),
            final_after_end_ms: all(|r| &r.final_after_end),
            unstable_partial_words: sum(|r| r.unstable_words) / sum(|r| r.final_words).max(1.0),
            queue_lag_ms: all(|r| &r.queue_lag),
            bytes_per_stream: runs.iter().map(|r| r.bytes_per_stream).max().unwrap_or(0),
            peak_memory_bytes: peak_memory_bytes(),
            block_latency_distribution_ms: (0..=100)
                .map(|p| at(&blocks, f64::from(p) / 100.0))
                .collect(),
        }
    }

    fn name(&self) -> String {
        let pace = if self.paced { "paced" } else { "unpaced" };
        let Self { latency, search, precision, beam, streams, .. } = self;
        format!("{latency} {search} {precision} beam {beam}, {streams} streams {pace}")
    }

    fn noise(&self) -> f64 {
        if self.runs > 2 { self.real_time_factor_spread } else { SINGLE_RUN_NOISE }
    }
}

pub fn table(out: &mut impl Write, reports: &[Report]) -> std::io::Result<()> {
    for r in reports {
        let s = &r.stages;
        let quantiles =
            |q: &Quantiles| format!("{:7.1} {:7.1} {:7.1}   of {}", q.p50, q.p90, q.p99, q.count);
        writeln!(out, "{} ({} runs, {:.1} s of audio)", r.name(), r.runs, r.audio_s)?;
        writeln!(out, "  real-time factor         {:.5}", r.real_time_factor)?;
        writeln!(out, "  CPU seconds, audio hour  {:.1}", r.cpu_s_per_audio_hour)?;
        for (name, share) in [
            ("resample", s.resample),
            ("features", s.features),
            ("encoder", s.encoder),
            ("transducer", s.transducer),
            ("search", s.search),
        ] {
            writeln!(out, "    {name:<22} {share:.5}")?;
        }
        let (steps, rows) = (r.transducer_steps_per_s, r.transducer_rows_per_s);
        writeln!(out, "  steps a second           {steps:.1} with {rows:.1} rows")?;
        writeln!(out, "  milliseconds                 p50     p90     p99")?;
        for (name, values) in [
            ("block latency", &r.block_latency_ms),
            ("first partial", &r.first_partial_ms),
            ("word emission", &r.word_latency_ms),
            ("final after end", &r.final_after_end_ms),
            ("queue lag", &r.queue_lag_ms),
        ] {
            writeln!(out, "    {name:<20} {}", quantiles(values))?;
        }
        writeln!(out, "  words matched            {:.1} %", 100.0 * r.words_matched)?;
        writeln!(out, "  unstable partial words   {:.3}", r.unstable_partial_words)?;
        writeln!(out, "  bytes a stream           {}", r.bytes_per_stream)?;
        if let Some(bytes) = r.peak_memory_bytes {
            writeln!(out, "  peak memory              {:.1} MB", bytes as f64 / 1e6)?;
        }
    }
    Ok(())
}

/// What `--json` or `--jsonl` printed.
pub fn read(path: &Path) -> anyhow::Result<Vec<Report>> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let lines = || text.lines().map(serde_json::from_str).collect();
    serde_json::from_str(&text)
        .or_else(|_| lines())
        .with_context(|| format!("{name}: not what vivavoce bench --json prints"))
}

/// Ratios of the settings that both have.
pub fn compare(out: &mut impl Write, before: &[Report], now: &[Report]) -> std::io::Result<()> {
    for new in now {
        let Some(old) = before.iter().find(|old| old.name() == new.name()) else {
            writeln!(out, "{}: not measured before", new.name())?;
            continue;
        };
        let ratio = new.real_time_factor / old.real_time_factor;
        let noise = old.noise() + new.noise();
        let verdict = if (ratio - 1.0).abs() > noise { "beyond" } else { "within" };
        let block = new.block_latency_ms.p99 / old.block_latency_ms.p99.max(1e-9);
        writeln!(
            out,
            "{}: real-time factor x {ratio:.3} ({verdict} the noise of {:.1} %), block latency p99 x {block:.3}",
            new.name(),
            100.0 * noise,
        )?;
    }
    Ok(())
}
