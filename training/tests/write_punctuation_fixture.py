"""Writes tests/golden/punctuation-tiny.bin and .tsv: words, pauses between them, log-odds of sentence ends and of commas, and the shaped
text, as training/punctuate.py computes them. Run from anywhere."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import punctuate

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
WORDS = "i you we dogs cats see like run who do not paris john home today".split()
TABLE = 256


def model():
    """Random weights; the hashes are the recipe's, over a smaller table."""
    random = np.random.default_rng(4)
    ends, commas = random.normal(0, 1.0, (2, TABLE))
    pauses = [[-1.0, -0.5, 0.25, 0.5, 1.0, 2.0], [-0.5, 0.0, 0.5, 0.75, 0.5, 0.25]]
    return punctuate.to_bytes(ends, commas, (-0.5, -0.25, -0.75), pauses, {"i": "I", "paris": "Paris", "john": "John"})


def table(data):
    reader = punctuate.Punctuator(data)
    random = np.random.default_rng(5)
    rows = []
    for _ in range(30):
        words = [WORDS[i] for i in random.integers(0, len(WORDS), random.integers(1, 12))]
        gaps = [float(g) for g in random.choice([0.0, 0.1, 0.2, 0.4, 0.6, 1.0], len(words) - 1)]
        odds = [" ".join(f"{o:.5f}" for o in column) for column in reader.odds(words, gaps)]
        rows.append("\t".join([" ".join(words), " ".join(map(str, gaps)), *odds, reader.shape(words, gaps)]))
    return "\n".join(rows) + "\n"


def with_small_table(work):
    size, punctuate.TABLE = punctuate.TABLE, TABLE
    try:
        return work()
    finally:
        punctuate.TABLE = size


if __name__ == "__main__":
    data = with_small_table(model)
    (GOLDEN / "punctuation-tiny.bin").write_bytes(data)
    (GOLDEN / "punctuation-tiny.tsv").write_text(with_small_table(lambda: table(data)), encoding="utf-8")
    print(len(data), "bytes")
