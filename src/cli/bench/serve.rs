//! `vivavoce bench serve`: a server under streams at the pace of speech, and the largest number of them that it bears.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use serde::Serialize;
use vivavoce::audio::Resampler;
use vivavoce::transcript::Event;
use vivavoce::{Engine, Listener, Recognizer, StreamOptions};

use super::report::{Quantiles, at, quantiles, sorted};
use crate::cli::args::BenchServeArguments;
use crate::cli::{corpus, say};
use crate::serve::load::{Measured, Plan, Speech, measure};

/// Streams beyond so many say what others say, a little later.
const MAX_SPEECHES: usize = 64;
/// Where streams begin in their first file, in shares of it: the golden ratio keeps them apart.
const STEP: f64 = 0.618_033_988_75;
/// Audio given to the engine at a time.
const PIECE_S: usize = 1;
/// The answer to how many is no finer than this share.
const FINENESS: f64 = 0.03;
/// A client that is later than this measures itself.
const LATE_MS: f64 = 30.0;
/// So many reasons are shown.
const SHOWN: usize = 3;

/// What a number of streams gave.
#[derive(Debug, Serialize)]
struct Report {
    protocol: &'static str,
    streams: usize,
    chunk_ms: u32,
    seconds: f64,
    /// Share of the time in which words are spoken.
    speech: f64,
    /// Whether the target was kept, with nothing lost or different.
    kept: bool,
    target_ms: u32,
    /// From when a message was due to its answer.
    answer_ms: Quantiles,
    answer_max_ms: f64,
    /// From when the last sample of a word was due to the answer since which it stands.
    word_ms: Quantiles,
    /// From when the last sample was due to the last result.
    final_ms: Quantiles,
    lost: usize,
    different: usize,
    /// How late the client sent.
    late_ms: Quantiles,
    wall_s: f64,
    server_cores: Option<f64>,
    /// Memory of the server before the streams, and the most of it with them.
    server_bytes: Option<u64>,
    server_bytes_most: Option<u64>,
    bytes_per_stream: Option<u64>,
}

pub fn run(arguments: &BenchServeArguments) -> anyhow::Result<bool> {
    let recognizer = crate::cli::recognizer(&arguments.model)?;
    let endpoints = arguments.endpoints.options();
    let options = crate::cli::stream_options(&recognizer, &arguments.search)?;
    let mut bench = Bench {
        arguments,
        options: options.endpoints(endpoints).partials(false),
        rate_hz: recognizer.sample_rate_hz(),
        recognizer,
        clips: Vec::new(),
        speeches: Vec::new(),
        speech: 0.0,
        reports: Vec::new(),
    };
    bench.read()?;
    let streams = usize::from(arguments.streams);
    let fine = if arguments.largest {
        let largest = largest(streams, |streams| bench.measure(streams))?;
        let found = format!("{largest} streams keep {} ms", arguments.target_ms);
        say(format_args!("{found}, with nothing lost and the same words"));
        largest > 0
    } else {
        bench.measure(streams)?
    };
    let mut out = std::io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &bench.reports)?;
        writeln!(out)?;
    }
    Ok(fine)
}

/// The largest number that is kept, by doubling and halving from a guess; every number is tried once.
fn largest(
    guess: usize,
    mut kept: impl FnMut(usize) -> anyhow::Result<bool>,
) -> anyhow::Result<usize> {
    let (mut low, mut high) = (0, None);
    let mut next = guess.max(1);
    loop {
        if kept(next)? {
            low = next;
        } else {
            high = Some(next);
        }
        next = match high {
            None => low * 2,
            Some(high) if high - low <= ((low as f64 * FINENESS) as usize).max(1) => {
                return Ok(low);
            }
            Some(high) => low.midpoint(high),
        };
    }
}

struct Bench<'a> {
    arguments: &'a BenchServeArguments,
    recognizer: Recognizer,
    options: StreamOptions,
    rate_hz: u32,
    /// Samples of the files at the model's rate.
    clips: Vec<Vec<i16>>,
    speeches: Vec<Arc<Speech>>,
    /// Share of the speeches that is words.
    speech: f64,
    reports: Vec<Report>,
}

impl Bench<'_> {
    fn read(&mut self) -> anyhow::Result<()> {
        for utterance in corpus::gather(&self.arguments.paths, &self.arguments.selection)? {
            let mut source = utterance.open()?;
            let mut resampler = Resampler::new(source.sample_rate_hz(), self.rate_hz)?;
            let mut samples = Vec::new();
            resampler.process_into(&source.read_all()?, &mut samples)?;
            resampler.finish_into(&mut samples)?;
            let rounded = samples.iter().map(|x| (x * 32_767.0).round() as i16);
            self.clips.push(rounded.collect());
        }
        self.clips.retain(|clip| !clip.is_empty());
        anyhow::ensure!(!self.clips.is_empty(), "all audio is empty");
        Ok(())
    }

    /// Makes speeches for so many streams, and finds what they say.
    fn prepare(&mut self, streams: usize) -> anyhow::Result<()> {
        let (have, want) = (self.speeches.len(), streams.min(MAX_SPEECHES));
        if have >= want {
            return Ok(());
        }
        let most = (self.arguments.seconds * f64::from(self.rate_hz)) as usize;
        let sounds: Vec<Vec<i16>> = (have..want).map(|i| self.sound(i, most)).collect();
        let (texts, spoken_s) = self.hear(&sounds)?;
        let share = spoken_s / (self.arguments.seconds * sounds.len() as f64);
        self.speech += (share - self.speech) * sounds.len() as f64 / want as f64;
        let new = sounds.into_iter().zip(texts);
        self.speeches.extend(new.map(|(samples, text)| Arc::new(Speech { samples, text })));
        Ok(())
    }

    /// The `i`th stream's audio: files one after the other, from a place of its own.
    fn sound(&self, i: usize, most: usize) -> Vec<i16> {
        let first = &self.clips[i % self.clips.len()];
        let place = ((i / self.clips.len()) as f64 * STEP).fract() * first.len() as f64;
        let mut sound = first[place as usize..].to_vec();
        let rest = (i + 1..).map(|i| &self.clips[i % self.clips.len()]);
        for clip in rest {
            if sound.len() >= most {
                break;
            }
            sound.extend_from_slice(clip);
        }
        sound.truncate(most.max(1));
        sound
    }

    /// What the library hears, and the seconds in which words are spoken.
    fn hear(&self, sounds: &[Vec<i16>]) -> anyhow::Result<(Vec<String>, f64)> {
        let mut engine = Engine::new(&self.recognizer);
        let listeners = sounds.iter().map(|_| self.recognizer.listener(&self.options));
        let mut listeners: Vec<Listener> = listeners.collect::<Result<_, _>>()?;
        let mut texts: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let (mut spoken_s, step) = (0.0, self.rate_hz as usize * PIECE_S);
        let longest = sounds.iter().map(Vec::len).max().unwrap_or(0);
        for from in (0..=longest).step_by(step) {
            for (listener, sound) in listeners.iter_mut().zip(sounds) {
                let piece = sound.get(from..).unwrap_or_default();
                let piece = &piece[..piece.len().min(step)];
                let samples: Vec<f32> = piece.iter().map(|s| f32::from(*s) / 32_768.0).collect();
                listener.accept_waveform(self.rate_hz, &samples)?;
            }
            if from + step > longest {
                listeners.iter_mut().for_each(Listener::finish);
            }
            engine.advance(&mut listeners)?;
            for (i, listener) in listeners.iter_mut().enumerate() {
                for event in listener.take_events() {
                    if let Event::Final(segment) = event {
                        spoken_s += segment.result.iter().map(|w| w.end - w.start).sum::<f64>();
                        texts.entry(i).or_default().push(segment.text);
                    }
                }
            }
        }
        let text = |i| texts.get(&i).map(|all| all.join(" ")).unwrap_or_default();
        Ok(((0..sounds.len()).map(text).collect(), spoken_s))
    }

    /// Measures so many streams; whether they keep the target.
    fn measure(&mut self, streams: usize) -> anyhow::Result<bool> {
        let bar = ProgressBar::new_spinner();
        bar.set_message(format!("{streams} streams"));
        bar.tick();
        self.prepare(streams)?;
        let plan = Plan {
            url: self.arguments.url.clone(),
            key: self.arguments.api_key.clone(),
            streams,
            chunk: Duration::from_millis(self.arguments.chunk_ms.into()),
            rate_hz: self.rate_hz,
        };
        let measured = measure(&plan, &self.speeches)?;
        bar.finish_and_clear();
        for reason in measured.lost.iter().take(SHOWN) {
            say(format_args!("lost: {reason}"));
        }
        for (expected, text) in measured.different.iter().take(SHOWN) {
            say(format_args!("expected: {expected}\nheard:    {text}"));
        }
        let report = self.report(streams, &measured);
        if report.late_ms.p99 > LATE_MS {
            let late = report.late_ms.p99;
            say(format_args!(
                "the client itself was {late:.0} ms late: it needs more of the machine"
            ));
        }
        if !self.arguments.json {
            report.table(&mut std::io::stdout().lock())?;
        }
        let kept = report.kept;
        self.reports.push(report);
        Ok(kept)
    }

    fn report(&self, streams: usize, measured: &Measured) -> Report {
        let ms = |seconds: &[f64]| quantiles(seconds.iter().copied());
        let answer_ms = ms(&measured.answers);
        let (lost, different) = (measured.lost.len(), measured.different.len());
        let kept =
            lost == 0 && different == 0 && answer_ms.p99 <= f64::from(self.arguments.target_ms);
        let (before, most) = measured.server_bytes.unzip();
        let grown = before.zip(most).map(|(before, most)| (most - before) / streams as u64);
        Report {
            protocol: "vosk",
            streams,
            chunk_ms: self.arguments.chunk_ms,
            seconds: self.arguments.seconds,
            speech: self.speech,
            kept,
            target_ms: self.arguments.target_ms,
            answer_max_ms: 1e3 * at(&sorted(measured.answers.iter().copied()), 1.0),
            answer_ms,
            word_ms: ms(&measured.words),
            final_ms: ms(&measured.finals),
            lost,
            different,
            late_ms: ms(&measured.late),
            wall_s: measured.wall_s,
            server_cores: measured.server_cores,
            server_bytes: before,
            server_bytes_most: most,
            bytes_per_stream: grown,
        }
    }
}

impl Report {
    fn table(&self, out: &mut impl Write) -> std::io::Result<()> {
        let row =
            |q: &Quantiles| format!("{:7.1} {:7.1} {:7.1}   of {}", q.p50, q.p90, q.p99, q.count);
        let verdict = if self.kept { "kept" } else { "not kept" };
        let (streams, seconds, chunk_ms) = (self.streams, self.seconds, self.chunk_ms);
        writeln!(out, "{streams} streams, {seconds} s, {chunk_ms} ms a message: {verdict}")?;
        writeln!(out, "  milliseconds                 p50     p90     p99")?;
        writeln!(
            out,
            "    answer               {}, {:.1} at most",
            row(&self.answer_ms),
            self.answer_max_ms
        )?;
        writeln!(out, "    word                 {}", row(&self.word_ms))?;
        writeln!(out, "    last result          {}", row(&self.final_ms))?;
        writeln!(out, "    sent late            {}", row(&self.late_ms))?;
        writeln!(out, "  lost, different          {}, {}", self.lost, self.different)?;
        writeln!(out, "  words spoken             {:.0} % of the time", 100.0 * self.speech)?;
        if let Some(cores) = self.server_cores {
            writeln!(out, "  cores of the server      {cores:.2}")?;
        }
        if let (Some(bytes), Some(stream)) = (self.server_bytes_most, self.bytes_per_stream) {
            writeln!(out, "  memory of the server     {:.1} MB", bytes as f64 / 1e6)?;
            writeln!(out, "  of it for each stream    {:.0} kB", stream as f64 / 1e3)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_number_is_found_from_any_guess() {
        for most in [0, 1, 2, 7, 80, 83, 1000] {
            for guess in [1, 5, 64, 500] {
                let mut tried = Vec::new();
                let found = largest(guess, |streams| {
                    tried.push(streams);
                    Ok(streams <= most)
                });
                let found = found.unwrap();
                let near = most - (most as f64 * FINENESS) as usize;
                assert!((near..=most).contains(&found), "{most} from {guess}: {found}");
                tried.sort_unstable();
                let tries = tried.len();
                tried.dedup();
                assert_eq!(tried.len(), tries, "none is tried twice");
            }
        }
    }
}
