"""Batches for a GPU: all features lie in its memory, worker processes choose blocks and frame targets, the GPU disturbs and masks.

Steps must never wait for the host, so whatever needs a decision (speeds, lengths, blocks) is drawn on the CPU ahead of time.
"""

import math
import multiprocessing
import random
from collections import deque
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from data import FRAME_S, Batch, buckets, frame_targets, frames_at, skips, step_targets
from train import disturb, random_geometry


@dataclass(frozen=True)
class Shape:
    """What of the model and the recipe the workers need."""

    frame_s: float
    subsampling: int
    lag: int
    tail: int
    num_tokens: int
    settings: dict


@dataclass
class Ready:
    """A batch on the GPU with its targets."""

    features: torch.Tensor  # [B, T, mel] normalised, disturbed, masked
    lengths: torch.Tensor  # [B] encoder frames
    previous: torch.Tensor  # [B, S]
    target: torch.Tensor  # [B, S]
    block: torch.Tensor  # [B, S]
    phones: torch.Tensor  # [B, U * sub-frames]
    geometry: object
    audio_s: float


def choose(shape, utterances, seed):
    """In a worker: speeds, a block geometry, and what every step and sub-frame shall say. `utterances`: (frames, tokens, starts, ends)."""
    torch.set_num_threads(1)
    c = shape.settings
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    frames = torch.tensor([u[0] for u in utterances])
    speed = torch.exp((2 * torch.rand(len(frames), generator=generator) - 1) * c["augment"]["speed"])
    lengths = (frames_at(frames, speed) + shape.tail) // shape.subsampling - shape.lag
    tokens, starts, ends = zip(*(u[1:] for u in utterances))
    batch = Batch(None, lengths, tokens, [e / s for e, s in zip(ends, speed.tolist())], [b / s for b, s in zip(starts, speed.tolist())], None, 0.0)
    geometry = random_geometry(rng, c["geometry"])
    skip = partial(skips, share=c.get("skip_share", 0.0), rng=rng)
    previous, target, block = step_targets(batch, geometry, shape.frame_s, c["token_delay_s"], skip=skip)
    previous = disturb(previous, c["token_noise"], shape.num_tokens, generator)
    phones = frame_targets(batch, c["aux_targets"], shape.frame_s, c["aux_delay_s"])
    return [x.numpy() for x in (frames, speed, lengths, previous, target, block, phones)], geometry


class Feed:
    """Endless batches of `rows` (which may be replaced at any time; the next epoch sees the new ones)."""

    AHEAD = 3  # tasks a worker may be ahead
    MULTIPLE = 8  # of utterances a batch: recurrent kernels are faster on such

    def __init__(self, corpus, rows, augment, shape, device, workers, seed):
        self.corpus, self.rows, self.augment, self.shape, self.device = corpus, rows, augment, shape, device
        self.seed, self.epoch = seed, 0
        self.rng, self.generator = random.Random(seed), torch.Generator().manual_seed(seed)
        self.pool = multiprocessing.get_context("fork").Pool(workers) if workers else None
        self.ahead = self.AHEAD * max(1, workers)
        self.features = None

    def to_device(self):
        """Moves features and noise; after the workers have been forked, as they must not inherit the GPU."""
        floor = np.full((1, self.corpus.features.shape[1]), math.log(1e-7), np.float16)
        load = lambda array: torch.from_numpy(np.array(array)).to(self.device)
        self.features = torch.cat([load(self.corpus.features), load(floor)])
        self.corpus.noise = load(self.corpus.noise)
        self.mean, self.inv_std = self.corpus.mean.to(self.device), self.corpus.inv_std.to(self.device)

    def groups(self):
        c = self.shape.settings
        while True:
            yield from buckets(self.rows, c["batch_s"], self.rng, c.get("set_weights"), join_share=c.get("join_share", 0.0), multiple=self.MULTIPLE)
            self.epoch += 1

    def tasks(self):
        for group in self.groups():
            self.seed += 1
            items = [(u["frames"], *self.corpus.targets(u)) for u in group]
            if self.pool is None:
                made = choose(self.shape, items, self.seed)
                yield group, (lambda made=made: made)
            else:
                yield group, self.pool.apply_async(choose, (self.shape, items, self.seed)).get

    def __iter__(self):
        tasks, waiting = self.tasks(), deque()
        while True:
            while len(waiting) < self.ahead:
                waiting.append(next(tasks))
            group, get = waiting.popleft()
            yield self.render(group, *get())

    def gather(self, group, frames):
        """Raw log-mel frames [B, T, mel], silence beyond the end."""
        index = np.full((len(group), int(max(frames))), len(self.features) - 1, np.int64)
        for i, u in enumerate(group):
            at = 0
            for part in u.get("parts", (u,)):
                index[i, at : at + part["frames"]] = np.arange(part["frame"], part["frame"] + part["frames"])
                at += part["frames"]
        return self.features[torch.from_numpy(index).to(self.device, non_blocking=True)].float()

    def render(self, group, arrays, geometry):
        frames, speed, lengths, *targets = arrays
        shape = self.shape
        x = self.gather(group, frames)
        x, new, _ = self.augment(x, torch.from_numpy(frames), shape.tail, self.generator, torch.from_numpy(speed))
        x = self.augment.mask((x - self.mean) * self.inv_std, new + shape.tail, self.generator)
        x = x[:, : int(new.max() + shape.tail) // shape.subsampling * shape.subsampling]
        put = lambda a: torch.from_numpy(a).to(self.device, non_blocking=True)
        return Ready(x, put(lengths), *map(put, targets), geometry, float(frames.sum()) * FRAME_S)

    def close(self):
        if self.pool is not None:
            self.pool.terminate()
