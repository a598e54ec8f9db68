"""Other times of the tokens for the laboratory: of a CTC head on the shared encoder, and of the paper's dynamic programme.

Both give a targets file as `realign` writes them, for the utterances of the laboratory's subset.
"""

import math
import random

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from data import buckets
from model import END_OF_BLOCK, alignment
from progress import progress
from realign import best_alignments_of, moved, spans_around


def viterbi_ctc(log_probs, tokens):
    """The likeliest CTC path (Graves et al. 2006) of `tokens`: (first, last) row of log_probs [T, V] that each stands on; None if T is too short."""
    steps, states = len(log_probs), np.zeros(2 * len(tokens) + 1, np.int64)
    states[1::2] = tokens
    emit = log_probs[:, states]  # [T, 2L + 1]
    skips = np.zeros(len(states), bool)  # a token may follow another token at once
    skips[3::2] = states[3::2] != states[1:-2:2]
    score = np.full(len(states), -np.inf)
    score[:2] = emit[0, :2]
    back = np.zeros((steps, len(states)), np.int8)
    for t in range(1, steps):
        ways = np.full((3, len(states)), -np.inf)
        ways[0] = score
        ways[1, 1:] = score[:-1]
        ways[2, 2:] = np.where(skips[2:], score[:-2], -np.inf)
        back[t] = ways.argmax(axis=0)
        score = ways.max(axis=0) + emit[t]
    at = len(states) - 1 - int(len(states) > 1 and score[-2] > score[-1])
    if not np.isfinite(score[at]):
        return None
    path = np.empty(steps, np.int64)
    for t in range(steps - 1, -1, -1):
        path[t] = at
        at -= int(back[t, at])
    first = np.searchsorted(path, 2 * np.arange(len(tokens)) + 1, side="left")
    last = np.searchsorted(path, 2 * np.arange(len(tokens)) + 1, side="right") - 1
    return list(zip(first.tolist(), last.tolist()))


def ctc_times(lab, rows, sub=4, epochs=2):
    """Start and end times by a CTC head of `sub` sub-frames a frame, trained on the frozen frames."""
    torch.manual_seed(lab.args.seed)
    head = nn.Linear(lab.frames.dim, sub * len(lab.tokens))
    optimizer = torch.optim.AdamW(head.parameters(), lr=2e-3)
    rng = random.Random(lab.args.seed)
    groups = [g for _ in range(epochs) for g in buckets(rows, lab.args.batch_s, rng)]
    log_probs = lambda h: head(h).view(len(h), -1, len(lab.tokens)).log_softmax(dim=-1)  # [B, U * sub, V]
    for step, group in enumerate(progress(groups, total=len(groups), label="CTC head")):
        h, lengths = lab.frames.batch(group)
        tokens = [torch.from_numpy(lab.corpus.targets(u)[0].astype("int64")) for u in group]
        loss = F.ctc_loss(log_probs(h).transpose(0, 1), torch.cat(tokens), lengths * sub, torch.tensor([len(t) for t in tokens]),
                          blank=END_OF_BLOCK, zero_infinity=True)
        optimizer.zero_grad()
        loss.backward()
        for g in optimizer.param_groups:
            g["lr"] = 2e-3 * 0.5 * (1 + math.cos(math.pi * step / len(groups)))
        optimizer.step()
    start, end = lab.corpus.start.copy(), lab.corpus.end.copy()
    frame_s = lab.frame_s / sub
    for group in progress(list(buckets(rows, 160, rng)), label="CTC alignments"):
        h, lengths = lab.frames.batch(group)
        with torch.no_grad():
            scores = log_probs(h).numpy()
        for u, s, n in zip(group, scores, lengths.tolist()):
            spans = viterbi_ctc(s[: n * sub], lab.corpus.targets(u)[0])
            if spans:
                span = slice(u["token"], u["token"] + u["tokens"])
                start[span] = [first * frame_s for first, _ in spans]
                end[span] = [(last + 1) * frame_s for _, last in spans]
    return start, end


def own_times(lab, model, geometry, rows, earlier_s=0.32, later_s=0.32, beam=12.0):
    """Start and end times by the dynamic programme with a trained variant, in a band around those it was trained on."""
    start, end = lab.corpus.start.copy(), lab.corpus.end.copy()
    for group in progress(list(buckets(rows, 160, random.Random(1))), label="own alignments"):
        h, lengths = lab.frames.batch(group)
        tokens, _, ends = zip(*(lab.corpus.targets(u) for u in group))
        spans = []
        for t, e, n in zip(tokens, ends, lengths.tolist()):
            y, owner = alignment(t, e, n, lab.frame_s, geometry)
            given = [b for token, b in zip(y, owner) if token != END_OF_BLOCK]
            given += [owner[-1]] * (len(t) - len(given))
            spans.append(spans_around(e, n, lab.frame_s, geometry, earlier_s, later_s, given))
        with lab.autocast():
            found = best_alignments_of(model, h, lengths, tokens, spans, geometry, beam)
        for u, e, alignment_ in zip(group, ends, found):
            if alignment_ is not None:
                span = slice(u["token"], u["token"] + u["tokens"])
                end[span] = moved(e, alignment_.blocks, lab.frame_s, geometry)
                start[span] = np.minimum(start[span], end[span])
    return start, end
