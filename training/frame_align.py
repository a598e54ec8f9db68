"""Stage `frame_align`: token times by the network's own sub-frame phones, in the place of those of the first alignment.

The head that `pretrain` and `train` keep on the encoder says which phone every sub-frame holds; the likeliest way through the known tokens,
with silence allowed before, between and after words, gives each its start and end (Viterbi on log-posteriors less `--prior` times
log-priors, as in hybrid recognisers). Writes times for `train.py --targets`. An utterance whose times would be impossible keeps its own.
"""

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch

from data import Corpus, buckets, make_batch
from loop import choose_precision
from model import NeuralTransducer
from progress import progress

SILENCE = 0
LOW = np.float32(-1e30)


def states(tokens, ends_word):
    """What an utterance passes through: its tokens and silence, which may be left out, before the first and after each word.

    Gives the symbols and, for each, the token it belongs to (-1: silence).
    """
    symbols, owner = [SILENCE], [-1]
    for i, token in enumerate(tokens):
        symbols.append(int(token)), owner.append(i)
        if ends_word[int(token)]:
            symbols.append(SILENCE), owner.append(-1)
    if owner[-1] >= 0:
        symbols.append(SILENCE), owner.append(-1)
    return symbols, owner


def best_paths(scores, lengths, symbols):
    """Viterbi for a batch: scores [B, T, V], lengths [B] sub-frames, symbols by utterance -> by utterance the state of each sub-frame
    and the score a sub-frame."""
    b, t, _ = scores.shape
    width = max(len(s) for s in symbols)
    states_, silent = np.zeros((b, width), np.int64), np.zeros((b, width), bool)
    for i, s in enumerate(symbols):
        states_[i, : len(s)] = s
        silent[i, : len(s)] = np.array(s) == SILENCE
    rows = np.arange(b)[:, None]
    may_skip = np.zeros((b, width), bool)
    may_skip[:, 2:] = silent[:, 1:-1]  # a silence between may be left out
    best = np.full((b, width), LOW)
    first = scores[rows, 0, states_]
    best[:, 0] = first[:, 0]
    best[:, 1] = first[:, 1]
    came = np.zeros((t, b, width), np.int8)
    final = [None] * b
    for f in range(t):
        if f:
            one, two = np.full((b, width), LOW), np.full((b, width), LOW)
            one[:, 1:] = best[:, :-1]
            two[:, 2:] = np.where(may_skip[:, 2:], best[:, :-2], LOW)
            came[f] = np.where(two > np.maximum(one, best), 2, one > best)
            best = np.maximum(np.maximum(best, one), two) + scores[rows, f, states_]
        for i in np.flatnonzero(lengths == f + 1):
            last = len(symbols[i]) - 1
            final[i] = (last if best[i, last] >= best[i, last - 1] else last - 1, max(best[i, last], best[i, last - 1]))
    out = []
    for i, (state, score) in enumerate(final):
        path = np.zeros(int(lengths[i]), np.int64)
        for f in range(int(lengths[i]) - 1, -1, -1):
            path[f] = state
            state -= int(came[f, i, state])
        out.append((path, score / len(path)))
    return out


def spans(path, owner, step_s, delay_s, count):
    """Start and end in seconds of `count` tokens, or None where one was left out."""
    owners = np.array(owner)[path]
    found = [np.flatnonzero(owners == i) for i in range(count)]
    if any(len(f) == 0 for f in found):
        return None
    start = np.array([f[0] * step_s for f in found]) - delay_s
    end = np.array([(f[-1] + 1) * step_s for f in found]) - delay_s
    return np.maximum(start, 0.0), np.maximum(end, step_s)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, help="last.pt of pretrain or train")
    parser.add_argument("--config", type=Path, required=True, help="recipe file that it was trained with")
    parser.add_argument("--data", type=Path, required=True, help="cache written by prepare")
    parser.add_argument("--out", type=Path, required=True, help="file for the token times (.npz)")
    parser.add_argument("--prior", type=float, default=0.7, help="share of the phones' log-priors that is taken off")
    parser.add_argument("--limit", type=int, default=0, help="only so many utterances (0: all); the others keep their times")
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    settings = json.loads(args.config.read_text(encoding="utf-8"))["training"]
    sub, delay_s = settings["aux_targets"], settings["aux_delay_s"]
    checkpoint = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
    config = checkpoint["config"]
    corpus = Corpus(args.data, config["features"]["num_mel_bins"])
    names = (args.data / "tokens.txt").read_text().split()
    ends_word = [name.endswith("_E") for name in names]
    model = NeuralTransducer(config, len(names), aux_targets=sub)
    model.load_state_dict(checkpoint["average"])
    model.eval()
    bf16 = choose_precision("auto")
    step_s = model.subsampling * config["features"]["frame_shift_ms"] / 1000 / sub
    tail = int(config["streaming"]["tail_padding_ms"] / config["features"]["frame_shift_ms"])

    lasting = np.zeros(len(names))
    np.add.at(lasting, corpus.token, corpus.end - corpus.start)
    speech_s = sum(u["frames"] for u in corpus.utterances) * 0.01
    lasting[SILENCE] = max(speech_s - lasting.sum(), 0.05 * speech_s)
    log_prior = np.log(np.maximum(lasting, 1.0) / lasting.sum()).astype(np.float32)

    start, end = corpus.start.copy(), corpus.end.copy()
    rows = corpus.split("train")
    random.Random(1).shuffle(rows)
    rows = rows[: args.limit or None]
    began, counts, moves, score = time.time(), {"utterances": 0, "failed": 0, "tokens": 0}, {}, {}
    batches = buckets(rows, 160, random.Random(1))
    for group in progress(batches, total=len(batches), label="align by frames"):
        batch = make_batch(corpus, group, model, tail)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model.head(model.phone_head, model.encoder(batch.features))
        scores = logits.float().log_softmax(dim=-1).numpy() - args.prior * log_prior
        ways = [states(tokens, ends_word) for tokens in batch.tokens]
        paths = best_paths(scores, batch.lengths.numpy() * sub, [symbols for symbols, _ in ways])
        for u, tokens, old, (_, owner), (path, mean) in zip(group, batch.tokens, batch.ends, ways, paths):
            found = spans(path, owner, step_s, delay_s, len(tokens))
            counts["utterances"] += 1
            if found is None:
                counts["failed"] += 1
                continue
            span = slice(u["token"], u["token"] + u["tokens"])
            start[span], end[span] = found
            counts["tokens"] += len(tokens)
            moves.setdefault(u["set"], []).append(found[1] - old)
            score[f"{u['set']}/{u['id']}"] = float(mean)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(args.out, token=corpus.token, start=start, end=end)
    for name, moved in sorted(moves.items()):
        moved = 1000 * np.concatenate(moved)
        print(f"{name}: {len(moved)} tokens, median move {np.median(moved):+.0f} ms, moved by more than 80 ms {100 * (np.abs(moved) > 80).mean():.1f} %, "
              f"by more than 160 ms {100 * (np.abs(moved) > 160).mean():.1f} %")
    print(json.dumps({**counts, "seconds": round(time.time() - began, 1)}))


if __name__ == "__main__":
    main()
