//! Recurrent states of hypotheses.

use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Recurrent states, `[slots, width]`, each shared by the hypotheses that stem from one step.
#[derive(Debug, Default)]
pub(super) struct StatePool {
    width: usize,
    /// Whether they stand in `halves` rather than in `data`.
    half: bool,
    data: Vec<f32>,
    halves: Vec<f16>,
    users: Vec<u32>,
    free: Vec<u32>,
}

impl StatePool {
    /// A pool that keeps 16 of the bits of every value.
    pub fn of_halves() -> Self {
        Self { half: true, ..Self::default() }
    }

    /// Forgets all states; those to come have `width` values.
    pub fn clear(&mut self, width: usize) {
        self.width = width;
        self.data.clear();
        self.halves.clear();
        self.users.clear();
        self.free.clear();
    }

    /// A state of zeros with one user.
    pub fn zeros(&mut self) -> u32 {
        let slot = self.take();
        let place = self.place(slot);
        if self.half {
            self.halves[place].fill(f16::ZERO);
        } else {
            self.data[place].fill(0.0);
        }
        slot
    }

    /// A copy of `state` with one user.
    pub fn insert(&mut self, state: &[f32]) -> u32 {
        let slot = self.take();
        let place = self.place(slot);
        if self.half {
            self.halves[place].convert_from_f32_slice(state);
        } else {
            self.data[place].copy_from_slice(state);
        }
        slot
    }

    fn take(&mut self) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.users.push(0);
            // A beam's worth of states is large: no more than is needed.
            let values = self.users.len() * self.width;
            if self.half {
                self.halves.reserve_exact(self.width);
                self.halves.resize(values, f16::ZERO);
            } else {
                self.data.reserve_exact(self.width);
                self.data.resize(values, 0.0);
            }
            self.users.len() as u32 - 1
        });
        self.users[slot as usize] = 1;
        slot
    }

    /// Bytes held.
    pub fn num_bytes(&self) -> usize {
        self.data.capacity() * size_of::<f32>()
            + self.halves.capacity() * size_of::<f16>()
            + (self.users.capacity() + self.free.capacity()) * size_of::<u32>()
    }

    fn place(&self, slot: u32) -> Range<usize> {
        let start = slot as usize * self.width;
        start..start + self.width
    }

    /// Appends the state in `slot`.
    pub fn get_into(&self, slot: u32, out: &mut Vec<f32>) {
        let place = self.place(slot);
        if self.half {
            let start = out.len();
            out.resize(start + self.width, 0.0);
            self.halves[place].convert_to_f32_slice(&mut out[start..]);
        } else {
            out.extend_from_slice(&self.data[place]);
        }
    }

    /// Whether anybody uses `slot`.
    pub fn is_used(&self, slot: u32) -> bool {
        self.users.get(slot as usize).is_some_and(|users| *users > 0)
    }

    pub fn share(&mut self, slot: u32) {
        self.users[slot as usize] += 1;
    }

    pub fn release(&mut self, slot: u32) {
        self.users[slot as usize] -= 1;
        if self.users[slot as usize] == 0 {
            self.free.push(slot);
        }
    }

    #[cfg(test)]
    pub fn num_slots(&self) -> usize {
        self.users.len()
    }

    #[cfg(test)]
    pub fn num_used(&self) -> usize {
        self.users.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_halves_are_rounded_and_slots_are_used_again() {
        for half in [false, true] {
            let mut pool = if half { StatePool::of_halves() } else { StatePool::default() };
            pool.clear(3);
            let zeros = pool.zeros();
            let state = [0.1, -1.0, 1234.567];
            let slot = pool.insert(&state);
            let mut out = vec![7.0];
            pool.get_into(slot, &mut out);
            pool.get_into(zeros, &mut out);
            let kept = |v: f32| if half { f16::from_f32(v).to_f32() } else { v };
            assert_eq!(out, [7.0, kept(0.1), -1.0, kept(1234.567), 0.0, 0.0, 0.0]);
            assert_eq!(pool.num_used(), 2);
            pool.share(slot);
            pool.release(slot);
            pool.release(slot);
            assert_eq!(pool.insert(&state), slot);
            let bytes = if half { 2 } else { 4 };
            assert_eq!(
                pool.num_bytes(),
                2 * 3 * bytes + 4 * (pool.users.capacity() + pool.free.capacity())
            );
        }
    }
}
