//! Plain text, and rows of words.

use std::fmt::Write;

use super::Transcript;

/// Names of the columns.
pub const HEAD: &str = "file,id,segment,word,start,end,conf\n";

/// The words of a file in one line.
pub fn line(transcript: &Transcript, several: bool) -> String {
    if several {
        format!("{}: {}\n", transcript.file, transcript.text())
    } else {
        format!("{}\n", transcript.text())
    }
}

/// A line a segment.
pub fn lines(transcript: &Transcript, several: bool) -> String {
    let name = if several { format!("{}: ", transcript.file) } else { String::new() };
    let mut out = String::new();
    for segment in &transcript.segments {
        let _ = writeln!(out, "{name}{}", segment.text);
    }
    out
}

/// A row a word, as the text has it; segments count from 1.
pub fn rows(transcript: &Transcript) -> anyhow::Result<String> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    for (i, segment) in transcript.segments.iter().enumerate() {
        for word in segment.shown() {
            writer.write_record([
                transcript.file.as_str(),
                transcript.name.as_str(),
                &(i + 1).to_string(),
                &word.word,
                &format!("{:.3}", word.start),
                &format!("{:.3}", word.end),
                &format!("{:.3}", word.conf),
            ])?;
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
