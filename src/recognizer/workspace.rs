//! [`Workspace`]: computes what the blocks of one or many sessions need.

use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;

use super::Session;
use crate::attention::Projected;
use crate::model::{EncoderBatch, StepScratch};
use crate::search::{SearchScratch, StepBatch};

/// Rows of the transducer computed at once: enough to make use of the weights, few enough to stay in the cache with them.
const ROWS_TOGETHER: usize = 64;
/// Sessions encoded at once, for the same reason, and so that the buffers do not grow with the number of streams.
const SESSIONS_TOGETHER: usize = 32;

/// Work of the stages of a batch; times where its caller gave it a clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Samples to log-mel frames.
    pub features: Duration,
    /// Frames to keys and values.
    pub encoder: Duration,
    /// Steps of the network.
    pub transducer: Duration,
    /// All else.
    pub search: Duration,
    /// Steps of the network, many rows at a time.
    pub steps: u64,
    /// Rows of those steps.
    pub rows: u64,
}

/// Buffers of all sessions that one thread runs; nothing in them outlives a call.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    frames: EncoderBatch,
    projected: Projected,
    steps: StepBatch,
    step_scratch: StepScratch,
    search: SearchScratch,
    /// Sessions at work, by their place in the slice.
    busy: Vec<usize>,
    /// Tells the time since some moment.
    pub clock: Option<fn() -> Duration>,
    pub times: StageTimes,
}

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

/// Runs `work` with the buffers of this thread.
pub(super) fn with<T>(work: impl FnOnce(&mut Workspace) -> T) -> T {
    WORKSPACE.with_borrow_mut(work)
}

impl Workspace {
    /// Runs every block that is ready in any of `sessions`, which share one recognizer. What needs the network is computed for
    /// all of them at once; each row's bits are those that it would have alone.
    pub fn advance(&mut self, sessions: &mut [Session]) {
        loop {
            let encoded = self.encode(sessions);
            self.busy.clear();
            self.busy.extend(0..sessions.len());
            self.run_blocks(sessions);
            if !encoded {
                return;
            }
        }
    }

    fn now(&self) -> Duration {
        self.clock.map_or(Duration::ZERO, |clock| clock())
    }

    /// Encodes the next frames of some sessions; whether there were any.
    fn encode(&mut self, sessions: &mut [Session]) -> bool {
        let start = self.now();
        self.frames.clear();
        self.busy.clear();
        for (i, session) in sessions.iter_mut().enumerate() {
            if session.push_frames(&mut self.frames) {
                self.busy.push(i);
            }
            if self.busy.len() == SESSIONS_TOGETHER {
                break;
            }
        }
        let Some(first) = self.busy.first() else { return false };
        let model = &sessions[*first].recognizer().model;
        model.run(&mut self.frames);
        model.attention().project_rows_into(self.frames.rows(), &mut self.projected);
        for (i, session) in self.busy.iter().enumerate() {
            sessions[*session].pull_frames(&mut self.frames, &self.projected, i);
        }
        self.times.encoder += self.now().saturating_sub(start);
        true
    }

    /// Runs blocks, all sessions in step, until none has its frames.
    fn run_blocks(&mut self, sessions: &mut [Session]) {
        loop {
            let start = self.now();
            let in_network = self.times.transducer;
            self.busy.retain(|i| sessions[*i].begin_block());
            if self.busy.is_empty() {
                return;
            }
            while self.step(sessions) {}
            for i in &self.busy {
                sessions[*i].end_block();
            }
            let network = self.times.transducer.saturating_sub(in_network);
            self.times.search += self.now().saturating_sub(start).saturating_sub(network);
        }
    }

    /// One step of the network for all that searches wait for; whether there was anything.
    fn step(&mut self, sessions: &mut [Session]) -> bool {
        let (mut begin, mut any) = (0, false);
        while begin < self.busy.len() {
            self.steps.clear();
            let mut end = begin;
            while end < self.busy.len() && self.steps.tokens.len() < ROWS_TOGETHER {
                sessions[self.busy[end]].search().pending_into(&mut self.steps);
                end += 1;
            }
            if !self.steps.tokens.is_empty() {
                self.step_together(sessions, begin..end);
                any = true;
            }
            begin = end;
        }
        any
    }

    /// Computes the rows in `steps`, which belong to a part of the busy sessions, and hands out the results.
    fn step_together(&mut self, sessions: &mut [Session], part: Range<usize>) {
        let busy = &self.busy[part];
        let model = &sessions[busy[0]].recognizer().model;
        let (num_tokens, size) = (model.num_tokens(), model.state_size());
        self.steps.prepare(num_tokens);
        self.times.steps += 1;
        self.times.rows += self.steps.tokens.len() as u64;
        let before = self.clock.map(|clock| clock());
        let views = busy.iter().map(|i| sessions[*i].view());
        let StepBatch { states, tokens, next, log_probs } = &mut self.steps;
        model.step_into(states, tokens, &views, &mut self.step_scratch, next, log_probs);
        if let (Some(clock), Some(before)) = (self.clock, before) {
            self.times.transducer += clock().saturating_sub(before);
        }
        let (mut next, mut log_probs) = (&self.steps.next[..], &self.steps.log_probs[..]);
        for i in busy {
            let search = sessions[*i].search();
            let rows = search.num_pending();
            if rows > 0 {
                let (own, others) = next.split_at(rows * size);
                let (own_log_probs, other_log_probs) = log_probs.split_at(rows * num_tokens);
                search.absorb(own, own_log_probs, &mut self.search);
                (next, log_probs) = (others, other_log_probs);
            }
        }
    }
}
