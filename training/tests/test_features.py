import cmath
import math
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from features import FeatureConfig, LogMel, mel_filters

torch.set_num_threads(1)


def naive_frame(samples, c):
    """One frame by the definition in docs/model-format.md, in plain Python."""
    mean = sum(samples) / len(samples)
    x = [(s - mean) * (0.5 - 0.5 * math.cos(2 * math.pi * i / len(samples))) for i, s in enumerate(samples)]
    power = []
    for k in range(c.fft_size // 2 + 1):
        turn = cmath.exp(-2j * math.pi * k / c.fft_size)
        z, w = 0j, 1 + 0j
        for v in x:
            z += v * w
            w *= turn
        power.append(abs(z) ** 2)
    mel = lambda hz: 1127 * math.log(1 + hz / 700)
    step = (mel(c.high_hz) - mel(c.low_hz)) / (c.num_mel_bins + 1)
    out = []
    for m in range(c.num_mel_bins):
        centre = mel(c.low_hz) + (m + 1) * step
        weight = lambda k: max(0.0, 1 - abs(mel(k * c.sample_rate_hz / c.fft_size) - centre) / step)
        out.append(math.log(sum(weight(k) * p for k, p in enumerate(power)) + c.log_floor))
    return out


def test_log_mel_equals_a_naive_dft():
    rng = np.random.default_rng(0)
    c = FeatureConfig()
    samples = (rng.normal(0, 0.05, 1200) + 0.1 + 0.3 * np.sin(np.arange(1200) * 0.2)).astype(np.float32)
    got = LogMel(c)(torch.from_numpy(samples))
    assert got.shape == (1 + (1200 - 400) // 160, 80)
    for i in (0, 3, 5):
        expected = naive_frame([float(s) for s in samples[160 * i : 160 * i + 400]], c)
        assert np.abs(got[i].numpy() - expected).max() < 2e-3


def test_counts_of_frames_at_the_borders():
    extract = LogMel()
    for n, frames in ((0, 0), (399, 0), (400, 1), (559, 1), (560, 2)):
        assert extract(torch.zeros(n)).shape == (frames, 80)
    assert torch.allclose(extract(torch.zeros(400)), torch.full((1, 80), math.log(1e-7)))


def test_filters_peak_at_most_at_one_and_leave_no_bin_empty():
    filters = mel_filters(FeatureConfig())
    assert filters.min() >= 0 and filters.max() <= 1 and (filters.sum(dim=0) > 0).all()
