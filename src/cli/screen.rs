//! What a person sees: one line of words that is rewritten, and a line with level and lag under it.

use std::io::{IsTerminal, Write};

use console::{measure_text_width, truncate_str};
use vivavoce::transcript::{Event, Final, Partial};

use super::say::{draw, say};

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";
/// To the start of the line, and clear it with all below.
const CLEAR: &str = "\r\x1b[J";
/// Cells of the level meter.
const METER: usize = 10;
/// Lag that is worth a warning colour.
const HIGH_LAG_MS: f32 = 1000.0;

/// A terminal on stdout, with the status on stderr if that is a terminal too.
pub struct Screen {
    status: Option<String>,
    shows_status: bool,
    timestamps: bool,
    /// Whether confirmed words are final to the letter; if not, none are left standing before the segment is over.
    settled: bool,
    /// Confirmed text of this segment that stands in lines above.
    above: String,
    /// The segment so far.
    line: Partial,
}

/// Columns of the terminal.
fn width() -> usize {
    let (_, columns) = console::Term::stdout().size();
    usize::from(columns).max(20)
}

/// How a time looks: minutes, seconds, tenths.
fn clock(time_s: f64) -> String {
    let tenths = (time_s * 10.0) as u64;
    format!("[{:02}:{:02}.{}] ", tenths / 600, tenths / 10 % 60, tenths % 10)
}

/// The last words that fit into a line; all of them where they do.
fn end_of(text: &str, columns: usize) -> &str {
    let starts = std::iter::once(0).chain(text.match_indices(' ').map(|(at, _)| at + 1));
    let fits = |start: &usize| measure_text_width(&text[*start..]) <= columns;
    starts.into_iter().find(fits).map_or(text, |start| &text[start..])
}

impl Screen {
    pub fn new(status: bool, timestamps: bool, settled: bool) -> Self {
        Self {
            status: None,
            shows_status: status && std::io::stderr().is_terminal(),
            timestamps,
            settled,
            above: String::new(),
            line: Partial::default(),
        }
    }

    pub fn show(&mut self, event: &Event) -> std::io::Result<()> {
        match event {
            Event::Partial(partial) => {
                self.line = partial.clone();
                self.fold()?;
                self.draw()
            }
            Event::Final(result) => self.finish(result),
            Event::Status { lag_ms, peak, voice, .. } => self.show_status(*lag_ms, *peak, *voice),
            _ => Ok(()),
        }
    }

    /// A line for stderr above the words.
    pub fn message(&mut self, text: &str) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        write!(out, "{CLEAR}")?;
        out.flush()?;
        say(text);
        drop(out);
        self.draw()
    }

    fn confirmed(&self) -> &str {
        self.line.confirmed.strip_prefix(&self.above).unwrap_or(&self.line.confirmed).trim_start()
    }

    /// Confirmed words stay, so those that fill a line are left standing.
    fn fold(&mut self) -> std::io::Result<()> {
        let columns = width() - 1;
        while self.settled && measure_text_width(self.confirmed()) > columns {
            let confirmed = self.confirmed().to_owned();
            let mut end = 0;
            for (at, _) in confirmed.match_indices(' ') {
                if measure_text_width(&confirmed[..at]) > columns {
                    break;
                }
                end = at;
            }
            if end == 0 {
                return Ok(());
            }
            let mut out = std::io::stdout().lock();
            writeln!(out, "{CLEAR}{}", &confirmed[..end])?;
            out.flush()?;
            if !self.above.is_empty() {
                self.above.push(' ');
            }
            self.above.push_str(&confirmed[..end]);
        }
        Ok(())
    }

    fn draw(&self) -> std::io::Result<()> {
        let columns = width() - 1;
        let confirmed = truncate_str(end_of(self.confirmed(), columns), columns, "…");
        let room = columns.saturating_sub(measure_text_width(&confirmed) + 1);
        // In no room at all not even the dots fit.
        let tentative = if room == 0 { "" } else { &*self.line.tentative };
        let tentative = truncate_str(tentative, room, "…");
        let gap = if confirmed.is_empty() || tentative.is_empty() { "" } else { " " };
        let mut out = std::io::stdout().lock();
        write!(out, "{CLEAR}{confirmed}{gap}")?;
        if !tentative.is_empty() {
            write!(out, "{DIM}{tentative}{PLAIN}")?;
        }
        out.flush()?;
        let Some(status) = &self.status else { return Ok(()) };
        // The line below, then back to the end of the words.
        let column = measure_text_width(&confirmed) + gap.len() + measure_text_width(&tentative);
        let back = if column > 0 { format!("\x1b[{column}C") } else { String::new() };
        let status = truncate_str(status, columns, "");
        draw(&format!("\r\n\x1b[K{status}\x1b[1A\r{back}"));
        Ok(())
    }

    fn finish(&mut self, result: &Final) -> std::io::Result<()> {
        let rest = result.text.strip_prefix(&self.above).unwrap_or(&result.text).trim_start();
        let start = result.result.first().map_or(result.time, |word| word.start);
        let stamp = if self.timestamps { clock(start) } else { String::new() };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{CLEAR}{stamp}{rest}")?;
        out.flush()?;
        drop(out);
        self.above.clear();
        self.line = Partial::default();
        Ok(())
    }

    fn show_status(&mut self, lag_ms: f32, peak: f32, voice: bool) -> std::io::Result<()> {
        if !self.shows_status {
            return Ok(());
        }
        // 60 dB from the first cell to the last.
        let level = (20.0 * peak.max(1e-6).log10() / 60.0 + 1.0).clamp(0.0, 1.0);
        let cells = (level * METER as f32).round() as usize;
        let meter = format!("{}{}", "█".repeat(cells), "·".repeat(METER - cells));
        let voice = if voice { "speech" } else { "silence" };
        let late = if lag_ms > HIGH_LAG_MS { " falling behind" } else { "" };
        let status = format!("{meter} {voice:7} lag {lag_ms:4.0} ms{late}");
        if self.status.as_ref() != Some(&status) {
            self.status = Some(status);
            self.draw()?;
        }
        Ok(())
    }

    /// Leaves the terminal as it should be.
    pub fn close(&mut self) -> std::io::Result<()> {
        self.status = None;
        let mut out = std::io::stdout().lock();
        write!(out, "{CLEAR}")?;
        out.flush()
    }
}
