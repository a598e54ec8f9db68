"""Writes tests/golden/g2p-tiny.bin, a letter-to-sound model of made-up words, and g2p-tiny.tsv: words with their two likeliest
pronunciations and costs in steps, as training/g2p.py finds them. Run from anywhere."""

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import g2p  # noqa: E402

GOLDEN = Path(__file__).parent.parent.parent / "tests" / "golden"
ONSETS = {"b": "B", "d": "D", "k": "K", "sh": "SH", "t": "T", "th": "TH", "x": "Z", "": "", "qu": "K W", "l": "L", "str": "S T R"}
VOWELS = {"a": "AE", "ay": "EY", "e": "EH", "ee": "IY", "o": "AA", "u": "AH", "oo": "UW", "i": "IH"}
ENDS = {"": "", "x": "K S", "ck": "K", "ng": "NG", "ll": "L", "t": "T", "se": "Z"}


def words(count, rng):
    """{word: [pronunciation]} of one or two syllables."""
    made = {}
    while len(made) < count:
        word, phones = "", []
        for _ in range(rng.choice((1, 2))):
            for part in (ONSETS, VOWELS):
                letters = rng.choice(sorted(part))
                word, phones = word + letters, phones + part[letters].split()
        letters = rng.choice(sorted(ENDS))
        made.setdefault(word + letters, [tuple(phones + ENDS[letters].split())])
    return made


def model():
    made = words(700, random.Random(5))
    return g2p.train([(word, pron) for word in sorted(made) for pron in made[word]], 20_000)


def table(data):
    reader = g2p.LetterToSound(data)
    rows = []
    for word in [*sorted(words(60, random.Random(6))), "zzz", "it's", "qxq"]:
        found = [f"{cost} {' '.join(phones)}" for cost, phones in reader.pronounce(word, 2)]
        rows.append("\t".join([word, *found]))
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    data = model()
    (GOLDEN / "g2p-tiny.bin").write_bytes(data)
    (GOLDEN / "g2p-tiny.tsv").write_text(table(data))
    print(len(data), "bytes")
