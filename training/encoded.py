"""Encoder frames that are kept in a file, with the tokens of their utterances: written by `encode`, read by `train --frames`."""

from pathlib import Path

import numpy as np
import torch

from data import Batch


class Writer:
    """Appends batches of encoder frames to a folder."""

    def __init__(self, out):
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.at = out, 0
        self.file = open(out / "frames.f16", "wb")
        self.spans = {name: [] for name in ("first", "length", "token", "start", "end", "tokens")}

    def add(self, h, batch):
        for row, n, tokens, starts, ends in zip(h.to(torch.float16).numpy(), batch.lengths.tolist(), batch.tokens, batch.starts, batch.ends):
            self.file.write(np.ascontiguousarray(row[:n]).tobytes())
            values = {"first": [self.at], "length": [n], "tokens": [len(tokens)], "token": tokens, "start": starts, "end": ends}
            for name, value in values.items():
                self.spans[name].append(np.asarray(value))
            self.at += n

    def close(self):
        self.file.close()
        np.savez(self.out / "spans.npz", **{name: np.concatenate(parts) for name, parts in self.spans.items()})


class Encoded:
    """Kept frames as training data: `rows` for `data.buckets`, and batches whose `features` are encoder frames [B, U, D]."""

    def __init__(self, folders, dim, frame_s):
        self.values, self.rows, self.frame_s = [], [], frame_s
        for folder in map(Path, folders):
            spans = np.load(folder / "spans.npz")
            token, start, end = spans["token"], spans["start"].astype(np.float32), spans["end"].astype(np.float32)
            values, at = np.memmap(folder / "frames.f16", np.float16, "r").reshape(-1, dim), 0
            for first, length, count in zip(*(spans[n].tolist() for n in ("first", "length", "tokens"))):
                own = slice(at, at + count)
                self.rows.append({"set": "", "frames": length, "at": first, "of": values, "targets": (token[own], start[own], end[own])})
                at += count

    def batch(self, rows):
        lengths = torch.tensor([u["frames"] for u in rows])
        h = torch.zeros(len(rows), int(lengths.max()), rows[0]["of"].shape[1])
        for i, u in enumerate(rows):
            h[i, : u["frames"]] = torch.from_numpy(u["of"][u["at"] : u["at"] + u["frames"]].astype(np.float32))
        tokens, starts, ends = zip(*(u["targets"] for u in rows))
        return Batch(h, lengths, list(tokens), list(ends), list(starts), rows, float(lengths.sum()) * self.frame_s)
