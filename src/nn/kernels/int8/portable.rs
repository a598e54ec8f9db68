//! Plain loops: the reference, and what runs where no other file fits.

use super::{GROUP, Int8Tile, ZERO};

/// What machines of other kinds do not have.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Debug, Clone, Copy)]
pub(in crate::nn) enum Amx {}

/// The same.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Debug)]
pub(in crate::nn) enum Registers {}

#[cfg(not(target_arch = "x86_64"))]
impl Amx {
    pub fn suits(_batch: usize, _inputs: usize) -> bool {
        false
    }

    pub fn set(self, _batch: usize) -> Registers {
        match self {}
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Registers {
    pub fn rows(&self) -> usize {
        match *self {}
    }

    pub fn tile(&self, _tile: &Int8Tile<'_>, _sums: &mut [i32]) {
        match *self {}
    }
}

pub(in crate::nn::kernels) fn tile(tile: &Int8Tile<'_>, sums: &mut [i32]) {
    tile.check(sums);
    for (x, sums) in
        tile.x.chunks_exact(tile.inputs).zip(sums.chunks_exact_mut(tile.width)).take(tile.rows)
    {
        sums.fill(0);
        let (x, _) = x.as_chunks::<GROUP>();
        for (x, weights) in x.iter().zip(tile.panel.chunks_exact(tile.width * GROUP)) {
            let x = x.map(|v| i32::from(v) - i32::from(ZERO));
            for (sum, w) in sums.iter_mut().zip(weights.as_chunks::<GROUP>().0) {
                *sum += x.iter().zip(w).map(|(x, w)| x * i32::from(*w)).sum::<i32>();
            }
        }
    }
}
