//! What an [`Engine`](crate::Engine) needs of each session: frames in, blocks, and results back.

use super::{Phase, Session};
use crate::attention::{BlockView, Projected};
use crate::features::FeatureExtractor;
use crate::model::EncoderBatch;
use crate::recognizer::Recognizer;
use crate::search::Search;

/// Encoder frames computed at once, so that the buffers of a stream stay small however long a call is.
const ENCODE_FRAMES: usize = 16;

impl Session {
    /// Makes log-mel frames of what was accepted; whether there is anything for the network to do.
    pub(crate) fn wants_network(&mut self, features: &mut FeatureExtractor) -> bool {
        features.frames_into(&mut self.features, &mut self.frames);
        !self.next_frames().is_empty() || self.block_is_ready()
    }

    /// The next feature frames to be encoded, so many that buffers stay small however long a call was; none until a block can be
    /// complete, so that weights are read once a block.
    fn next_frames(&self) -> std::ops::Range<usize> {
        let model = &self.recognizer.model;
        let per_frame = model.feature_dim() * model.config().subsampling();
        let left = self.frames.len() - self.encoded;
        // An upper bound: frames that wait inside the encoder's state can complete one more.
        let possible = (self.memory.num_frames() + left / per_frame + 1)
            .saturating_sub(self.encoder.lag_frames());
        if !self.phase.has_ended() && !self.window.is_ready(self.block, possible, false) {
            return self.encoded..self.encoded;
        }
        self.encoded..self.encoded + left.min(per_frame * ENCODE_FRAMES)
    }

    /// Adds frames to the batch; whether there were any.
    pub(crate) fn push_frames(&mut self, batch: &mut EncoderBatch) -> bool {
        let range = self.next_frames();
        if range.is_empty() {
            return false;
        }
        self.encoded = range.end;
        let model = &self.recognizer.model;
        model.push(batch, &mut self.encoder, &self.frames[range]);
        if self.encoded == self.frames.len() {
            self.frames.clear();
            self.encoded = 0;
        }
        true
    }

    /// Takes the results of the frames that were pushed `i`th.
    pub(crate) fn pull_frames(
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

    fn block_is_ready(&self) -> bool {
        let ended = self.phase.has_ended() && self.frames.is_empty();
        // Between segments blocks wait for the next one.
        self.phase != Phase::Settled
            && self.window.is_ready(self.block, self.memory.num_frames(), ended)
    }

    /// Begins the next block if its frames are there.
    pub(crate) fn begin_block(&mut self) -> bool {
        let ready = self.block_is_ready();
        if ready {
            let state_size = self.recognizer.model.state_size();
            self.search.begin_block(state_size, self.mode.max_tokens_per_block);
        }
        ready
    }

    /// What the rows see that search waits for.
    pub(crate) fn view(&self) -> BlockView<'_> {
        let rows = self.search.num_pending();
        BlockView { rows, memory: &self.memory, window: self.window, block: self.block }
    }

    pub(crate) fn search(&self) -> &dyn Search {
        self.search.as_ref()
    }

    pub(crate) fn search_mut(&mut self) -> &mut dyn Search {
        self.search.as_mut()
    }

    /// Forgets what only the block that is over has seen.
    pub(crate) fn end_block(&mut self) {
        self.block += 1;
        self.memory.discard_before(self.window.first_visible(self.block));
        self.ran = true;
    }

    pub(crate) fn recognizer(&self) -> &Recognizer {
        &self.recognizer
    }
}
