//! The thread that waits for the source.

use std::time::{Duration, Instant};

use super::sync::{Receiver, SendError, Sender, thread};
use super::{Message, PIECES_A_SECOND, Pace};
use crate::audio::{AudioSource, Incident};

/// Reads to the end, or until it is stopped or nobody listens.
pub(super) fn read(
    mut source: Box<dyn AudioSource + Send>,
    pace: Pace,
    messages: &Sender<Message>,
    spares: &Receiver<Vec<f32>>,
    is_stopped: &dyn Fn() -> bool,
) {
    let _ending = Ending(messages);
    let _ = pass_on(source.as_mut(), pace, messages, spares, is_stopped);
}

/// Tells the worker that nothing more comes, however the reader ends.
struct Ending<'a>(&'a Sender<Message>);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let _ = self.0.send(Message::Stop);
    }
}

fn pass_on(
    source: &mut dyn AudioSource,
    pace: Pace,
    messages: &Sender<Message>,
    spares: &Receiver<Vec<f32>>,
    is_stopped: &dyn Fn() -> bool,
) -> Result<(), SendError<Message>> {
    let rate = source.sample_rate_hz();
    let piece = (rate / PIECES_A_SECOND) as usize;
    let start = Instant::now();
    let mut samples = 0_u64;
    let mut chunk = Vec::new();
    'reading: loop {
        let more = match source.next_chunk(&mut chunk) {
            Ok(more) => more,
            Err(error) => return messages.send(Message::Failed(error)),
        };
        for incident in source.take_incidents() {
            messages.send(match incident {
                Incident::Lost { seconds } => Message::Lost { seconds },
                Incident::Interrupted { reason } => Message::Interrupted(reason),
                Incident::Note { message } => Message::Warning(message),
            })?;
        }
        if !more || is_stopped() {
            break;
        }
        for samples_now in chunk.chunks(piece) {
            if is_stopped() {
                break 'reading;
            }
            samples += samples_now.len() as u64;
            if pace == Pace::Realtime {
                let due = start + Duration::from_secs_f64(samples as f64 / f64::from(rate));
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            let captured = source.captured_at().unwrap_or_else(Instant::now);
            let mut piece = spares.try_recv().unwrap_or_default();
            piece.clear();
            piece.extend_from_slice(samples_now);
            messages.send(Message::Piece { samples: piece, captured })?;
        }
    }
    for warning in source.warnings() {
        messages.send(Message::Warning(warning.clone()))?;
    }
    Ok(())
}
