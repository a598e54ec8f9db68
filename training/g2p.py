"""Stage `g2p`: how a word that the lexicon lacks is spoken, learnt from CMUdict.

Every letter of a word speaks no, one or two phones; such a pair is a graphone. The dictionary is aligned by Viterbi training, and a
Kneser-Ney n-gram model of the graphones, pruned to a size, says which pairs follow each other (Bisani and Ney 2008,
"Joint-sequence models for grapheme-to-phoneme conversion"). Writes g2p.bin (docs/model-format.md); `--held-out` words are left out of a
first model, on which the error rates are measured.
"""

import argparse
import json
import math
import random
import struct
import time
from collections import Counter
from pathlib import Path

import numpy as np

import ngram
from lexicon import PHONES, read_dictionary

MAGIC, VERSION = b"VVGP", 1
LETTERS = "'abcdefghijklmnopqrstuvwxyz"
ORDER = 6
STEP = 1 / 16  # nats in one unit of a stored cost
MAX_PHONES = 2  # of one letter
BEAM = 24
ROUNDS = 4
SMOOTHING = 0.1
MIN_GRAPHONE = 3  # rarer pairs, and the words that need them, are left out


def first_costs(entries):
    """Costs of (letter, phones) from the words that have as many phones as letters."""
    counts = Counter()
    for word, phones in entries:
        if len(word) == len(phones):
            counts.update((letter, (phone,)) for letter, phone in zip(word, phones))
    return costs_of(counts)


def costs_of(counts):
    """{(letter, phones): negative log-probability given the letter}."""
    totals = Counter()
    for (letter, _), n in counts.items():
        totals[letter] += n
    return {pair: -math.log((n + SMOOTHING) / (totals[pair[0]] + 1.0)) for pair, n in counts.items()}


def align(word, phones, costs):
    """The cheapest cut of `phones` among the letters: a tuple of phones for each; none if there is no such cut."""
    n = len(phones)
    best, back = [0.0] + [math.inf] * n, []
    for at, letter in enumerate(word):
        left = (len(word) - at - 1) * MAX_PHONES
        new, choice = [math.inf] * (n + 1), [0] * (n + 1)
        for i in range(max(0, n - left), min(n, (at + 1) * MAX_PHONES) + 1):
            for taken in range(min(MAX_PHONES, i) + 1):
                before = best[i - taken]
                if before < math.inf:
                    cost = before + costs.get((letter, phones[i - taken : i]), UNSEEN[taken])
                    if cost < new[i]:
                        new[i], choice[i] = cost, taken
        best = new
        back.append(choice)
    if best[n] == math.inf:
        return None
    cut, i = [], n
    for choice in reversed(back):
        cut.append(phones[i - choice[i] : i])
        i -= choice[i]
    return tuple(reversed(cut))


UNSEEN = (4.0, 7.0, 10.0)  # cost of a pair that was never seen, by its number of phones


def graphones(entries):
    """[(word, cut), ...] of the entries that can be aligned, by Viterbi training."""
    costs = first_costs(entries)
    for _ in range(ROUNDS):
        cuts = [(word, align(word, phones, costs)) for word, phones in entries]
        counts = Counter(pair for word, cut in cuts if cut for pair in zip(word, cut))
        costs = costs_of(counts)
    kept = {pair for pair, n in counts.items() if n >= MIN_GRAPHONE}
    return [(word, cut) for word, cut in cuts if cut and kept.issuperset(zip(word, cut))]


def train(entries, budget):
    """The bytes of g2p.bin, at most `budget`."""
    bits, ngram.BITS = ngram.BITS, np.uint64(10)
    try:
        return to_bytes(*levels_of(graphones(entries), budget))
    finally:
        ngram.BITS = bits


def levels_of(cuts, budget):
    """(pairs, n-gram levels) of aligned words."""
    pairs = sorted({pair for word, cut in cuts for pair in zip(word, cut)})
    vocabulary = ngram.Vocabulary(pairs)
    numbers = {pair: i for i, pair in enumerate(pairs)}
    ids = []
    for word, cut in cuts:
        ids += [vocabulary.bos, *(numbers[pair] for pair in zip(word, cut)), vocabulary.eos]
    levels = ngram.estimate(np.array(ids), ORDER, vocabulary)
    head = 16 + len(pairs) * (2 + MAX_PHONES)

    def size_of(counts):
        return head + 4 * ORDER + sum(7 * n + 3 for n in counts[:-1]) + 3 * counts[-1]

    return pairs, ngram.prune(levels, budget, size_of)


def quantised(p):
    """Costs in steps, one byte each."""
    return np.clip(np.round(-np.log(np.maximum(p, 1e-30)) / STEP), 0, 255).astype(np.uint8)


def to_bytes(pairs, levels):
    numbers = {phone: i + 1 for i, phone in enumerate(PHONES)}
    out = bytearray(MAGIC + struct.pack("<3I", VERSION, len(levels), len(pairs)))
    for letter, phones in pairs:
        out += bytes((ord(letter), len(phones), *(numbers[p] for p in phones), *(0,) * (MAX_PHONES - len(phones))))
    for k, level in enumerate(levels):
        out += struct.pack("<I", len(level.keys))
        out += (level.keys & np.uint64((1 << int(ngram.BITS)) - 1)).astype("<u2").tobytes()
        out += quantised(level.p).tobytes()
        if k + 1 < len(levels):
            out += quantised(np.minimum(level.backoff, 1.0)).tobytes()
            contexts = levels[k + 1].keys >> ngram.BITS
            first = np.append(np.searchsorted(contexts, level.keys), len(contexts)).astype("<u4")
            out += first.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return bytes(out)


class LetterToSound:
    """A reader of g2p.bin; the program's reads and decides alike, in whole numbers."""

    def __init__(self, data):
        if data[:4] != MAGIC:
            raise ValueError("not a letter-to-sound model")
        _, order, num_pairs = struct.unpack_from("<3I", data, 4)
        at, width = 16, 2 + MAX_PHONES
        rows = [data[at + width * i : at + width * (i + 1)] for i in range(num_pairs)]
        self.pairs = [(chr(row[0]), tuple(PHONES[p - 1] for p in row[2 : 2 + row[1]])) for row in rows]
        self.by_letter = {c: [i for i, pair in enumerate(self.pairs) if pair[0] == c] for c in LETTERS}
        self.bos, self.eos = num_pairs + 1, num_pairs + 2
        at += width * num_pairs
        self.tries = []  # by order: {(context node, symbol): (node, cost, back-off)}
        parents = None
        for k in range(order):
            (n,) = struct.unpack_from("<I", data, at)
            symbols = np.frombuffer(data, "<u2", n, at + 4)
            costs = np.frombuffer(data, np.uint8, n, at + 4 + 2 * n)
            at += 4 + 3 * n
            parents = np.zeros(n, np.int64) if parents is None else parents
            backoffs = np.zeros(n, np.uint8)
            if k + 1 < order:
                backoffs = np.frombuffer(data, np.uint8, n, at)
                bytes_ = np.frombuffer(data, np.uint8, 3 * (n + 1), at + n).reshape(-1, 3).astype(np.int64)
                first = bytes_ @ np.array([1, 256, 65536])
                at += n + 3 * (n + 1)
                next_parents = np.repeat(np.arange(n), np.diff(first))
            self.tries.append({(int(p), int(s)): (i, int(c), int(b)) for i, (p, s, c, b) in enumerate(zip(parents, symbols, costs, backoffs))})
            parents = next_parents

    def cost(self, context, symbol):
        """Cost of `symbol` after the last order - 1 of `context`, in steps."""
        total = 0
        for start in range(len(context) + 1):
            node, backoff, there = 0, 0, True
            for k, s in enumerate(context[start:]):
                entry = self.tries[k].get((node, s))
                if entry is None:
                    there = False
                    break
                node, _, backoff = entry
            if not there:
                continue
            entry = self.tries[len(context) - start].get((node, symbol))
            if entry:
                return total + entry[1]
            total += backoff
        return total + 255

    def pronounce(self, word, n=1):
        """Up to `n` distinct pronunciations with their costs in steps, the cheapest first; none for other letters than a-z and '."""
        keep = len(self.tries) - 1
        beam = [(0, (self.bos,), ())]
        for letter in word:
            longer = []
            for cost, context, phones in beam:
                for pair in self.by_letter.get(letter, ()):
                    total = cost + self.cost(context, pair)
                    longer.append((total, (*context, pair)[-keep:], phones + self.pairs[pair][1]))
            longer.sort(key=lambda h: h[0])  # stable: ties keep the order of generation
            beam, seen = [], set()
            for hypothesis in longer:
                if hypothesis[1:] not in seen and len(beam) < BEAM:
                    seen.add(hypothesis[1:])
                    beam.append(hypothesis)
        ended = sorted(((cost + self.cost(context, self.eos), phones) for cost, context, phones in beam), key=lambda h: h[0])
        found = []
        for cost, phones in ended:
            if phones and all(phones != other for _, other in found) and len(found) < n:
                found.append((cost, phones))
        return found


def distance(a, b):
    """Edits that make `b` of `a`."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def evaluate(model, words, dictionary):
    """Error rates against the nearest pronunciation of the dictionary."""
    wrong = phone_errors = phones = any_of_three = 0
    for word in words:
        found = [pron for _, pron in model.pronounce(word, 3)] or [()]
        errors, length = min((distance(found[0], pron), len(pron)) for pron in dictionary[word])
        wrong += errors > 0
        phone_errors += errors
        phones += length
        any_of_three += any(pron in dictionary[word] for pron in found)
    n = max(1, len(words))
    return {"words": n, "word_error_percent": round(100 * wrong / n, 2), "phone_error_percent": round(100 * phone_errors / max(1, phones), 2),
            "none_of_best_3_percent": round(100 - 100 * any_of_three / n, 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="model folder")
    parser.add_argument("--dictionary", type=Path, help="a CMUdict file (default: the one that pocketsphinx carries)")
    parser.add_argument("--max-kb", type=int, default=1400)
    parser.add_argument("--held-out", type=float, default=0.05, help="share of the words that the error rates are measured on")
    parser.add_argument("--limit", type=int, help="only so many words, and no more than these are measured")
    args = parser.parse_args()
    if args.dictionary is None:
        import pocketsphinx

        args.dictionary = pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")
    start = time.time()
    dictionary = read_dictionary(args.dictionary)
    words = sorted(dictionary)
    random.Random(1).shuffle(words)
    words = words[: args.limit]
    held_out = words[: int(len(words) * args.held_out)]

    def entries(words):
        return [(word, pron) for word in sorted(words) for pron in dictionary[word]]

    figures = {}
    if held_out:
        model = LetterToSound(train(entries(words[len(held_out) :]), args.max_kb * 1000))
        figures = evaluate(model, held_out, dictionary)
        print(json.dumps(figures), flush=True)
    data = train(entries(words), args.max_kb * 1000)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "g2p.bin").write_bytes(data)
    print(json.dumps({**figures, "bytes": len(data), "seconds": round(time.time() - start)}))


if __name__ == "__main__":
    main()
