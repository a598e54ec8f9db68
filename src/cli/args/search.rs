//! What is said about the search of a stream.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vivavoce::{SearchKind, StreamOptions};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum SearchArgument {
    /// Words, by lexicon and language model
    Beam,
    /// Bare tokens, by beam search
    Tokens,
    /// Bare tokens, the best at every step
    Greedy,
}

#[derive(Debug, Args)]
pub struct SearchArguments {
    /// Hypotheses kept [default: the model's]
    #[arg(long, value_name = "N")]
    pub beam: Option<usize>,
    /// How long to wait before deciding: low, balanced or accurate [default: the model's]
    #[arg(long, value_name = "MODE")]
    pub latency: Option<String>,
    /// What to search for
    #[arg(long, value_enum, default_value = "beam")]
    pub search: SearchArgument,
    /// Factor of the language model [default: the model's]
    #[arg(long, value_name = "X")]
    pub lm_weight: Option<f32>,
    /// Added for every word [default: the model's]
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    pub word_bonus: Option<f32>,
    /// Share of the token n-gram model that is taken back from the network's opinion [default: the model's]
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    pub prior_weight: Option<f32>,
    /// Share of what the network expects had nothing been heard that is taken back [default: the model's]
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    pub internal_lm_weight: Option<f32>,
    /// Added to the end-of-block symbol [default: the model's]
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    pub end_of_block_bias: Option<f32>,
    /// Words and phrases to expect, one a line: "words", "words : boost" or "word = PH PH"
    #[arg(long, value_name = "FILE")]
    pub hotwords: Option<PathBuf>,
    /// The only phrases to expect, one a line or as JSGF; what is none of them becomes [unk]
    #[arg(long, value_name = "FILE", conflicts_with = "hotwords")]
    pub grammar: Option<PathBuf>,
    /// Cost of speech that is no phrase of the grammar, in nats for each of its sounds; lower turns more away [default: 2]
    #[arg(long, value_name = "X", requires = "grammar")]
    pub unknown_cost: Option<f32>,
    /// Write numbers as digits
    #[arg(long)]
    pub digits: bool,
    /// Write sentence ends, commas and capitals
    #[arg(long)]
    pub punctuate: bool,
}

impl SearchArguments {
    /// All but what is read from files.
    pub fn options(&self) -> StreamOptions {
        let search = match self.search {
            SearchArgument::Beam => SearchKind::Beam,
            SearchArgument::Tokens => SearchKind::Tokens,
            SearchArgument::Greedy => SearchKind::Greedy,
        };
        StreamOptions::default()
            .latency(self.latency.clone())
            .search(search)
            .beam_size(self.beam)
            .lm_weight(self.lm_weight)
            .word_bonus(self.word_bonus)
            .prior_weight(self.prior_weight)
            .internal_lm_weight(self.internal_lm_weight)
            .end_of_block_bias(self.end_of_block_bias)
            .unknown_cost(self.unknown_cost)
            .digits(self.digits)
            .punctuate(self.punctuate)
    }
}
