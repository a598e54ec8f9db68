//! What a batch of sessions needs of each ([`Workspace`](super::workspace::Workspace)).

use super::{Phase, Recognizer, Session};
use crate::attention::{BlockView, Projected};
use crate::model::EncoderBatch;
use crate::search::Search;

/// Encoder frames computed at once, so that the buffers of a stream stay small however long a call is.
const ENCODE_FRAMES: usize = 16;

impl Session {
    /// Takes the next feature frames to be encoded, so many that buffers stay small however long a call was; none until a block
    /// can be complete, so that weights are read once a block.
    fn next_frames(&mut self) -> std::ops::Range<usize> {
        let model = &self.recognizer.model;
        let per_frame = model.feature_dim() * model.config().subsampling();
        let left = self.frames.len() - self.encoded;
        // An upper bound: frames that wait inside the encoder's state can complete one more.
        let possible = (self.memory.num_frames() + left / per_frame + 1)
            .saturating_sub(self.encoder.lag_frames());
        let ended = self.phase == Phase::Finished;
        if !ended && !self.window.is_ready(self.block, possible, false) {
            return self.encoded..self.encoded;
        }
        let start = self.encoded;
        self.encoded += left.min(per_frame * ENCODE_FRAMES);
        start..self.encoded
    }

    /// Adds frames to the batch; whether there were any.
    pub(in crate::recognizer) fn push_frames(&mut self, batch: &mut EncoderBatch) -> bool {
        let range = self.next_frames();
        if range.is_empty() {
            return false;
        }
        let model = &self.recognizer.model;
        model.push(batch, &mut self.encoder, &self.frames[range]);
        if self.encoded == self.frames.len() {
            self.frames.clear();
            self.encoded = 0;
        }
        true
    }

    /// Takes the results of the frames that were pushed `i`th.
    pub(in crate::recognizer) fn pull_frames(
        &mut self,
        batch: &mut EncoderBatch,
        projected: &Projected,
        i: usize,
    ) {
        let model = &self.recognizer.model;
        batch.pull(i, &mut self.encoder);
        let (count, first) = batch.span(i);
        model.attention().append(projected, first, count, &mut self.memory);
    }

    /// Begins the next block if its frames are there.
    pub(in crate::recognizer) fn begin_block(&mut self) -> bool {
        let ended = self.phase == Phase::Finished && self.frames.is_empty();
        // Between segments blocks wait for the next one.
        let ready = self.phase != Phase::Settled
            && self.window.is_ready(self.block, self.memory.num_frames(), ended);
        if ready {
            let state_size = self.recognizer.model.state_size();
            self.search.begin_block(state_size, self.mode.max_tokens_per_block);
        }
        ready
    }

    /// What the rows see that search waits for.
    pub(in crate::recognizer) fn view(&self) -> BlockView<'_> {
        let rows = self.search.num_pending();
        BlockView { rows, memory: &self.memory, window: self.window, block: self.block }
    }

    pub(in crate::recognizer) fn search(&mut self) -> &mut dyn Search {
        self.search.as_mut()
    }

    /// Forgets what only the block that is over has seen.
    pub(in crate::recognizer) fn end_block(&mut self) {
        self.block += 1;
        self.memory.discard_before(self.window.first_visible(self.block));
        self.ran = true;
    }

    pub(in crate::recognizer) fn recognizer(&self) -> &Recognizer {
        &self.recognizer
    }
}
