//! `serve`: where it listens, who may come, and how much they may ask for.
#![expect(clippy::doc_markdown, reason = "--help shows the text as it is")]

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::transcribe::seconds;
use super::{EndpointArguments, ModelArguments, SearchArguments, SelectionArguments};
use crate::serve::Address;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// For programs, an object a line
    Json,
}

#[derive(Debug, Args)]
pub struct ServeArguments {
    #[command(flatten)]
    pub model: ModelArguments,
    #[command(flatten)]
    pub search: SearchArguments,
    #[command(flatten)]
    pub endpoints: EndpointArguments,
    /// A TOML file of settings, named as these flags are; what is said here or in the environment goes before
    #[arg(long, env = "VIVAVOCE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address and port to listen on
    #[arg(
        long,
        env = "VIVAVOCE_LISTEN",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:2700"
    )]
    pub listen: Address,
    /// Ask the server that listens there whether it is well, and end: 0 if it is, 1 if not
    #[arg(long)]
    pub check: bool,
    /// Address and port for Wyoming, such as 0.0.0.0:10300; a bare port is this machine's alone
    #[arg(long, env = "VIVAVOCE_WYOMING", value_name = "ADDRESS:PORT", value_parser = address)]
    pub wyoming: Option<Address>,
    /// Threads that compute [default: one a core]
    #[arg(long, env = "VIVAVOCE_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// A key that clients must have (may be repeated, or separated by commas)
    #[arg(
        long,
        env = "VIVAVOCE_API_KEY",
        value_name = "KEY",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub api_key: Vec<String>,
    /// Keys, a line each
    #[arg(long, env = "VIVAVOCE_API_KEY_FILE", value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// Certificate of the server, and those that vouch for it, in PEM: speaks TLS
    #[cfg(feature = "tls")]
    #[arg(long, env = "VIVAVOCE_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// Its key, in PEM
    #[cfg(feature = "tls")]
    #[arg(long, env = "VIVAVOCE_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Web pages that may use the server, such as https://example.org; * for all (may be repeated, or separated by commas)
    #[arg(long, env = "VIVAVOCE_ALLOW_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub allow_origin: Vec<String>,
    /// Streams and files at once
    #[arg(long, env = "VIVAVOCE_MAX_STREAMS", value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_streams: u16,
    /// Seconds of audio in a stream or file
    #[arg(long, env = "VIVAVOCE_MAX_SECONDS", value_name = "S", default_value = "14400", value_parser = seconds::<f64>)]
    pub max_seconds: f64,
    /// Bytes of a message
    #[arg(long, env = "VIVAVOCE_MAX_MESSAGE_BYTES", value_name = "N", default_value_t = 20 << 20, value_parser = clap::value_parser!(u32).range(1024..))]
    pub max_message_bytes: u32,
    /// Bytes of an upload
    #[arg(long, env = "VIVAVOCE_MAX_BODY_BYTES", value_name = "N", default_value_t = 25 << 20, value_parser = clap::value_parser!(u32).range(1024..))]
    pub max_body_bytes: u32,
    /// Hotwords or phrases of a stream
    #[arg(long, env = "VIVAVOCE_MAX_PHRASES", value_name = "N", default_value_t = 1000)]
    pub max_phrases: u16,
    /// Seconds without a message after which a client is sent away
    #[arg(long, env = "VIVAVOCE_IDLE_SECONDS", value_name = "S", default_value = "300", value_parser = seconds::<f64>)]
    pub idle_seconds: f64,
    /// Seconds that streams have to end when the server stops
    #[arg(long, env = "VIVAVOCE_STOP_SECONDS", value_name = "S", default_value = "10", value_parser = seconds::<f64>)]
    pub stop_seconds: f64,
    /// Rate of Vosk clients that do not name one
    #[arg(long, env = "VIVAVOCE_VOSK_RATE", value_name = "HZ", default_value_t = 8000, value_parser = clap::value_parser!(u32).range(8000..=192_000))]
    pub vosk_rate: u32,
    /// Words without times for Vosk clients that do not ask for them
    #[arg(long, env = "VIVAVOCE_VOSK_NO_WORDS")]
    pub vosk_no_words: bool,
    /// Other readings for Vosk clients that do not ask for any
    #[arg(long, env = "VIVAVOCE_VOSK_ALTERNATIVES", value_name = "N", default_value_t = 0)]
    pub vosk_alternatives: u8,
    /// What is told on stderr
    #[arg(long, env = "VIVAVOCE_LOG", value_name = "LEVEL", default_value = "info", value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub log: String,
    /// How it is written
    #[arg(long, env = "VIVAVOCE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// The model and the search must be those of the server: its words are compared with what they give without one.
#[derive(Debug, Args)]
pub struct BenchServeArguments {
    /// The server, such as ws://127.0.0.1:2700
    #[arg(value_name = "URL")]
    pub url: String,
    /// Audio files or folders as for evaluate
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub model: ModelArguments,
    #[command(flatten)]
    pub search: SearchArguments,
    #[command(flatten)]
    pub endpoints: EndpointArguments,
    #[command(flatten)]
    pub selection: SelectionArguments,
    /// Streams at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub streams: u16,
    /// Find the largest number of streams that keeps --target-ms, none of them lost or with other words; --streams is the first guess
    #[arg(long)]
    pub largest: bool,
    /// Milliseconds that 99 % of the answers may take
    #[arg(long, value_name = "MS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub target_ms: u32,
    /// Seconds of audio a stream
    #[arg(long, value_name = "S", default_value = "60", value_parser = seconds::<f64>)]
    pub seconds: f64,
    /// Milliseconds of audio in a message
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    pub chunk_ms: u32,
    /// A key, if the server wants one
    #[arg(long, env = "VIVAVOCE_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// Print all results as one JSON array
    #[arg(long)]
    pub json: bool,
}

/// An address, or a port of this machine.
fn address(text: &str) -> Result<Address, String> {
    let address = match text.parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) => text.to_owned(),
    };
    address.parse().map_err(|_| "expected a port, or ADDRESS:PORT".into())
}
