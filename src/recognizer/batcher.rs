//! [`Batcher`]: many sessions computed as one batch.

use std::time::Duration;

use super::workspace::{StageTimes, Workspace};
use super::{Recognizer, Session, SessionOptions};
use crate::error::{Error, Result};

/// Names a stream of a [`Batcher`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(u64);

/// Sessions whose blocks are computed together, so that the weights are read once for all of them. Each stream's results have
/// the bits that a session alone gives.
///
/// [`Batcher::accept_waveform`] only makes features; [`Batcher::run`] computes all blocks that are ready.
pub struct Batcher {
    recognizer: Recognizer,
    sessions: Vec<Session>,
    /// By session.
    ids: Vec<StreamId>,
    ending: Vec<bool>,
    next_id: u64,
    workspace: Workspace,
}

impl Batcher {
    /// A batch without streams.
    pub fn new(recognizer: &Recognizer) -> Self {
        Self {
            recognizer: recognizer.clone(),
            sessions: Vec::new(),
            ids: Vec::new(),
            ending: Vec::new(),
            next_id: 0,
            workspace: Workspace::default(),
        }
    }

    /// Measures the stages from now on by `clock`, which tells the time since some moment.
    pub fn set_clock(&mut self, clock: fn() -> Duration) {
        self.workspace.clock = Some(clock);
    }

    /// Time spent in the stages since there is a clock.
    pub fn stage_times(&self) -> StageTimes {
        self.workspace.times
    }

    /// Adds a stream.
    ///
    /// # Errors
    /// As [`Recognizer::session`].
    pub fn add(&mut self, options: &SessionOptions) -> Result<StreamId> {
        let id = StreamId(self.next_id);
        self.sessions.push(self.recognizer.session(options)?);
        self.ids.push(id);
        self.ending.push(false);
        self.next_id += 1;
        Ok(id)
    }

    /// Takes a stream out, with all that it still knows.
    pub fn remove(&mut self, id: StreamId) -> Option<Session> {
        let i = self.place(id)?;
        self.ids.swap_remove(i);
        self.ending.swap_remove(i);
        Some(self.sessions.swap_remove(i))
    }

    /// The streams; in the order in which they were added as long as none was removed.
    pub fn ids(&self) -> impl Iterator<Item = StreamId> + '_ {
        self.ids.iter().copied()
    }

    /// Number of streams.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is no stream.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    fn place(&self, id: StreamId) -> Option<usize> {
        self.ids.iter().position(|other| *other == id)
    }

    fn known(&self, id: StreamId) -> Result<usize> {
        self.place(id).ok_or_else(|| Error::Usage { reason: "the stream was removed".into() })
    }

    /// The stream, to read its words from.
    pub fn session(&self, id: StreamId) -> Option<&Session> {
        self.place(id).map(|i| &self.sessions[i])
    }

    /// The stream, to take its words from.
    pub fn session_mut(&mut self, id: StreamId) -> Option<&mut Session> {
        self.place(id).map(|i| &mut self.sessions[i])
    }

    /// Hears samples of a stream; its words change with the next [`Batcher::run`].
    ///
    /// # Errors
    /// As [`Session::accept_waveform`]; [`Error::Usage`] if the stream was removed.
    pub fn accept_waveform(&mut self, id: StreamId, samples: &[f32]) -> Result<()> {
        let i = self.known(id)?;
        let start = self.workspace.clock.map(|clock| clock());
        let result = self.sessions[i].hear(samples);
        if let (Some(clock), Some(start)) = (self.workspace.clock, start) {
            self.workspace.times.features += clock().saturating_sub(start);
        }
        result
    }

    /// The stream is over; the next [`Batcher::run`] settles its words.
    ///
    /// # Errors
    /// As [`Session::finish`]; [`Error::Usage`] if the stream was removed.
    pub fn finish(&mut self, id: StreamId) -> Result<()> {
        let i = self.known(id)?;
        self.ending[i] |= self.sessions[i].end()?;
        Ok(())
    }

    /// Computes every block that is ready and calls `changed` for each stream whose words are others now.
    pub fn run(&mut self, mut changed: impl FnMut(StreamId, &mut Session)) {
        self.workspace.advance(&mut self.sessions);
        for ((session, id), ending) in self.sessions.iter_mut().zip(&self.ids).zip(&mut self.ending)
        {
            let new = if std::mem::take(ending) { session.conclude() } else { session.collect() };
            if new {
                changed(*id, session);
            }
        }
    }
}

impl std::fmt::Debug for Batcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batcher").field("ids", &self.ids).finish_non_exhaustive()
    }
}
