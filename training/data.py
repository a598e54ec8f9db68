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

    def labelled(self, path, drop_unsure=0.0):
        """Utterances of split `unlabelled` with the targets that `label` wrote, the least sure share of them left out."""
        by_id = {u["id"]: u for u in self.split("unlabelled", aligned=False)}
        labels = np.load(path)
        names, counts, confidence = labels["id"], labels["count"], labels["confidence"]
        token, start, end = (labels[name] for name in ("token", "start", "end"))
        least = np.quantile(confidence, drop_unsure) if len(confidence) else 0.0
        first = np.cumsum(counts) - counts
        spans = [slice(a, a + n) for a, n in zip(first, counts)]
        return [{**by_id[name], "targets": (token[span], start[span], end[span])}
                for name, span, sure in zip(names, spans, confidence) if sure >= least and name in by_id]

    def frames(self, u):
        if "parts" in u:
            return torch.cat([self.frames(part) for part in u["parts"]])
        return torch.from_numpy(self.features[u["frame"] : u["frame"] + u["frames"]].astype(np.float32))

    def targets(self, u):
        """Token ids, start and end times in seconds; those that `label` gave an utterance are kept with it."""
        if "parts" in u:
            tokens, starts, ends = zip(*(self.targets(part) for part in u["parts"]))
            at = np.cumsum([0] + [part["frames"] for part in u["parts"][:-1]]) * FRAME_S
            return np.concatenate(tokens), np.concatenate([s + a for s, a in zip(starts, at)]), np.concatenate([e + a for e, a in zip(ends, at)])
        if "targets" in u:
            return u["targets"]
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


def buckets(utterances, batch_s, rng, weights=None, frame_s=FRAME_S, join_share=0.0, join_s=20.0, multiple=1):
    """Shuffled batches of similar length holding about `batch_s` seconds of padded audio each, and all but the last `multiple` utterances or a multiple of it."""
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
        if current and longest * (len(current) + 1) * frame_s > batch_s and len(current) % multiple == 0:
            out.append(current)
            current, longest = [], u["frames"]
        current.append(u)
    if current:
        out.append(current)
    rng.shuffle(out)
    return out


def uniform(n, low, high, generator):
    return low + (high - low) * torch.rand(n, generator=generator)


def frames_at(frames, speed):
    """Frames [B] of utterances spoken `speed` times as fast."""
    return (frames / speed).floor().long().clamp(min=8)


class Augment:
    def __init__(self, config, corpus, log_floor=1e-7):
        self.c = config
        self.corpus = corpus
        self.floor = math.log(log_floor)

    def noise(self, count, frames, generator, device="cpu"):
        """[count, frames, mel] crops of the noise recordings."""
        starts = torch.randint(0, len(self.corpus.noise) - frames, (count,), generator=generator)
        if isinstance(self.corpus.noise, torch.Tensor):
            return self.corpus.noise[starts.to(device, non_blocking=True)[:, None] + torch.arange(frames, device=device)].float()
        return torch.from_numpy(np.stack([self.corpus.noise[s : s + frames] for s in starts.tolist()]).astype(np.float32)).to(device, non_blocking=True)

    def draw_speed(self, n, generator):
        return torch.exp(uniform(n, -1, 1, generator) * self.c["speed"])

    def warp(self, x, frames, tail, generator, speed):
        """Resamples every utterance in time by its speed and in mel by its vocal-tract factor, leaving room for `tail` more frames.

        Returns x and new frame counts.
        """
        n, longest, mel = x.shape
        tract = torch.exp(uniform(n, -1, 1, generator) * self.c["vtlp"]) * speed.sqrt()
        new = frames_at(frames, speed)
        out = int(new.max()) + tail
        speed, tract = speed.to(x.device, non_blocking=True), tract.to(x.device, non_blocking=True)
        t = torch.arange(out, device=x.device)[None] * speed[:, None]  # source frame of each output frame
        m_hz = 700.0 * (torch.exp(torch.linspace(32.0, 2786.0, mel, device=x.device) / 1127.0) - 1.0)
        m = 1127.0 * torch.log(1.0 + m_hz[None] / tract[:, None] / 700.0)
        m = ((m - 32.0) / (2786.0 - 32.0) * (mel - 1)).clamp(0, mel - 1)
        grid = torch.empty(n, out, mel, 2, device=x.device)
        grid[..., 0] = (2 * m / (mel - 1) - 1)[:, None, :]
        grid[..., 1] = (2 * t / max(longest - 1, 1) - 1)[:, :, None]
        return F.grid_sample(x[:, None], grid, align_corners=True, padding_mode="border")[:, 0], new

    def chosen(self, n, share, generator):
        """The rows that a disturbance of this share falls on."""
        return torch.nonzero(torch.rand(n, generator=generator) < share).flatten()

    def rooms(self, x, generator):
        """Adds an exponentially decaying tail of earlier energy to some utterances; the direct sound keeps its level."""
        chosen = self.chosen(len(x), self.c["room_share"], generator)
        if not len(chosen):
            return x
        n, mel, taps = len(chosen), x.shape[2], 40
        t60 = uniform(n, 0.15, 0.8, generator)
        decay = torch.exp(-13.8 * torch.arange(1, taps + 1)[None] * 0.01 / t60[:, None])
        ratio = 10 ** (uniform(n, -15, 0, generator) / 10)
        kernel = torch.cat([torch.ones(n, 1), ratio[:, None] * decay / decay.sum(dim=1, keepdim=True)], dim=1).to(x.device, non_blocking=True)
        chosen = chosen.to(x.device, non_blocking=True)
        flat = x[chosen].exp().permute(2, 0, 1)  # [mel, n, T]
        y = F.conv1d(F.pad(flat, (taps, 0)), kernel.flip(1)[:, None], groups=n)
        return x.index_copy(0, chosen, y.permute(1, 2, 0).clamp(min=1e-12).log())

    def mix(self, x, chosen, noise, snr_db, level, generator):
        """Adds `noise` [n, T, mel] to the `chosen` rows of x at signal-to-noise ratios drawn from `snr_db`; `level` [B] is that of x."""
        snr = uniform(len(chosen), snr_db[0], snr_db[1], generator).to(x.device, non_blocking=True) * math.log(10) / 10
        chosen = chosen.to(x.device, non_blocking=True)
        shift = level[chosen] - snr - noise.exp().mean(dim=(1, 2)).clamp(min=1e-12).log()
        return x.index_copy(0, chosen, torch.logaddexp(x[chosen], noise + shift[:, None, None]))

    def telephone(self, x, generator):
        """Takes from some utterances what lies outside a band such as a telephone's: between 200 and 400, and 3000 and 4000 Hz."""
        chosen = self.chosen(len(x), self.c.get("telephone_share", 0.0), generator)
        if not len(chosen):
            return x
        mel = x.shape[2]
        to_bin = lambda hz: (1127.0 * torch.log(1.0 + hz / 700.0) - 32.0) / (2786.0 - 32.0) * (mel - 1)
        low, high = to_bin(uniform(len(chosen), 200, 400, generator)), to_bin(uniform(len(chosen), 3000, 4000, generator))
        depth = uniform(len(chosen), 4, 12, generator)
        m = torch.arange(mel)[None]
        away = ((low[:, None] - m).clamp(min=0) / 3 + (m - high[:, None]).clamp(min=0) / 2).clamp(max=1)
        chosen = chosen.to(x.device, non_blocking=True)
        return x.index_copy(0, chosen, x[chosen] - (depth[:, None] * away).to(x.device, non_blocking=True)[:, None])

    def __call__(self, x, frames, tail, generator, speed=None):
        """x [B, T, mel] raw log-mel, frames [B] -> x with `tail` frames of silence after each, frames without it, speed.

        Numbers are drawn, and counts kept, on the CPU, so that a GPU never waits for them.
        """
        n, device = len(x), x.device
        speed = self.draw_speed(n, generator) if speed is None else speed
        x, frames = self.warp(x, frames, tail, generator, speed)
        longest, mel = x.shape[1:]
        inside = torch.arange(longest, device=device)[None] < frames.to(device, non_blocking=True)[:, None]
        quiet = torch.where(inside[..., None], x, 9.0).amin(dim=1, keepdim=True)
        digital = (torch.rand(n, 1, 1, generator=generator) < 0.5).to(device, non_blocking=True)
        x = torch.where(inside[..., None], x, torch.where(digital, self.floor, quiet))
        x = self.rooms(x, generator)
        curve = torch.randn(n, 1, 6, generator=generator) * self.c["equaliser"]
        curve = F.interpolate(curve, size=mel, mode="linear", align_corners=True)
        x = x + (uniform(n, -1, 1, generator)[:, None, None] * self.c["gain"] + curve).to(device, non_blocking=True)
        level = x.exp().mean(dim=(1, 2)).log()
        if self.c.get("babble_share"):  # somebody else of the batch speaks too
            chosen = self.chosen(n, self.c["babble_share"], generator)
            if len(chosen) and n > 1:
                other = (chosen + torch.randint(1, n, (len(chosen),), generator=generator)) % n
                x = self.mix(x, chosen, x[other.to(device, non_blocking=True)], self.c["babble_db"], level, generator)
        chosen = self.chosen(n, self.c["noise_share"], generator)
        if len(chosen) and len(self.corpus.noise) > longest:
            x = self.mix(x, chosen, self.noise(len(chosen), longest, generator, device), self.c["snr_db"], level, generator)
        return self.telephone(x, generator).clamp(min=self.floor), frames, speed

    def mask(self, x, frames, generator):
        """SpecAugment on normalised features, in place: zero is the mean."""
        n, longest, mel = x.shape
        t, m = torch.arange(longest, device=x.device)[None], torch.arange(mel, device=x.device)[None]
        for _ in range(self.c["freq_masks"]):
            width = uniform(n, 0, self.c["freq_width"], generator)
            start = torch.rand(n, generator=generator) * (mel - width)
            start, end = start.to(x.device, non_blocking=True)[:, None], (start + width).to(x.device, non_blocking=True)[:, None]
            x.masked_fill_(((m >= start) & (m < end))[:, None, :], 0.0)
        for _ in range(self.c["time_masks"]):
            width = torch.minimum(uniform(n, 0, self.c["time_width"], generator), frames * self.c["time_share"])
            start = torch.rand(n, generator=generator) * (frames - width)
            start, end = start.to(x.device, non_blocking=True)[:, None], (start + width).to(x.device, non_blocking=True)[:, None]
            x.masked_fill_(((t >= start) & (t < end))[:, :, None], 0.0)
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


def skips(y, share, rng):
    """Which entries of an aligned sequence stay when, in a `share` of utterances, one to three runs of tokens are missed: half of them short, half of up to 40 tokens."""
    keep = np.ones(len(y), bool)
    tokens = np.flatnonzero(y)
    if len(tokens) < 4 or rng.random() >= share:
        return keep
    for _ in range(rng.randint(1, 3)):
        length = min(rng.randint(1, 3) if rng.random() < 0.5 else rng.randint(4, 40), len(tokens) // 2)
        first = rng.randrange(len(tokens) - length + 1)
        keep[tokens[first : first + length]] = False
    return keep


def step_targets(batch, geometry, frame_s, delay_s=0.0, aligned=None, skip=None):
    """Teacher-forced transducer input for a batch: previous, target (-100 beyond the end) and block, each [B, S].

    `skip` tells of a sequence which entries stay. Where the history misses tokens nothing is taught until the next entry, from which on it goes
    on as if nothing had been missed: so a search that has missed something finds its way back, instead of staying silent.
    """
    pairs = aligned or [
        alignment(t, e + delay_s, int(n), frame_s, geometry) for t, e, n in zip(batch.tokens, batch.ends, batch.lengths)
    ]
    wanted = [np.array(y) for y, _ in pairs]
    if skip:
        for i, (y, owner) in enumerate(pairs):
            keep = skip(np.array(y))
            taught = keep & np.append(True, keep[:-1])  # what follows a missed token is not what should be said there
            wanted[i] = np.where(taught, y, -100)[keep]
            pairs[i] = (np.array(y)[keep].tolist(), np.array(owner)[keep].tolist())
    width = max(len(y) for y, _ in pairs)
    previous = torch.zeros(len(pairs), width, dtype=torch.long)
    target = torch.full((len(pairs), width), -100)
    block = torch.full((len(pairs), width), -1)
    for i, (y, owner) in enumerate(pairs):
        previous[i, 1 : len(y)] = torch.tensor(y[:-1])
        target[i, : len(y)] = torch.from_numpy(wanted[i])
        block[i, : len(y)] = torch.tensor(owner)
    return previous, target, block
