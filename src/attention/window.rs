//! Which encoder frames a block owns and sees.

use std::ops::Range;

/// Geometry of blocks, in encoder frames. Blocks and frames count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// W: frames a block owns.
    pub block_frames: usize,
    /// Frames before the block that it sees.
    pub look_back_frames: usize,
    /// Frames after the block that it sees, and waits for.
    pub look_ahead_frames: usize,
}

impl Window {
    /// Blocks in a stream that ended after `frames`; the last may be short.
    pub fn num_blocks(&self, frames: usize) -> usize {
        frames.div_ceil(self.block_frames)
    }

    /// Frames that `block` owns when `frames` exist.
    pub fn owned(&self, block: usize, frames: usize) -> Range<usize> {
        let start = block * self.block_frames;
        start.min(frames)..(start + self.block_frames).min(frames)
    }

    /// Frames that `block` sees when `frames` exist.
    pub fn visible(&self, block: usize, frames: usize) -> Range<usize> {
        let end = (block + 1) * self.block_frames + self.look_ahead_frames;
        self.first_visible(block).min(frames)..end.min(frames)
    }

    /// First frame that `block` or a later one sees; earlier ones may be discarded.
    pub fn first_visible(&self, block: usize) -> usize {
        (block * self.block_frames).saturating_sub(self.look_back_frames)
    }

    /// Whether `block` can be computed when `frames` exist and `ended` says that no more come.
    pub fn is_ready(&self, block: usize, frames: usize, ended: bool) -> bool {
        if ended {
            return !self.owned(block, frames).is_empty();
        }
        frames >= (block + 1) * self.block_frames + self.look_ahead_frames
    }

    /// Distance of a frame from the nominal end of `block`, which is the first frame after it.
    pub(super) fn offset(&self, block: usize, frame: usize) -> isize {
        frame as isize - ((block + 1) * self.block_frames) as isize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { block_frames: 4, look_back_frames: 8, look_ahead_frames: 2 };

    #[test]
    fn the_first_block_sees_only_frames_that_exist() {
        assert_eq!(WINDOW.visible(0, 100), 0..6);
        assert_eq!(WINDOW.visible(1, 100), 0..10);
        assert_eq!(WINDOW.visible(2, 100), 0..14);
        assert_eq!(WINDOW.visible(3, 100), 4..18);
    }

    #[test]
    fn a_block_waits_for_its_look_ahead_unless_the_stream_ended() {
        assert!(!WINDOW.is_ready(0, 5, false));
        assert!(WINDOW.is_ready(0, 6, false));
        assert!(WINDOW.is_ready(0, 1, true));
        assert!(!WINDOW.is_ready(0, 0, true));
        assert!(WINDOW.is_ready(1, 5, true));
        assert!(!WINDOW.is_ready(1, 4, true));
    }

    #[test]
    fn blocks_own_every_frame_once() {
        for frames in 0..30 {
            let owned: Vec<usize> =
                (0..WINDOW.num_blocks(frames)).flat_map(|b| WINDOW.owned(b, frames)).collect();
            assert_eq!(owned, (0..frames).collect::<Vec<_>>());
            assert!(!WINDOW.is_ready(WINDOW.num_blocks(frames), frames, true));
        }
    }

    #[test]
    fn the_last_block_is_clipped_to_the_stream() {
        assert_eq!(WINDOW.owned(2, 9), 8..9);
        assert_eq!(WINDOW.visible(2, 9), 0..9);
        assert_eq!(WINDOW.first_visible(3), 4);
        assert_eq!(WINDOW.offset(2, 8), -4);
        assert_eq!(WINDOW.offset(2, 13), 1);
    }
}
