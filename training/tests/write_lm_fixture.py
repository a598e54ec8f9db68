"""Writes tests/golden/{lexicon-tiny.bin, lm-tiny.bin, lm-tiny.tsv}: what the Rust reader is compared with.

lm-tiny.tsv: a sentence, a tab, and the natural log-probability that the unquantised model gives it with its sentence end.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import lexicon
import lm
import ngram
from test_lexicon_lm import WORDS, random_lines

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"


def main():
    GOLDEN.mkdir(parents=True, exist_ok=True)
    prons = {"a": [("AH",), ("EY",)], "b": [("B", "IY")], "c": [("S", "IY")], "d": [("D", "IY")], "e": [("IY",)], "f": [("EH", "F")]}
    entries = [(word, 0.5 * i, pron) for word in WORDS for i, pron in enumerate(prons[word])]
    lexicon.write_bin(GOLDEN / "lexicon-tiny.bin", entries)
    vocabulary = ngram.Vocabulary(WORDS)
    levels = ngram.estimate(lm.sentences(random_lines(7, 150), vocabulary), 4, vocabulary)
    lm.write_bin(GOLDEN / "lm-tiny.bin", levels, vocabulary)
    with open(GOLDEN / "lm-tiny.tsv", "w", encoding="utf-8") as file:
        for line in [*random_lines(8, 40), "zzz a b", "a zzz zzz b"]:
            p, _ = ngram.token_probabilities(levels, lm.sentences([line], vocabulary), vocabulary)
            file.write(f"{line}\t{np.log(p).sum():.5f}\n")


if __name__ == "__main__":
    main()
