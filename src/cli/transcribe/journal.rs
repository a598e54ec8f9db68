//! What was heard of a long file so far, beside its result to be, so that `--resume` goes on inside the file.
//!
//! The first line names the input and what was asked for; every other is a segment as JSON. Whoever asks for something else begins anew.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use vivavoce::audio::{AudioSource, BoxedSource};
use vivavoce::transcript::Final;

use crate::cli::input::Entry;
use crate::cli::output::{Meet, put};

const PREFIX: &str = ".";
const SUFFIX: &str = ".segments";
/// Less than this is soon heard again.
const WORTH_S: f64 = 30.0;

/// What a journal is of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    input: String,
    bytes: u64,
    modified_s: u64,
    /// A digest of the model's name and of all settings.
    settings: u64,
}

impl Subject {
    fn new(entry: &Entry, settings: &str) -> Self {
        let data = entry.path().and_then(|path| path.metadata().ok());
        let modified = data.as_ref().and_then(|data| data.modified().ok());
        let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let mut hasher = DefaultHasher::new();
        settings.hash(&mut hasher);
        Self {
            input: entry.shown.clone(),
            bytes: data.map_or(0, |data| data.len()),
            modified_s: since.map_or(0, |since| since.as_secs()),
            settings: hasher.finish(),
        }
    }
}

/// The segments of one input.
pub struct Journal {
    path: PathBuf,
    subject: Subject,
    /// Those that are not in the file yet.
    waiting: Vec<Final>,
    file: Option<File>,
    /// Whether there is one in the folder that can be taken up.
    kept: bool,
    /// Whether it cannot be written; then the work goes on without.
    broken: bool,
}

/// The file of the journal for a result.
fn path_for(result: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(PREFIX);
    name.push(result.file_name().unwrap_or_default());
    name.push(SUFFIX);
    result.with_file_name(name)
}

impl Journal {
    /// The journal for the result of an entry. What one before has is read if `resume`: the segments heard already.
    pub fn open(result: &Path, entry: &Entry, settings: &str, resume: bool) -> (Self, Vec<Final>) {
        let (path, subject) = (path_for(result), Subject::new(entry, settings));
        let before = read_file(&path);
        // A file that only has the name is somebody else's.
        let broken = before.is_none() && path.exists();
        let heard = match before {
            Some((of, segments)) if resume && of == subject => segments,
            _ => Vec::new(),
        };
        let (waiting, kept) = (heard.clone(), !heard.is_empty());
        (Self { path, subject, waiting, file: None, kept, broken }, heard)
    }

    /// Keeps a segment that has ended.
    pub fn add(&mut self, segment: &Final) {
        if self.broken {
            return;
        }
        self.waiting.push(segment.clone());
        if self.file.is_some() || segment.time >= WORTH_S {
            self.broken = self.write().is_err();
            self.kept = !self.broken;
        }
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let mut text = Vec::new();
        if self.file.is_none() {
            serde_json::to_writer(&mut text, &self.subject)?;
            text.push(b'\n');
        }
        for segment in self.waiting.drain(..) {
            serde_json::to_writer(&mut text, &segment)?;
            text.push(b'\n');
        }
        if let Some(file) = &mut self.file {
            return Ok(file.write_all(&text)?);
        }
        // As a whole, so that none is lost of the one before.
        put(&self.path, &text, Meet::Replace)?;
        self.file = Some(File::options().append(true).open(&self.path)?);
        Ok(())
    }

    /// Whether it can be taken up again.
    pub fn is_kept(&self) -> bool {
        self.kept
    }
}

/// Whether there is one for this result.
pub fn exists(result: &Path) -> bool {
    read_file(&path_for(result)).is_some()
}

/// Removes the journal of a result that is whole.
pub fn remove(result: &Path) {
    if exists(result) {
        let _ = std::fs::remove_file(path_for(result));
    }
}

fn read_file(path: &Path) -> Option<(Subject, Vec<Final>)> {
    read(BufReader::new(File::open(path).ok()?))
}

/// What a journal is of, and its whole lines; none if the file is no journal.
pub fn read(journal: impl BufRead) -> Option<(Subject, Vec<Final>)> {
    let mut lines = journal.lines().map_while(Result::ok);
    let subject = serde_json::from_str(&lines.next()?).ok()?;
    Some((subject, lines.map_while(|line| serde_json::from_str(&line).ok()).collect()))
}

/// A source from some time on.
pub struct Rest {
    source: BoxedSource,
    skip: u64,
    skipped_s: f64,
}

impl Rest {
    pub fn new(source: BoxedSource, from_s: f64) -> Self {
        let skip = (from_s * f64::from(source.sample_rate_hz())).round() as u64;
        Self { source, skip, skipped_s: from_s }
    }
}

impl AudioSource for Rest {
    fn sample_rate_hz(&self) -> u32 {
        self.source.sample_rate_hz()
    }

    fn next_chunk(&mut self, out: &mut Vec<f32>) -> vivavoce::Result<bool> {
        loop {
            let more = self.source.next_chunk(out)?;
            let skipped = self.skip.min(out.len() as u64);
            out.drain(..skipped as usize);
            self.skip -= skipped;
            if self.skip == 0 || !more {
                return Ok(more);
            }
        }
    }

    fn warnings(&self) -> &[String] {
        self.source.warnings()
    }

    fn duration_s(&self) -> Option<f64> {
        self.source.duration_s().map(|duration_s| (duration_s - self.skipped_s).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::input::Audio;

    fn entry(path: &Path) -> Entry {
        let name = "talk".to_owned();
        Entry { shown: name.clone(), name, audio: Audio::File(path.to_path_buf()) }
    }

    #[test]
    fn a_journal_is_taken_up_where_it_broke_off_and_only_for_the_same_work() {
        let place = tempfile::tempdir().unwrap();
        let (input, result) = (place.path().join("talk.wav"), place.path().join("talk.srt"));
        std::fs::write(&input, b"sound").unwrap();
        let entry = entry(&input);
        let segment = |time: f64| {
            let mut segment = Final::default();
            (segment.text, segment.time) = (format!("to {time}"), time);
            segment
        };
        let (mut journal, heard) = Journal::open(&result, &entry, "low", true);
        assert!(heard.is_empty());
        journal.add(&segment(10.0));
        assert!(!path_for(&result).exists(), "not worth it yet");
        journal.add(&segment(40.0));
        journal.add(&segment(50.0));
        assert!(journal.is_kept());
        let mut file = File::options().append(true).open(path_for(&result)).unwrap();
        file.write_all(b"{\"text\": \"brok").unwrap();
        let (mut again, heard) = Journal::open(&result, &entry, "low", true);
        let times = |heard: &[Final]| heard.iter().map(|s| s.time).collect::<Vec<_>>();
        assert_eq!(times(&heard), [10.0, 40.0, 50.0]);
        again.add(&segment(60.0));
        assert_eq!(times(&Journal::open(&result, &entry, "low", true).1), [10.0, 40.0, 50.0, 60.0]);
        assert!(Journal::open(&result, &entry, "accurate", true).1.is_empty());
        assert!(Journal::open(&result, &entry, "low", false).1.is_empty());
        std::fs::write(&input, b"other sound").unwrap();
        assert!(Journal::open(&result, &entry, "low", true).1.is_empty());
        remove(&result);
        assert!(!path_for(&result).exists());
    }
}
