//! Results as files of the common formats.

mod destination;
mod guard;
mod json;
mod score;
mod table;
mod whole;

pub use destination::{Destination, result_paths};
pub use guard::Guard;
pub use guard::is_special;
pub use whole::{Meet, put};

use vivavoce::subtitle::{self, Layout};
use vivavoce::transcript::{Final, TimedWord, ms, text_of};

use super::args::{FormatName, OutputArguments};

/// What was said in a file.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    /// Id of the input.
    pub name: String,
    /// The input as the user wrote it.
    pub file: String,
    pub model: String,
    pub latency: String,
    pub duration_s: f64,
    /// Those with words, in order.
    pub segments: Vec<Final>,
}

impl Transcript {
    pub fn text(&self) -> String {
        text_of(&self.segments)
    }

    pub fn words(&self) -> impl Iterator<Item = &TimedWord> {
        self.segments.iter().flat_map(|segment| &segment.result)
    }

    /// The name as one word without brackets, as NIST's formats want it.
    fn id(&self) -> String {
        let fine = |c: char| !c.is_whitespace() && !"()".contains(c);
        let id: String = self.name.chars().map(|c| if fine(c) { c } else { '_' }).collect();
        // Two semicolons begin a comment.
        if id.starts_with(';') { format!("_{id}") } else { id }
    }
}

/// How results are written.
#[derive(Debug, Clone)]
pub struct Style {
    /// None: as on a terminal, a line a file.
    pub format: Option<FormatName>,
    /// Without a format: lines of JSON.
    pub json: bool,
    /// Of subtitles.
    pub layout: Layout,
}

impl Style {
    pub fn new(arguments: &OutputArguments, json: bool) -> Self {
        Self {
            format: arguments.format,
            json,
            layout: Layout {
                max_line_width: usize::from(arguments.max_line_width),
                max_cue_ms: ms(arguments.max_cue_duration.into()),
            },
        }
    }

    /// Ending of a file of results.
    pub fn extension(&self) -> &'static str {
        match self.format {
            Some(FormatName::Json) => "json",
            Some(FormatName::Jsonl) => "jsonl",
            Some(FormatName::Srt) => "srt",
            Some(FormatName::Vtt) => "vtt",
            Some(FormatName::Ctm) => "ctm",
            Some(FormatName::Stm) => "stm",
            Some(FormatName::Trn) => "trn",
            Some(FormatName::Csv) => "csv",
            None if self.json => "json",
            Some(FormatName::Txt) | None => "txt",
        }
    }

    /// Whether several results can stand in one file.
    pub fn can_be_joined(&self) -> bool {
        !matches!(self.format, Some(FormatName::Srt | FormatName::Vtt))
    }

    /// Whether results are told apart by ids.
    pub fn has_ids(&self) -> bool {
        !matches!(self.format, None | Some(FormatName::Txt))
    }

    /// What stands before the first result.
    fn head(&self, several: bool) -> &'static str {
        match self.format {
            Some(FormatName::Json) if several => "[\n",
            Some(FormatName::Csv) => table::HEAD,
            _ => "",
        }
    }

    /// What stands between results.
    fn between(&self) -> &'static str {
        if self.format == Some(FormatName::Json) { ",\n" } else { "" }
    }

    /// What stands behind the last result.
    fn tail(&self, several: bool) -> &'static str {
        if several && self.format == Some(FormatName::Json) { "]\n" } else { "" }
    }

    /// One result; `several`: among others.
    fn render(&self, transcript: &Transcript, several: bool) -> anyhow::Result<String> {
        Ok(match self.format {
            None if self.json => json::line(transcript, several)?,
            None => table::line(transcript, several),
            Some(FormatName::Txt) => table::lines(transcript, several),
            Some(FormatName::Json) => json::document(transcript)?,
            Some(FormatName::Jsonl) => json::document_line(transcript)?,
            Some(FormatName::Srt) => subtitle::srt(&transcript.segments, &self.layout),
            Some(FormatName::Vtt) => subtitle::vtt(&transcript.segments, &self.layout),
            Some(FormatName::Ctm) => score::ctm(transcript),
            Some(FormatName::Stm) => score::stm(transcript),
            Some(FormatName::Trn) => score::trn(transcript),
            Some(FormatName::Csv) => table::rows(transcript)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(format: FormatName, transcript: &Transcript) -> String {
        let style = Style { format: Some(format), json: false, layout: Layout::default() };
        format!("{}{}", style.head(false), style.render(transcript, false).unwrap())
    }

    #[test]
    fn a_file_without_words_is_there_all_the_same() {
        let name = "odd (name)".to_owned();
        let silent = Transcript { name, duration_s: 1.5, ..Transcript::default() };
        assert_eq!(rendered(FormatName::Trn, &silent), "(odd__name_)\n");
        assert_eq!(rendered(FormatName::Stm, &silent), "odd__name_ 1 unknown 0.000 1.500\n");
        assert_eq!(rendered(FormatName::Vtt, &silent), "WEBVTT\n\n");
        assert_eq!(rendered(FormatName::Csv, &silent).lines().count(), 1);
        for format in [FormatName::Txt, FormatName::Srt, FormatName::Ctm] {
            assert_eq!(rendered(format, &silent), "");
        }
        let line = rendered(FormatName::Jsonl, &silent);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["text"], &value["duration"]), (&"".into(), &1.5.into()));
    }

    #[test]
    fn what_means_something_to_a_reader_is_replaced() {
        let mut word = TimedWord::default();
        (word.word, word.start, word.end, word.conf) = ("a (b),\"c\"".into(), 0.25, 0.5, 0.75);
        let mut said = Final::default();
        said.text.clone_from(&word.word);
        said.result.push(word);
        let odd =
            Transcript { name: ";;x y".into(), segments: vec![said], ..Transcript::default() };
        assert_eq!(rendered(FormatName::Ctm, &odd), "_;;x_y 1 0.250 0.250 a__b_,\"c\" 0.750\n");
        assert_eq!(rendered(FormatName::Trn, &odd), "a__b_,\"c\" (_;;x_y)\n");
        let table = rendered(FormatName::Csv, &odd);
        let rows: Vec<_> = csv::Reader::from_reader(table.as_bytes()).into_records().collect();
        assert_eq!(&rows[0].as_ref().unwrap()[3], "a (b),\"c\"");
    }
}
