//! Audio in memory, with the times of its words where they are known.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use vivavoce::Recognizer;

use crate::cli::args::BenchArguments;
use crate::cli::{align, corpus, say};

/// A word and when it is spoken.
#[derive(Debug, Clone)]
pub struct Spoken {
    pub word: String,
    pub start_s: f64,
    pub end_s: f64,
}

/// A file to be replayed.
pub struct Clip {
    pub samples: Vec<f32>,
    pub rate_hz: u32,
    /// Empty where unknown.
    pub words: Vec<Spoken>,
}

/// Reads all audio, and times from `--times` or by alignment.
pub fn load(recognizer: &Recognizer, arguments: &BenchArguments) -> anyhow::Result<Vec<Clip>> {
    let mut times = arguments.times.as_deref().map(read_ctm).transpose()?;
    let mut unaligned = 0;
    let mut clips = Vec::new();
    for utterance in corpus::gather(&arguments.paths, &arguments.selection)? {
        let mut source = utterance.open()?;
        let samples = source.read_all()?;
        let words = match &mut times {
            Some(times) => times.remove(&utterance.id).unwrap_or_default(),
            None if utterance.text.is_empty() => Vec::new(),
            None => {
                let aligned = align::align(recognizer, &utterance, None).unwrap_or_default();
                let all = aligned.len() == utterance.text.split_whitespace().count();
                let spoken = aligned.into_iter().map(|w| Spoken {
                    word: w.word,
                    start_s: w.start,
                    end_s: w.end,
                });
                if all { spoken.collect() } else { Vec::new() }
            }
        };
        unaligned += usize::from(words.is_empty());
        let rate_hz = source.sample_rate_hz();
        if !samples.is_empty() {
            clips.push(Clip { samples, rate_hz, words });
        }
    }
    anyhow::ensure!(!clips.is_empty(), "all audio is empty");
    if unaligned > 0 {
        say(format_args!("{unaligned} of {} files without word times", clips.len()));
    }
    Ok(clips)
}

/// `file channel start duration word [confidence]` on each line.
fn read_ctm(path: &Path) -> anyhow::Result<HashMap<String, Vec<Spoken>>> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    read_words(&text).map_err(|line| {
        anyhow::anyhow!("{name}: line {line}: not `file channel start duration word`")
    })
}

/// The words of each file, or the number of the line that is none.
pub fn read_words(text: &str) -> Result<HashMap<String, Vec<Spoken>>, usize> {
    let mut words: HashMap<String, Vec<Spoken>> = HashMap::new();
    for (i, line) in text.lines().enumerate() {
        let mut fields = line.split_whitespace();
        let (id, _, start, duration, word) =
            (fields.next(), fields.next(), fields.next(), fields.next(), fields.next());
        let number = |field: Option<&str>| field.and_then(|f| f.parse::<f64>().ok());
        let (Some(id), Some(start_s), Some(duration_s), Some(word)) =
            (id, number(start), number(duration), word)
        else {
            return Err(i + 1);
        };
        let word = word.to_lowercase();
        let spoken = Spoken { word, start_s, end_s: start_s + duration_s };
        words.entry(id.to_owned()).or_default().push(spoken);
    }
    Ok(words)
}
