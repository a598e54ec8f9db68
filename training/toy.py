"""The paper's toy task (Jaitly et al. 2016, section 4.1): adding two three-digit decimal numbers, block by block.

The input is `abc+fed`, one symbol a frame, where `fed` is the second number written backwards; the output is the sum written
backwards. A block is one frame (W = 1), M = 8, one encoder LSTM and a transducer of 100 units each: the model of model.py with the
`linear` front end. Digit i of the sum is due in the block of the i-th digit of the second number, a fourth digit in the last block
(`--alignment earliest`), or where the network's own best alignment puts it (`--alignment dp`, section 2.3.1 of the paper).

Ten thousand pairs never seen in training are the test. Error: sums that are not right as a whole, greedy.
"""

import argparse
import json
import math
import random
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional as F

from data import step_targets
from model import Geometry, NeuralTransducer
from progress import progress

SYMBOLS = "0123456789+"
NUM_TOKENS = 11  # <e>, then the digits
FRAMES = 7
MODE = {"block_frames": 1, "look_back_frames": 0, "look_ahead_frames": 0, "max_tokens_per_block": 8}


def config(units, input_feeding):
    return {
        "format_version": 1, "name": "toy", "language": "en", "units": "bpe",
        "features": {"sample_rate_hz": 16000, "frame_length_ms": 25.0, "frame_shift_ms": 10.0, "num_mel_bins": len(SYMBOLS),
                     "fft_size": 512, "low_hz": 20.0, "high_hz": 7600.0, "log_floor": 1e-7},
        "encoder": {"frontend": {"type": "linear", "input_dim": len(SYMBOLS)}, "dim": units, "num_layers": 1},
        "transducer": {"embedding_dim": 16, "state_dim": units, "state_layers": 1, "emit_dim": units, "emit_layers": 1,
                       "input_feeding": input_feeding},
        "attention": {"score": "scaled_dot", "dim": units, "num_heads": 1, "max_positions": 4},
        "latency_modes": {"low": MODE}, "default_latency": "low",
    }


def example(a, b):
    """Two numbers -> input symbols, tokens of the reversed sum, 1 + block in which each is due."""
    digits = str(a + b)[::-1]
    symbols = [SYMBOLS.index(c) for c in f"{a}+{str(b)[::-1]}"]
    return symbols, [int(d) + 1 for d in digits], [min(5 + i, FRAMES) for i in range(len(digits))]


def pair(rng):
    return rng.randint(100, 999), rng.randint(100, 999)


def batch_of(pairs):
    symbols, tokens, ends = zip(*(example(a, b) for a, b in pairs))
    features = F.one_hot(torch.tensor(symbols), len(SYMBOLS)).float()  # [B, 7, 11]
    return features, torch.full((len(pairs),), FRAMES), tokens, ends


class Pairs:
    """What `step_targets` asks of a batch."""

    def __init__(self, tokens, ends, lengths):
        self.tokens, self.ends, self.lengths = tokens, ends, lengths


def errors(model, pairs, geometry):
    """(wrong sums, mean delay of the digits in blocks)."""
    model.eval()
    wrong, delay, count = 0, 0, 0
    for i in range(0, len(pairs), 1000):
        features, lengths, tokens, ends = batch_of(pairs[i : i + 1000])
        for found, wanted, due in zip(model.greedy(features, lengths, geometry), tokens, ends):
            right = [t for t, _ in found] == wanted
            wrong += not right
            if right:
                delay += sum(b + 1 - d for (_, b), d in zip(found, due))
                count += len(due)
    return wrong, delay / max(1, count)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=500_000, help="length of the schedule")
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--units", type=int, default=100)
    parser.add_argument("--alignment", choices=["earliest", "dp"], default="earliest")
    parser.add_argument("--no-input-feeding", action="store_true", help="leave the last context out of the first LSTM's input")
    parser.add_argument("--eval-every", type=int, default=20_000, help="examples")
    parser.add_argument("--go-on", action="store_true", help="run the whole schedule even after an error of 0")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="file for the weights")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)
    held_out = set()
    while len(held_out) < 10_000:
        held_out.add(pair(rng))
    test = sorted(held_out)

    settings = config(args.units, not args.no_input_feeding)
    geometry = Geometry.from_config(MODE)
    model = NeuralTransducer(settings, NUM_TOKENS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0)
    steps = args.examples // args.batch
    began, losses, zero_at = time.time(), [], None
    for step in progress(range(steps), total=steps, label="toy"):
        pairs = []
        while len(pairs) < args.batch:
            p = pair(rng)
            if p not in held_out:
                pairs.append(p)
        features, lengths, tokens, ends = batch_of(pairs)
        aligned = None
        if args.alignment == "dp":
            from realign import best_alignments

            model.eval()
            free = [(0, FRAMES - 1)] * 4
            aligned = [a.sequence() for a in best_alignments(model, features, lengths, tokens, [free[: len(t)] for t in tokens], geometry)]
        previous, target, block = step_targets(Pairs(tokens, [torch.tensor(e) for e in ends], lengths), geometry, 1.0, aligned=aligned)
        model.train()
        logits, _ = model(features, lengths, previous, block, geometry)
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = args.lr * min(1.0, (step + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        optimizer.step()
        losses.append(float(loss.detach()))
        seen = (step + 1) * args.batch
        if seen % args.eval_every < args.batch or step + 1 == steps:
            wrong, delay = errors(model, test, geometry)
            line = {"examples": seen, "minutes": round((time.time() - began) / 60, 2), "loss": sum(losses) / len(losses),
                    "wrong_sums": wrong, "error_percent": wrong / 100, "mean_delay_blocks": round(delay, 3)}
            losses = []
            print(json.dumps(line), flush=True)
            if wrong == 0 and zero_at is None:
                zero_at = seen
                if not args.go_on:
                    break
    if args.out:
        torch.save({"average": model.state_dict(), "config": settings}, args.out)
    print(f"error 0 after {zero_at} examples" if zero_at else "error did not reach 0", file=sys.stderr)
    raise SystemExit(0 if zero_at else 1)


if __name__ == "__main__":
    main()
