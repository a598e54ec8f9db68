//! The convolution of the front end: 3x3, stride 2, streaming in time, followed by `ReLU`.

use super::int8::Activations;
use super::kernels::kernels;
use super::matrix::PackedMatrix;
use super::rows::{Rows, RowsMut};

/// Size of the kernel in time and in frequency.
const KERNEL: usize = 3;
/// Distance between outputs in time and in frequency.
const STRIDE: usize = 2;

/// A layer on frames `[bins, channels]`. One row of zeros pads the low end of the frequency axis
/// and one frame of zeros the start of the stream, so output frame `j` sees input frames `2j - 1`
/// to `2j + 1`.
#[derive(Debug)]
pub struct Conv2d {
    /// `[out_channels, time * frequency * in_channels]`.
    weight: PackedMatrix,
    bias: Vec<f32>,
    in_bins: usize,
    in_channels: usize,
}

/// What one stream leaves between calls: input frames not yet passed by the kernel.
#[derive(Debug, Clone)]
pub struct ConvState {
    /// Frames `[frames, in_bins + 1, in_channels]`, the first row of each zero; at most two.
    frames: Vec<f32>,
}

/// Memory that layers need while they work. Nothing in it outlives a call, so one serves any number of streams.
#[derive(Debug, Default)]
pub struct ConvScratch {
    /// Frames of the stream's state, then those of the call.
    frames: Vec<f32>,
    /// What the kernel sees at every place of the output.
    patches: Vec<f32>,
    activations: Activations,
}

impl ConvState {
    /// Bytes held.
    pub fn num_bytes(&self) -> usize {
        self.frames.capacity() * size_of::<f32>()
    }
}

impl Conv2d {
    /// From `PyTorch`'s `weight` `[out_channels, in_channels, 3, 3]` (kernel axes time,
    /// frequency) and `bias` `[out_channels]`.
    ///
    /// # Panics
    /// If the lengths do not fit or `in_bins` is odd.
    pub fn new(weight: &[f32], bias: Vec<f32>, in_bins: usize, in_channels: usize) -> Self {
        let area = KERNEL * KERNEL;
        assert!(in_bins.is_multiple_of(STRIDE) && weight.len() == bias.len() * in_channels * area);
        let mut reordered = Vec::with_capacity(weight.len());
        for filter in weight.chunks_exact(in_channels * area) {
            for place in 0..area {
                reordered.extend((0..in_channels).map(|c| filter[c * area + place]));
            }
        }
        let weight = PackedMatrix::pack(&reordered, bias.len(), in_channels * area);
        Self { weight, bias, in_bins, in_channels }
    }

    /// Values of an input frame.
    pub fn inputs(&self) -> usize {
        self.in_bins * self.in_channels
    }

    /// Values of an output frame `[in_bins / 2, out_channels]`.
    pub fn outputs(&self) -> usize {
        self.in_bins / STRIDE * self.bias.len()
    }

    /// Number of weights and biases.
    pub fn num_parameters(&self) -> usize {
        (self.weight.inputs() + 1) * self.bias.len()
    }

    /// The start of a stream.
    pub fn initial_state(&self) -> ConvState {
        // As many as can wait for the kernel to be filled.
        let mut state =
            ConvState { frames: Vec::with_capacity((KERNEL - 1) * self.padded_frame()) };
        self.reset(&mut state);
        state
    }

    /// Back to the start of a stream.
    pub fn reset(&self, state: &mut ConvState) {
        state.frames.clear();
        state.frames.resize(self.padded_frame(), 0.0);
    }

    /// Takes whole frames `[n, in_bins, in_channels]` and appends the outputs they complete, `[m, in_bins / 2, out_channels]`.
    pub fn forward_into(
        &self,
        state: &mut ConvState,
        frames: &[f32],
        scratch: &mut ConvScratch,
        out: &mut Vec<f32>,
    ) {
        let ConvScratch { frames: joined, patches, activations } = scratch;
        joined.clear();
        joined.extend_from_slice(&state.frames);
        for frame in frames.chunks_exact(self.inputs()) {
            joined.resize(joined.len() + self.in_channels, 0.0);
            joined.extend_from_slice(frame);
        }
        let padded = self.padded_frame();
        let available = joined.len() / padded;
        let outputs = if available < KERNEL { 0 } else { (available - KERNEL) / STRIDE + 1 };
        state.frames.clear();
        state.frames.extend_from_slice(&joined[STRIDE * outputs * padded..]);
        patches.clear();
        for j in 0..outputs {
            for bin in 0..self.in_bins / STRIDE {
                for t in 0..KERNEL {
                    let start = (STRIDE * j + t) * padded + STRIDE * bin * self.in_channels;
                    let slice = &joined[start..start + KERNEL * self.in_channels];
                    patches.extend_from_slice(slice);
                }
            }
        }
        let first = out.len();
        let rows = outputs * self.in_bins / STRIDE;
        let channels = self.bias.len();
        out.reserve(rows * channels);
        for _ in 0..rows {
            out.extend_from_slice(&self.bias);
        }
        let y = &mut out[first..];
        self.weight.accumulate(
            kernels(),
            rows,
            Rows { data: patches, stride: self.weight.inputs() },
            RowsMut { data: y, stride: channels },
            activations,
        );
        for v in y {
            *v = v.max(0.0);
        }
    }

    fn padded_frame(&self) -> usize {
        (self.in_bins + 1) * self.in_channels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_equal_the_definition_for_any_split() {
        let (bins, channels, filters, frames) = (8, 2, 3, 11);
        let value = |i: usize| ((i * 7919 + 13) % 97) as f32 / 97.0 - 0.5;
        let weight: Vec<f32> = (0..filters * channels * 9).map(value).collect();
        let bias: Vec<f32> = (0..filters).map(value).collect();
        let x: Vec<f32> = (0..frames * bins * channels).map(|i| value(i + 5)).collect();
        let conv = Conv2d::new(&weight, bias.clone(), bins, channels);

        let mut expected = Vec::new();
        for j in 0..frames / 2 {
            for bin in 0..bins / 2 {
                for f in 0..filters {
                    let mut sum = bias[f];
                    for c in 0..channels {
                        for (dt, df) in (0..9).map(|p| (p / 3, p % 3)) {
                            let (t, m) = (2 * j + dt, 2 * bin + df);
                            if t >= 1 && m >= 1 && m <= bins {
                                sum += weight[((f * channels + c) * 3 + dt) * 3 + df]
                                    * x[((t - 1) * bins + m - 1) * channels + c];
                            }
                        }
                    }
                    expected.push(sum.max(0.0));
                }
            }
        }
        let mut state = conv.initial_state();
        let mut scratch = ConvScratch::default();
        let mut whole = Vec::new();
        conv.forward_into(&mut state, &x, &mut scratch, &mut whole);
        assert_eq!(whole.len(), expected.len());
        assert!(whole.iter().zip(&expected).all(|(g, e)| (g - e).abs() < 1e-5));
        for split in 1..frames {
            conv.reset(&mut state);
            let mut parts = Vec::new();
            for part in x.chunks(split * bins * channels) {
                conv.forward_into(&mut state, part, &mut scratch, &mut parts);
            }
            assert_eq!(parts, whole, "split {split}");
        }
    }
}
