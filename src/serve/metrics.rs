//! What `/metrics` tells. No label has a value that a client chooses.

use std::sync::atomic::AtomicU64;

use cpu_time::ProcessTime;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// Which protocol a stream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Protocol {
    /// Its name.
    pub protocol: &'static str,
}

/// Why somebody was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// In a word.
    pub reason: &'static str,
}

/// Seconds from the arrival of audio to its result.
const LAG_S: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 3.0, 10.0];
const BATCH_STREAMS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Seconds, added up.
pub type Seconds = Counter<f64, AtomicU64>;

/// The figures.
pub struct Metrics {
    registry: Registry,
    /// Streams that are open.
    pub streams_open: Family<Protocol, Gauge>,
    /// Streams so far.
    pub streams: Family<Protocol, Counter>,
    /// Refusals.
    pub refused: Family<Reason, Counter>,
    /// Audio heard.
    pub audio_seconds: Seconds,
    /// Time that engines worked.
    pub compute_seconds: Seconds,
    /// From arrival to result.
    pub lag: Histogram,
    /// Streams computed at once.
    pub batch_streams: Histogram,
    /// CPU time of the process, and its memory: as others name them.
    process_cpu: Seconds,
    process_memory: Gauge,
}

impl Metrics {
    /// All at zero.
    pub fn new(model: &str) -> Self {
        let mut all = Registry::default();
        let registry = all.sub_registry_with_prefix("vivavoce");
        let metrics = Self {
            streams_open: Family::default(),
            streams: Family::default(),
            refused: Family::default(),
            audio_seconds: Seconds::default(),
            compute_seconds: Seconds::default(),
            lag: Histogram::new(LAG_S),
            batch_streams: Histogram::new(BATCH_STREAMS),
            process_cpu: Seconds::default(),
            process_memory: Gauge::default(),
            registry: Registry::default(),
        };
        let build =
            vec![("version", env!("CARGO_PKG_VERSION").to_owned()), ("model", model.to_owned())];
        registry.register("build", "This program", Info::new(build));
        registry.register("streams_open", "Streams that are open", metrics.streams_open.clone());
        registry.register("streams", "Streams so far", metrics.streams.clone());
        registry.register("refused", "Refusals", metrics.refused.clone());
        registry.register("audio_seconds", "Audio heard", metrics.audio_seconds.clone());
        registry.register(
            "compute_seconds",
            "Time that engines worked",
            metrics.compute_seconds.clone(),
        );
        registry.register(
            "lag_seconds",
            "From the arrival of audio to its result",
            metrics.lag.clone(),
        );
        registry.register(
            "batch_streams",
            "Streams computed at once",
            metrics.batch_streams.clone(),
        );
        all.register("process_cpu_seconds", "CPU time", metrics.process_cpu.clone());
        if memory_bytes().is_some() {
            let help = "Memory in use";
            all.register("process_resident_memory_bytes", help, metrics.process_memory.clone());
        }
        Self { registry: all, ..metrics }
    }

    /// Counts a refusal.
    pub fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    /// In the text format of Prometheus.
    pub fn text(&self) -> String {
        let cpu_s = ProcessTime::now().as_duration().as_secs_f64();
        self.process_cpu.inc_by((cpu_s - self.process_cpu.get()).max(0.0));
        self.process_memory.set(memory_bytes().unwrap_or(0));
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Memory that the process uses, where the system tells.
fn memory_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok().map(|kb| kb * 1024)
}
