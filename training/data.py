"""Cached features as training batches: length buckets, augmentation in the log-mel domain, targets rebuilt for each block geometry.

All augmentation works on a padded batch of raw log-mel frames: speed and vocal-tract warps are one bilinear resampling of the
time-mel plane; gain, equaliser and additive noise act on mel energies, where independent sounds add; rooms are an exponential tail on the
energies of each bin. Masks follow SpecAugment (Park et al. 2019).
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from model import alignment


FRAME_S = 0.01


@dataclass
class Batch:
    features: torch.Tensor  # [B, T, mel] normalised, T a multiple of the subsampling
    lengths: torch.Tensor  # [B] encoder frames
    tokens: list  # per utterance: token ids
    ends: list  # per utterance: token end times in seconds, after the speed change
    starts: list
    utterances: list
    audio_s: float


class Corpus:
    def __init__(self, folder, mel=80, targets=None):
        """`targets`: token times that stand for those of the folder, as `realign` writes them."""
        folder = Path(folder)
        self.utterances = [json.loads(line) for line in open(folder / "utterances.jsonl", encoding="utf-8")]
        self.features = np.memmap(folder / "features.f16", np.float16, "r").reshape(-1, mel)
        noise = folder / "noise.f16"
        self.noise = np.memmap(noise, np.float16, "r").reshape(-1, mel) if noise.stat().st_size else np.zeros((0, mel), np.float16)
        targets = np.load(targets or folder / "targets.npz")
        self.token, self.start, self.end = targets["token"], targets["start"], targets["end"]
        stats = json.loads((folder / "stats.json").read_text())
        self.mean = torch.tensor(stats["mean"], dtype=torch.float32)
        self.inv_std = torch.tensor(stats["inv_std"], dtype=torch.float32)

    def split(self, name, sets=None, aligned=True):
        return [u for u in self.utterances
                if u["split"] == name and (sets is None or u["set"] in sets) and (u["tokens"] or not aligned)]

    def train(self, weights=None, drop_worst=0.0):
        """Training utterances; `weights` set -> share kept or repeated per epoch; the worst-scored share of alignments left out."""
        rows = self.split("train")
        if drop_worst:
            scores = sorted(u["score"] for u in rows if u["score"] is not None)
            floor = scores[int(len(scores) * drop_worst)]
            rows = [u for u in rows if u["score"] is not None and u["score"] >= floor]
        return rows

    def frames(self, u):
        if "parts" in u:
            return torch.cat([self.frames(part) for part in u["parts"]])
        return torch.from_numpy(self.features[u["frame"] : u["frame"] + u["frames"]].astype(np.float32))

    def targets(self, u):
        """Token ids, start and end times in seconds."""
        if "parts" in u:
            tokens, starts, ends = zip(*(self.targets(part) for part in u["parts"]))
            at = np.cumsum([0] + [part["frames"] for part in u["parts"][:-1]]) * FRAME_S
            return np.concatenate(tokens), np.concatenate([s + a for s, a in zip(starts, at)]), np.concatenate([e + a for e, a in zip(ends, at)])
        span = slice(u["token"], u["token"] + u["tokens"])
        return self.token[span], self.start[span], self.end[span]


def join(rows, share, most_frames, rng):
    """Of shuffled rows, `share` are strung together in twos to fours, of any speakers, up to `most_frames`: what a long recording is like."""
    alone, strung = [], []
    for u in rows:
        (strung if rng.random() < share else alone).append(u)
    strung = iter(strung)
    out = []
    for u in strung:
        parts = [u]
        for _ in range(rng.randint(1, 3)):
            more = next(strung, None)
            if more is None:
                break
            if sum(p["frames"] for p in parts) + more["frames"] > most_frames:
                out.append(more)
                break
            parts.append(more)
        out.append({"id": "+".join(p["id"] for p in parts), "set": u["set"], "frames": sum(p["frames"] for p in parts), "parts": parts}
                   if len(parts) > 1 else u)
    return alone + out


def buckets(utterances, batch_s, rng, weights=None, frame_s=FRAME_S, join_share=0.0, join_s=20.0):
    """Shuffled batches of similar length holding about `batch_s` seconds of padded audio each."""
    rows = []
    for u in utterances:
        share = (weights or {}).get(u["set"], 1.0)
        rows += [u] * (int(share) + (rng.random() < share - int(share)))
    rng.shuffle(rows)
    if join_share:
        rows = join(rows, join_share, join_s / frame_s, rng)
    rows.sort(key=lambda u: u["frames"] * (1 + 0.15 * rng.random()))
    out, current, longest = [], [], 0
    for u in rows:
        longest = max(longest, u["frames"])
        if current and longest * (len(current) + 1) * frame_s > batch_s:
            out.append(current)
            current, longest = [], u["frames"]
        current.append(u)
    if current:
        out.append(current)
    rng.shuffle(out)
    return out


def uniform(n, low, high, generator):
    return low + (high - low) * torch.rand(n, generator=generator)


class Augment:
    def __init__(self, config, corpus, log_floor=1e-7):
        self.c = config
        self.corpus = corpus
        self.floor = math.log(log_floor)

    def noise(self, count, frames, generator):
        """[count, frames, mel] crops of the noise recordings."""
        starts = torch.randint(0, len(self.corpus.noise) - frames, (count,), generator=generator).tolist()
        return torch.from_numpy(np.stack([self.corpus.noise[s : s + frames] for s in starts]).astype(np.float32))

    def warp(self, x, frames, tail, generator):
        """Resamples every utterance in time by its speed and in mel by its vocal-tract factor, leaving room for `tail` more frames.

        Returns x, new frame counts, speeds.
        """
        n, longest, mel = x.shape
        speed = torch.exp(uniform(n, -1, 1, generator) * self.c["speed"])
        tract = torch.exp(uniform(n, -1, 1, generator) * self.c["vtlp"]) * speed.sqrt()
        new = (frames / speed).floor().long().clamp(min=8)
        out = int(new.max()) + tail
        t = torch.arange(out)[None] * speed[:, None]  # source frame of each output frame
        m_hz = 700.0 * (torch.exp(torch.linspace(32.0, 2786.0, mel) / 1127.0) - 1.0)
        m = 1127.0 * torch.log(1.0 + m_hz[None] / tract[:, None] / 700.0)
        m = ((m - 32.0) / (2786.0 - 32.0) * (mel - 1)).clamp(0, mel - 1)
        grid = torch.empty(n, out, mel, 2)
        grid[..., 0] = (2 * m / (mel - 1) - 1)[:, None, :]
        grid[..., 1] = (2 * t / max(longest - 1, 1) - 1)[:, :, None]
        return F.grid_sample(x[:, None], grid, align_corners=True, padding_mode="border")[:, 0], new, speed

    def rooms(self, x, generator):
        """Adds an exponentially decaying tail of earlier energy to some utterances; the direct sound keeps its level."""
        chosen = torch.rand(len(x), generator=generator) < self.c["room_share"]
        if not chosen.any():
            return x
        energy = x[chosen].exp()  # [n, T, mel]
        n, _, mel = energy.shape
        taps = 40
        t60 = uniform(n, 0.15, 0.8, generator)
        decay = torch.exp(-13.8 * torch.arange(1, taps + 1)[None] * 0.01 / t60[:, None])
        ratio = 10 ** (uniform(n, -15, 0, generator) / 10)
        kernel = torch.cat([torch.ones(n, 1), ratio[:, None] * decay / decay.sum(dim=1, keepdim=True)], dim=1)
        flat = energy.permute(2, 0, 1)  # [mel, n, T]
        y = F.conv1d(F.pad(flat, (taps, 0)), kernel.flip(1)[:, None], groups=n)
        x = x.clone()
        x[chosen] = y.permute(1, 2, 0).clamp(min=1e-12).log()
        return x

    def __call__(self, x, frames, tail, generator):
        """x [B, T, mel] raw log-mel, frames [B] -> x with `tail` frames of silence after each, frames without it, speed."""
        x, frames, speed = self.warp(x, frames, tail, generator)
        n, longest, mel = x.shape
        inside = torch.arange(longest)[None] < frames[:, None]
        quiet = torch.where(inside[..., None], x, torch.full_like(x, 9.0)).amin(dim=1, keepdim=True)
        digital = torch.rand(n, 1, 1, generator=generator) < 0.5
        x = torch.where(inside[..., None], x, torch.where(digital, torch.full_like(quiet, self.floor), quiet))
        x = self.rooms(x, generator)
        curve = torch.randn(n, 1, 6, generator=generator) * self.c["equaliser"]
        curve = F.interpolate(curve, size=mel, mode="linear", align_corners=True)
        x = x + uniform(n, -1, 1, generator)[:, None, None] * self.c["gain"] + curve
        level = x.exp().mean(dim=(1, 2)).log()
        noisy = torch.rand(n, generator=generator) < self.c["noise_share"]
        if noisy.any() and len(self.corpus.noise) > longest:
            noise = self.noise(int(noisy.sum()), longest, generator)
            snr = uniform(len(noise), self.c["snr_db"][0], self.c["snr_db"][1], generator) * math.log(10) / 10
            shift = level[noisy] - snr - noise.exp().mean(dim=(1, 2)).clamp(min=1e-12).log()
            x[noisy] = torch.logaddexp(x[noisy], noise + shift[:, None, None])
        return x.clamp(min=self.floor), frames, speed

    def mask(self, x, frames, generator):
        """SpecAugment on normalised features, in place: zero is the mean."""
        n, longest, mel = x.shape
        t, m = torch.arange(longest)[None], torch.arange(mel)[None]
        for _ in range(self.c["freq_masks"]):
            width = uniform(n, 0, self.c["freq_width"], generator)
            start = torch.rand(n, generator=generator) * (mel - width)
            hit = (m >= start[:, None]) & (m < (start + width)[:, None])
            x.masked_fill_(hit[:, None, :], 0.0)
        for _ in range(self.c["time_masks"]):
            width = torch.minimum(uniform(n, 0, self.c["time_width"], generator), frames * self.c["time_share"])
            start = torch.rand(n, generator=generator) * (frames - width)
            hit = (t >= start[:, None]) & (t < (start + width)[:, None])
            x.masked_fill_(hit[:, :, None], 0.0)
        return x


def make_batch(corpus, utterances, model, tail_frames, augment=None, generator=None):
    """Pads and, with `augment`, disturbs the utterances; `tail_frames` of silence follow each, as at the end of a stream."""
    count = torch.tensor([u["frames"] for u in utterances])
    x = torch.full((len(utterances), int(count.max()), corpus.features.shape[1]), math.log(1e-7))
    for i, u in enumerate(utterances):
        x[i, : u["frames"]] = corpus.frames(u)
    speed = torch.ones(len(utterances))
    if augment:
        x, frames, speed = augment(x, count, tail_frames, generator)
        frames = frames + tail_frames
    else:
        x = F.pad(x, (0, 0, 0, tail_frames), value=math.log(1e-7))
        frames = count + tail_frames
    x = (x - corpus.mean) * corpus.inv_std
    if augment and (augment.c["freq_masks"] or augment.c["time_masks"]):
        x = augment.mask(x, frames, generator)
    lengths = model.num_frames(frames)
    x = x[:, : int(frames.max()) // model.subsampling * model.subsampling]
    tokens, starts, ends = zip(*(corpus.targets(u) for u in utterances))
    return Batch(x, lengths, list(tokens), [e / s for e, s in zip(ends, speed.tolist())],
                 [b / s for b, s in zip(starts, speed.tolist())], utterances, float(count.sum()) * 0.01)


def frame_targets(batch, sub, frame_s, delay_s, silence=0):
    """Token at each sub-frame `delay_s` earlier (silence as 0, ignored beyond the end as -100): [B, U * sub]."""
    width = int(batch.lengths.max())
    out = np.full((len(batch.tokens), width * sub), -100, np.int64)
    for i, (tokens, starts, ends) in enumerate(zip(batch.tokens, batch.starts, batch.ends)):
        n = int(batch.lengths[i]) * sub
        centre = (np.arange(n) + 0.5) * frame_s / sub - delay_s
        out[i, :n] = silence
        if len(tokens):
            k = np.clip(np.searchsorted(starts, centre, side="right") - 1, 0, None)
            inside = (centre >= starts[k]) & (centre < ends[k])
            out[i, :n][inside] = tokens[k][inside]
    return torch.from_numpy(out)


def step_targets(batch, geometry, frame_s, delay_s=0.0, aligned=None):
    """Teacher-forced transducer input for a batch: previous, target (-100 beyond the end) and block, each [B, S]."""
    pairs = aligned or [
        alignment(t, e + delay_s, int(n), frame_s, geometry) for t, e, n in zip(batch.tokens, batch.ends, batch.lengths)
    ]
    width = max(len(y) for y, _ in pairs)
    previous = torch.zeros(len(pairs), width, dtype=torch.long)
    target = torch.full((len(pairs), width), -100)
    block = torch.full((len(pairs), width), -1)
    for i, (y, owner) in enumerate(pairs):
        previous[i, 1 : len(y)] = torch.tensor(y[:-1])
        target[i, : len(y)] = torch.tensor(y)
        block[i, : len(y)] = torch.tensor(owner)
    return previous, target, block
