"""Log-mel features, number for number those of `src/features/` (docs/model-format.md, "Features")."""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class FeatureConfig:
    sample_rate_hz: int = 16000
    frame_length_ms: float = 25.0
    frame_shift_ms: float = 10.0
    num_mel_bins: int = 80
    fft_size: int = 512
    low_hz: float = 20.0
    high_hz: float = 7600.0
    log_floor: float = 1e-7

    @property
    def length(self) -> int:
        return round(self.sample_rate_hz * self.frame_length_ms / 1000)

    @property
    def shift(self) -> int:
        return round(self.sample_rate_hz * self.frame_shift_ms / 1000)


def mel(hz):
    return 1127.0 * math.log(1.0 + hz / 700.0)


def mel_filters(config: FeatureConfig) -> torch.Tensor:
    """Triangles of peak 1, linear in mel: [fft_size // 2 + 1, num_mel_bins]."""
    bins = torch.arange(config.fft_size // 2 + 1, dtype=torch.float64)
    hz = bins * config.sample_rate_hz / config.fft_size
    m = 1127.0 * torch.log(1.0 + hz / 700.0)
    low, high = mel(config.low_hz), mel(config.high_hz)
    points = low + (high - low) * torch.arange(config.num_mel_bins + 2, dtype=torch.float64) / (config.num_mel_bins + 1)
    left, centre, right = points[:-2], points[1:-1], points[2:]
    up = (m[:, None] - left) / (centre - left)
    down = (right - m[:, None]) / (right - centre)
    return torch.clamp(torch.minimum(up, down), min=0.0).float()


class LogMel:
    """Samples [n] in [-1, 1] -> log-mel frames [t, num_mel_bins], not yet normalised."""

    def __init__(self, config: FeatureConfig = FeatureConfig()):
        self.config = config
        n = torch.arange(config.length, dtype=torch.float64)
        self.window = (0.5 - 0.5 * torch.cos(2 * math.pi * n / config.length)).float()
        self.filters = mel_filters(config)

    def __call__(self, samples: torch.Tensor) -> torch.Tensor:
        c = self.config
        if len(samples) < c.length:
            return torch.zeros(0, c.num_mel_bins)
        frames = samples.float().unfold(0, c.length, c.shift)  # [t, length]
        frames = (frames - frames.mean(dim=1, keepdim=True)) * self.window
        power = torch.fft.rfft(frames, n=c.fft_size).abs().square()  # [t, fft/2 + 1]
        return torch.log(power @ self.filters + c.log_floor)
