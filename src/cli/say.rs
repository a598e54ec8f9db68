//! Messages. They go to stderr, and where that is closed or full nobody can be told, which must not end the work.

use std::io::Write;

/// A line.
pub fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// What is drawn over again, without the end of a line.
pub fn draw(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}
