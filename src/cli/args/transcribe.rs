//! `transcribe`: what it reads and writes.
#![expect(clippy::doc_markdown, reason = "--help shows the text as it is")]
#![expect(clippy::option_option, reason = "how clap tells a flag without its value")]

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use super::{ModelArguments, SearchArguments};

#[derive(Debug, Args)]
pub struct TranscribeArguments {
    #[command(flatten)]
    pub input: InputArguments,
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(flatten)]
    pub model: ModelArguments,
    #[command(flatten)]
    pub search: SearchArguments,
    /// Print every partial result with its time
    #[arg(long, conflicts_with = "format")]
    pub stream: bool,
    /// Read as fast as it was spoken
    #[arg(long, conflicts_with_all = ["format", "output", "output_dir"])]
    pub realtime: bool,
    /// Print JSON, one object a line
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Also give up to N other readings (with --json or --format json|jsonl)
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub alternatives: usize,
}

#[derive(Debug, Args)]
pub struct InputArguments {
    /// Audio files, folders, lists (.jsonl with audio_filepath, Kaldi's .scp); - reads audio from stdin
    #[arg(value_name = "PATH", required_unless_present = "files_from")]
    pub files: Vec<PathBuf>,
    /// Also transcribe what FILE lists: a path a line, JSON lines with audio_filepath, or wav.scp; - reads stdin
    #[arg(long, value_name = "FILE")]
    pub files_from: Option<PathBuf>,
    /// Descend into the folders of folders
    #[arg(long, short)]
    pub recursive: bool,
    /// Do only the I-th of N equal shares, counted from 1
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
}

/// One of several shares of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: usize,
    pub count: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(index, count)| {
            Some((index.parse::<usize>().ok()?, count.parse::<usize>().ok()?))
        });
        match parsed {
            Some((index, count)) if (1..=count).contains(&index) => {
                Ok(Self { index: index - 1, count })
            }
            _ => Err("expected I/N with I from 1 to N, such as 2/8".into()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// A line a segment
    Txt,
    /// All that is known, indented
    Json,
    /// All that is known, a line a file
    Jsonl,
    /// SubRip subtitles
    Srt,
    /// WebVTT subtitles
    Vtt,
    /// NIST: a line a word
    Ctm,
    /// NIST: a line a segment, with times
    Stm,
    /// NIST: a line a file
    Trn,
    /// A row a word
    Csv,
}

#[derive(Debug, Args)]
pub struct OutputArguments {
    /// Cut the audio into segments at pauses and write them so
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub format: Option<FormatName>,
    /// Write all results to FILE
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["output_dir", "stream"])]
    pub output: Option<PathBuf>,
    /// Write a file for each input into DIR, folders kept; without DIR beside each input
    #[arg(long, value_name = "DIR", num_args = 0..=1, conflicts_with = "stream")]
    pub output_dir: Option<Option<PathBuf>>,
    /// Replace results that are there already
    #[arg(long, conflicts_with = "resume")]
    pub overwrite: bool,
    /// Leave out what is done already, and go on inside a file that was broken off
    #[arg(long)]
    pub resume: bool,
    /// Files at once [default: one a core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Characters in a line of subtitles
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_line_width: u16,
    /// Longest time that a subtitle is shown, in seconds
    #[arg(long, value_name = "S", default_value = "7", value_parser = seconds::<f32>)]
    pub max_cue_duration: f32,
    /// Silence that ends a segment (with --format)
    #[arg(long, value_name = "S", default_value = "1.2", value_parser = seconds::<f32>, requires = "format")]
    pub endpoint_after_speech: f32,
    /// Length at which a segment is cut behind its last confirmed word (with --format)
    #[arg(long, value_name = "S", default_value = "20", value_parser = seconds::<f32>, requires = "format")]
    pub endpoint_utterance: f32,
    /// One segment a file (with --format)
    #[arg(long, requires = "format")]
    pub no_endpoints: bool,
}

/// A length in seconds.
pub fn seconds<T: FromStr + Into<f64> + Copy>(text: &str) -> Result<T, String> {
    match text.parse::<T>() {
        Ok(value) if value.into().is_finite() && value.into() > 0.0 => Ok(value),
        _ => Err("expected a length in seconds above 0".into()),
    }
}
