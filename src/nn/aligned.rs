//! Buffers for vector loads.

const CACHE_LINE_BYTES: usize = 64;

/// Values that start on a cache line.
#[derive(Debug)]
pub(super) struct Aligned<T> {
    data: Vec<T>,
    offset: usize,
}

impl<T: Copy + Default> Aligned<T> {
    pub fn new(len: usize) -> Self {
        let line = CACHE_LINE_BYTES / size_of::<T>();
        let data = vec![T::default(); len + line];
        // The buffer is never reallocated, so the alignment found here lasts.
        let offset = data.as_ptr().align_offset(CACHE_LINE_BYTES).min(line);
        Self { data, offset }
    }

    pub fn slice(&self, start: usize, len: usize) -> &[T] {
        &self.data[self.offset + start..][..len]
    }

    pub fn slice_mut(&mut self) -> &mut [T] {
        &mut self.data[self.offset..]
    }
}
