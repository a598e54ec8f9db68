//! Views of rows.

/// Rows of equal length, `stride` values from the start of one to the start of the next.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// First row onward.
    pub data: &'a [f32],
    /// Distance between rows.
    pub stride: usize,
}

/// Mutable [`Rows`].
#[derive(Debug)]
pub struct RowsMut<'a> {
    /// First row onward.
    pub data: &'a mut [f32],
    /// Distance between rows.
    pub stride: usize,
}
