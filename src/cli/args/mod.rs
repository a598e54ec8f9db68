//! What can be said on the command line.
#![expect(clippy::struct_excessive_bools, reason = "each is a flag")]

mod pages;
mod search;
#[cfg(feature = "serve")]
mod serve;
mod transcribe;

pub use pages::{CompletionsArguments, ManArguments};
pub use search::SearchArguments;
#[cfg(feature = "serve")]
pub use serve::{BenchServeArguments, LogFormat, ServeArguments};
pub use transcribe::{FormatName, InputArguments, OutputArguments, TranscribeArguments};

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use vivavoce::Precision;

/// Streaming speech recognition: text while you are still speaking
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write what is said in audio files
    Transcribe(TranscribeArguments),
    /// Write what is being said, into a microphone or a pipe
    Listen(ListenArguments),
    /// Write what others say, over the network, for clients that speak to other recognisers
    #[cfg(feature = "serve")]
    Serve(Box<ServeArguments>),
    /// List the microphones
    Devices(DevicesArguments),
    /// Measure error rates on speech with known text
    Evaluate(EvaluateArguments),
    /// Measure speed, latency and memory
    Bench(BenchArguments),
    /// Find the words of a known text in its audio
    Align(AlignArguments),
    /// Show what a model consists of
    Inspect(InspectArguments),
    /// Print what a shell completes
    Completions(CompletionsArguments),
    /// Print the manual page, or write all of them
    Man(ManArguments),
}

#[derive(Debug, Args)]
pub struct ModelArguments {
    /// Model folder [default: the model inside the program]
    #[arg(long, env = "VIVAVOCE_MODEL", value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// What the network computes in [default: int8 where the model holds it]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub precision: Option<PrecisionArgument>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum PrecisionArgument {
    /// 32-bit floating point
    F32,
    /// 8-bit integers
    Int8,
}

impl ModelArguments {
    pub fn precision(&self) -> Precision {
        match self.precision {
            None => Precision::Stored,
            Some(PrecisionArgument::F32) => Precision::F32,
            Some(PrecisionArgument::Int8) => Precision::Int8,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum FormatArgument {
    /// Signed 16 bits
    S16le,
    /// 32-bit float
    F32le,
}

/// Lengths are seconds; 0 switches a rule off.
#[derive(Debug, Args)]
pub struct EndpointArguments {
    /// Silence that ends a segment in which nothing was said
    #[arg(long, value_name = "S", allow_hyphen_values = true, default_value_t = 2.4)]
    pub endpoint_silence: f32,
    /// Silence that ends a segment after words
    #[arg(long, value_name = "S", allow_hyphen_values = true, default_value_t = 1.2)]
    pub endpoint_after_speech: f32,
    /// Length at which a segment is cut behind its last confirmed word
    #[arg(long, value_name = "S", allow_hyphen_values = true, default_value_t = 20.0)]
    pub endpoint_utterance: f32,
    /// One segment until the end
    #[arg(long)]
    pub no_endpoints: bool,
    /// Forget at an endpoint what the encoder has heard
    #[arg(long)]
    pub reset_encoder: bool,
    /// Compute in silence too
    #[arg(long)]
    pub no_sleep: bool,
    /// Score from 0 to 1 that is a voice; lower hears fainter ones
    #[arg(long, value_name = "X", allow_hyphen_values = true, default_value_t = 0.5)]
    pub voice_threshold: f32,
}

#[derive(Debug, Args)]
pub struct ListenArguments {
    /// An audio file instead of the microphone; - reads a file of any kind or bare samples from stdin
    #[arg(value_name = "FILE")]
    pub input: Option<PathBuf>,
    #[command(flatten)]
    pub model: ModelArguments,
    #[command(flatten)]
    pub search: SearchArguments,
    /// Microphone, by name or number (see vivavoce devices) [default: the system's]
    #[arg(long, env = "VIVAVOCE_DEVICE", value_name = "NAME|INDEX")]
    pub device: Option<String>,
    /// Bare samples on stdin are of this kind [default: a file if it begins like one, else s16le]
    #[arg(long, value_enum)]
    pub format: Option<FormatArgument>,
    /// Rate of bare samples
    #[arg(long, value_name = "HZ", default_value_t = 16_000)]
    pub rate: u32,
    /// Channels of bare samples
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub channels: usize,
    #[command(flatten)]
    pub endpoints: EndpointArguments,
    #[command(flatten)]
    pub wake: WakeArguments,
    /// Print JSON, one object a line, even on a terminal
    #[arg(long)]
    pub json: bool,
    /// Begin each segment on the screen with its time
    #[arg(long)]
    pub timestamps: bool,
    /// No level meter and lag on stderr
    #[arg(long)]
    pub no_status: bool,
    /// Keep what was heard in a WAV file
    #[arg(long, value_name = "FILE.wav")]
    pub save: Option<PathBuf>,
    /// Replace the file of --save if it is there already
    #[arg(long)]
    pub overwrite: bool,
}

#[derive(Debug, Args)]
pub struct WakeArguments {
    /// Write nothing before this is said, and then what follows it; may be given several times
    #[arg(long, value_name = "PHRASE", conflicts_with = "no_endpoints")]
    pub wake: Vec<String>,
    /// How long to wait for words after the phrase
    #[arg(long, value_name = "S", default_value = "8", requires = "wake", value_parser = transcribe::seconds::<f32>)]
    pub wake_seconds: f32,
}

#[derive(Debug, Args)]
pub struct DevicesArguments {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct InspectArguments {
    /// Something else than the model
    #[command(subcommand)]
    pub what: Option<InspectWhat>,
    #[command(flatten)]
    pub model: ModelArguments,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum InspectWhat {
    /// Show where the network looks while it writes
    Attention(InspectAttentionArguments),
}

#[derive(Debug, Args)]
pub struct InspectAttentionArguments {
    /// Audio file of up to a minute
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub model: ModelArguments,
    /// Latency mode to listen in [default: the model's]
    #[arg(long, value_name = "MODE")]
    pub latency: Option<String>,
    /// Drawing: frames across, emitted tokens down; ends in .svg, .png or .html
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace the drawing if it is there already
    #[arg(long)]
    pub overwrite: bool,
    /// Print the weights as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct EvaluateArguments {
    /// Folder of audio with a text FILE.txt beside each file, or of tar shards with manifest.tsv
    pub folder: PathBuf,
    #[command(flatten)]
    pub model: ModelArguments,
    #[command(flatten)]
    pub search: SearchArguments,
    #[command(flatten)]
    pub selection: SelectionArguments,
    /// Also the phone error rate of greedy search against the lexicon's pronunciations
    #[arg(long)]
    pub phones: bool,
    /// Utterances at once [default: one a core]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Show reference and hypothesis of every utterance on stderr
    #[arg(long)]
    pub show: bool,
    /// Write every word with its times and what speaks for it, JSON, one utterance a line
    #[arg(long, value_name = "FILE")]
    pub words: Option<PathBuf>,
    /// Replace the file of --words if it is there already
    #[arg(long)]
    pub overwrite: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct AlignArguments {
    /// Audio files, each with its text in FILE.txt, or a folder as for evaluate
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub model: ModelArguments,
    /// The text of the only file
    #[arg(long, value_name = "WORDS")]
    pub text: Option<String>,
    /// Latency mode to listen in [default: the model's]
    #[arg(long, value_name = "MODE")]
    pub latency: Option<String>,
    #[command(flatten)]
    pub selection: SelectionArguments,
    /// Print JSON, one object a file, instead of CTM lines
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct SelectionArguments {
    /// Part of the manifest
    #[arg(long, default_value = "dev")]
    pub split: String,
    /// Only these sets (may be repeated)
    #[arg(long, value_name = "NAME")]
    pub set: Vec<String>,
    /// Only the first N utterances of each set
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SweepArgument {
    /// Every latency mode
    Latency,
    /// Beams of 1 to 32
    Beam,
    /// Streams from 1 to 256
    Streams,
}

#[cfg(feature = "serve")]
#[derive(Debug, Subcommand)]
pub enum BenchWhat {
    /// Measure a server: streams at the pace of speech over its socket
    Serve(Box<BenchServeArguments>),
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct BenchArguments {
    /// Something else than the library
    #[cfg(feature = "serve")]
    #[command(subcommand)]
    pub what: Option<BenchWhat>,
    /// Audio files or folders as for evaluate
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub model: ModelArguments,
    #[command(flatten)]
    pub search: SearchArguments,
    #[command(flatten)]
    pub selection: SelectionArguments,
    /// Streams at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub streams: usize,
    /// As fast as can be instead of as fast as it was spoken
    #[arg(long)]
    pub unpaced: bool,
    /// Seconds of audio a stream [default: 20 paced, all of the audio unpaced]
    #[arg(long, value_name = "S", value_parser = transcribe::seconds::<f64>)]
    pub seconds: Option<f64>,
    /// Times to measure; the median counts
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub runs: usize,
    /// Milliseconds of audio in a chunk
    #[arg(long, value_name = "MS", default_value_t = 20)]
    pub chunk_ms: usize,
    /// Vary these and measure each (comma-separated)
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    pub sweep: Vec<SweepArgument>,
    /// Times of the spoken words as CTM, such as align prints [default: align what has a text]
    #[arg(long, value_name = "FILE")]
    pub times: Option<PathBuf>,
    /// Compare with what --json printed before
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// Draw latency and throughput to an SVG file
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Replace the file of --plot if it is there already
    #[arg(long)]
    pub overwrite: bool,
    /// Print all results as one JSON array
    #[arg(long)]
    pub json: bool,
    /// Print each result as a line of JSON
    #[arg(long, conflicts_with = "json")]
    pub jsonl: bool,
}
