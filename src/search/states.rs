//! Recurrent states of hypotheses.

use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::lm::to_bytes;

/// Recurrent states, `[slots, width]`, each shared by the hypotheses that stem from one step.
#[derive(Debug, Default)]
pub(super) struct StatePool {
    width: usize,
    /// Where states are kept small: the lengths of the parts that they begin with and that are kept in 8 bits, each with its scale.
    parts: Option<Vec<usize>>,
    /// States as they are, `[slots, width]`.
    data: Vec<f32>,
    /// Of small ones, what is kept in 8 bits, `[slots, sum of parts]`, worth `scales` `[slots, parts]`.
    bytes: Vec<i8>,
    scales: Vec<f32>,
    /// All else, what follows the parts too.
    halves: Vec<f16>,
    users: Vec<u32>,
    free: Vec<u32>,
}

impl StatePool {
    /// A pool of states that begin with parts of these lengths, which are kept in 8 bits; what follows them is kept in 16.
    pub fn small(parts: Vec<usize>) -> Self {
        Self { parts: Some(parts), ..Self::default() }
    }

    /// Forgets all states; those to come have `width` values.
    pub fn clear(&mut self, width: usize) {
        self.width = width;
        self.data.clear();
        self.bytes.clear();
        self.scales.clear();
        self.halves.clear();
        self.users.clear();
        self.free.clear();
    }

    /// A state of zeros with one user.
    pub fn zeros(&mut self) -> u32 {
        let slot = self.take();
        let Some(parts) = &self.parts else {
            self.data[place(slot, self.width)].fill(0.0);
            return slot;
        };
        let sum = parts.iter().sum();
        self.bytes[place(slot, sum)].fill(0);
        self.scales[place(slot, parts.len())].fill(0.0);
        self.halves[place(slot, self.width - sum)].fill(f16::ZERO);
        slot
    }

    /// A copy of `state` with one user.
    pub fn insert(&mut self, state: &[f32]) -> u32 {
        let slot = self.take();
        let Some(parts) = &self.parts else {
            let place = place(slot, self.width);
            self.data[place].copy_from_slice(state);
            return slot;
        };
        let sum = parts.iter().sum();
        let mut bytes = &mut self.bytes[place(slot, sum)];
        let mut rest = state;
        for (len, scale) in parts.iter().zip(&mut self.scales[place(slot, parts.len())]) {
            let (part, after) = rest.split_at(*len);
            rest = after;
            *scale = to_bytes(part, bytes.split_off_mut(..*len).unwrap_or_default());
        }
        self.halves[place(slot, self.width - sum)].convert_from_f32_slice(rest);
        slot
    }

    fn take(&mut self) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.users.push(0);
            match &self.parts {
                None => grow(&mut self.data, self.width),
                Some(parts) => {
                    let sum = parts.iter().sum();
                    grow(&mut self.bytes, sum);
                    grow(&mut self.scales, parts.len());
                    grow(&mut self.halves, self.width - sum);
                }
            }
            self.users.len() as u32 - 1
        });
        self.users[slot as usize] = 1;
        slot
    }

    /// Bytes held.
    pub fn num_bytes(&self) -> usize {
        (self.data.capacity() + self.scales.capacity()) * size_of::<f32>()
            + self.bytes.capacity()
            + self.halves.capacity() * size_of::<f16>()
            + (self.users.capacity() + self.free.capacity()) * size_of::<u32>()
    }

    /// Appends the state in `slot`.
    pub fn get_into(&self, slot: u32, out: &mut Vec<f32>) {
        let Some(parts) = &self.parts else {
            out.extend_from_slice(&self.data[place(slot, self.width)]);
            return;
        };
        let sum = parts.iter().sum();
        let mut bytes = &self.bytes[place(slot, sum)];
        for (len, scale) in parts.iter().zip(&self.scales[place(slot, parts.len())]) {
            let part;
            (part, bytes) = bytes.split_at(*len);
            out.extend(part.iter().map(|byte| f32::from(*byte) * scale));
        }
        let halves = &self.halves[place(slot, self.width - sum)];
        let start = out.len();
        out.resize(start + halves.len(), 0.0);
        halves.convert_to_f32_slice(&mut out[start..]);
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

/// The values of a slot that has `width`.
fn place(slot: u32, width: usize) -> Range<usize> {
    let start = slot as usize * width;
    start..start + width
}

/// Room for one slot more of `width`. A beam's worth of states is large: no more than is needed.
fn grow<T: Clone + Default>(values: &mut Vec<T>, width: usize) {
    values.reserve_exact(width);
    values.resize(values.len() + width, T::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_states_keep_what_a_step_needs_and_slots_are_used_again() {
        // Parts of two values and of three, and three values more.
        let state = [0.5, -0.25, 12.7, -1.0, 0.0, 0.3, -1234.567, 2048.0];
        let half = |v: f32| f16::from_f32(v).to_f32();
        let (unit, other) = (0.5_f32 / 127.0, 12.7_f32 / 127.0);
        let first = [127.0 * unit, -64.0 * unit, 127.0 * other, -10.0 * other, 0.0];
        let small = [&first[..], &[half(0.3), half(-1234.567), 2048.0]].concat();
        for (parts, kept, bytes) in
            [(None, state.to_vec(), 4 * 8), (Some(vec![2, 3]), small, 5 + 2 * 4 + 3 * 2)]
        {
            let mut pool = parts.map_or_else(StatePool::default, StatePool::small);
            pool.clear(8);
            let zeros = pool.zeros();
            let slot = pool.insert(&state);
            let mut out = vec![7.0];
            pool.get_into(slot, &mut out);
            pool.get_into(zeros, &mut out);
            assert_eq!(out, [&[7.0][..], &kept, &[0.0; 8]].concat());
            assert_eq!(pool.num_used(), 2);
            pool.share(slot);
            pool.release(slot);
            pool.release(slot);
            assert_eq!(pool.insert(&state), slot);
            assert_eq!(
                pool.num_bytes(),
                2 * bytes + 4 * (pool.users.capacity() + pool.free.capacity())
            );
            // What was kept is kept again as it is.
            let before = out[1..9].to_vec();
            let again = pool.insert(&before);
            out.clear();
            pool.get_into(again, &mut out);
            assert_eq!(out, before);
        }
    }
}
