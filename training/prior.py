"""Stage `prior`: how likely tokens follow each other in the training texts, for the search to take back (docs/model-format.md).

An n-gram model of the training tokens, utterances weighed as in training; each order is smoothed by the one below it (additive, with the
constants below). Writes prior.bin: order 3 for up to 128 tokens, else 2.
"""

import argparse
import struct
from pathlib import Path

import numpy as np

from data import Corpus
from loop import load_config

MAGIC, VERSION = b"VVPR", 1
STEP = 1 / 16  # nats in one unit of a stored cost
FROM_BIGRAM, FROM_UNIGRAM = 30.0, 50.0  # how many seen tokens the order below is worth


def log_probs(sequences, weights, num_tokens, order):
    """Natural log-probabilities [(num_tokens + 1) ** (order - 1), num_tokens]; context numbers are tokens plus one, 0 for none, oldest first."""
    base = num_tokens + 1
    counts = np.zeros((base,) * (order - 1) + (num_tokens,))
    for tokens, weight in zip(sequences, weights):
        history = np.concatenate([np.zeros(order - 1, np.int64), np.asarray(tokens, np.int64) + 1])
        at = tuple(history[i : len(history) - order + 1 + i] for i in range(order - 1))
        np.add.at(counts, (*at, np.asarray(tokens, np.int64)), weight)
    smooth = counts.reshape(-1, num_tokens).sum(axis=0) + 1.0
    smooth = smooth / smooth.sum()
    for k, strength in zip(range(2, order + 1), (FROM_UNIGRAM, FROM_BIGRAM)):
        seen = counts.sum(axis=tuple(range(order - k))) if order > k else counts
        smooth = (seen + strength * smooth) / (seen.sum(axis=-1, keepdims=True) + strength)
    return np.log(smooth).reshape(-1, num_tokens)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="recipe file")
    parser.add_argument("--data", type=Path, required=True, help="cache written by prepare")
    parser.add_argument("--out", type=Path, required=True, help="model folder")
    args = parser.parse_args()
    recipe = load_config(args.config)
    corpus = Corpus(args.data, recipe["model"]["features"]["num_mel_bins"])
    num_tokens = len((args.data / "tokens.txt").read_text().split())
    order = 3 if num_tokens <= 128 else 2
    rows = corpus.split("train")
    shares = recipe["training"].get("set_weights", {})
    sequences, weights = [corpus.targets(u)[0] for u in rows], [shares.get(u["set"], 1.0) for u in rows]
    table = log_probs(sequences, weights, num_tokens, order)
    args.out.mkdir(parents=True, exist_ok=True)
    costs = np.clip(np.round(-table / STEP), 0, 255).astype(np.uint8)
    (args.out / "prior.bin").write_bytes(MAGIC + struct.pack("<3I", VERSION, order, num_tokens) + costs.tobytes())
    print(f"prior.bin: order {order}, {sum(map(len, sequences))} tokens of {len(rows)} utterances")


if __name__ == "__main__":
    main()
