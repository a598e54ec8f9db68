"""Stage `lm`: a word n-gram language model over the lexicon's words.

One interpolated modified Kneser-Ney model for each text, mixed with weights that fit the dev transcripts, pruned to a size. Lines that
share seven words in a row with a dev sentence are left out. Writes lm.arpa.gz, lm.bin (docs/model-format.md) and lm.json (figures).
"""

import argparse
import gzip
import json
import struct
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

import ngram
from lexicon import read_manifest, read_text, read_words, text_sources

DEV_SETS = {  # sets whose dev sentences are judged together
    "librispeech": ("librispeech_mini", "librispeech_clips"),
    "commonvoice_v1": ("commonvoice_v1",),
    "commonvoice_delta13": ("commonvoice_delta13",),
    "speechocean762": ("speechocean762",),
}
OVERLAP_WORDS = 7  # a text line that shares as many words in a row with a dev sentence is left out
REPEAT_WORDS = 5  # shorter lines ("yes sir") may repeat: how often they do is what the model should know
RARE_WORDS = 3_000_000  # texts with more words drop n-grams (n > 2) seen once before the mixture

BIN_MAGIC = b"VVLM"
BIN_VERSION = 1
ANCHOR = 32  # n-grams that share one absolute child offset
PROB_STEP, BACKOFF_STEP = 1 / 2048, 1 / 2048  # nats in one unit of a unigram's 16-bit values


def numbered(lines, numbers):
    """(word numbers of all lines in a row, words in each line); new words get the next number."""
    ids = np.fromiter(map(numbers.__getitem__, " ".join(lines).split()), np.int64)
    return ids, np.fromiter((len(line.split()) for line in lines), np.int64, len(lines))


def windows(ids, lengths):
    """(hash of the OVERLAP_WORDS words from each position, whether they lie inside one line)."""
    n = max(0, len(ids) - OVERLAP_WORDS + 1)
    line = np.repeat(np.arange(len(lengths)), lengths)
    hashed = np.zeros(n, np.uint64)
    for j in range(OVERLAP_WORDS):
        hashed = hashed * np.uint64(0x9E3779B97F4A7C15) + ids[j : j + n].astype(np.uint64) + np.uint64(1)
        hashed ^= hashed >> np.uint64(29)
    return hashed, line[:n] == line[OVERLAP_WORDS - 1 : OVERLAP_WORDS - 1 + n]


def clean(lines, dev_lines, numbers, repeat_words):
    """`lines` without repetitions and without what dev holds; (kept lines, overlapping, repeated)."""
    dev_ids, dev_lengths = numbered(dev_lines, numbers)
    hashed, inside = windows(dev_ids, dev_lengths)
    forbidden, dev_set = np.unique(hashed[inside]), {line for line in dev_lines if len(line.split()) >= 3}
    ids, lengths = numbered(lines, numbers)
    hashed, inside = windows(ids, lengths)
    hit = inside & ngram.find(forbidden, hashed)[1]
    overlapping = np.zeros(len(lines), bool)
    overlapping[np.repeat(np.arange(len(lines)), lengths)[: len(hit)][hit]] = True
    kept, seen, repeated = [], set(), 0
    for line, length, bad in zip(lines, lengths, overlapping):
        if bad or line in dev_set:
            continue
        if length >= repeat_words:
            if line in seen:
                repeated += 1
                continue
            seen.add(line)
        if length:
            kept.append(line)
    left_out = len(lines) - int((lengths == 0).sum()) - len(kept) - repeated
    return kept, left_out, repeated


def clean_sources(data, manifest):
    """Yields (source, kept lines, overlapping, repeated) of every text and of the training transcripts, without what dev holds."""
    all_dev = [text for _, _, split, text in manifest if split == "dev"]
    numbers = defaultdict()
    numbers.default_factory = numbers.__len__
    for source in text_sources(data):
        yield source, *clean(read_text(data, source), all_dev, numbers, REPEAT_WORDS)
    yield "training_transcripts", *clean([text for _, _, split, text in manifest if split == "train"], all_dev, numbers, 0)


def sentences(lines, vocabulary):
    """`<s> w .. w </s>` of all lines in a row, as word numbers."""
    known = {word: i for i, word in enumerate(vocabulary.words)}
    known |= {"<s>": vocabulary.bos, "</s>": vocabulary.eos}
    numbers = defaultdict(lambda: vocabulary.unk, known)
    text = "<s> " + " </s> <s> ".join(lines) + " </s>" if lines else ""
    return np.fromiter(map(numbers.__getitem__, text.split()), np.int64)


def bin_size(counts):
    """Bytes of lm.bin for the number of n-grams of each order."""
    size = 64 + counts[0] * 8 + 4
    for k, n in enumerate(counts[1:], 2):
        size += n * 3 + 1024
        if k < len(counts):
            size += 1024 + n + (n + 1) * 2 + (n // ANCHOR + 1) * 4
    return size


def codebook(values, reserve_zero):
    """(256 values, code of each value): bins of equal population; with `reserve_zero` code 0 is exactly 0."""
    book, codes = np.zeros(256, np.float32), np.zeros(len(values), np.uint8)
    chosen = np.flatnonzero(values != 0) if reserve_zero else np.arange(len(values))
    first = int(reserve_zero)
    if len(chosen):
        order = chosen[np.argsort(values[chosen], kind="stable")]
        bins = np.arange(len(order)) * (256 - first) // len(order) + first
        sums = np.bincount(bins, values[order], 256)
        filled = np.bincount(bins, minlength=256)
        book = (sums / np.maximum(filled, 1)).astype(np.float32)
        codes[order] = bins
    return book, codes


def fingerprint(words):
    """FNV-1a (64 bits) of the words, each followed by a line feed: ties lm.bin to its lexicon.bin."""
    value = 0xCBF29CE484222325
    for byte in "".join(word + "\n" for word in words).encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def write_bin(path, levels, vocabulary):
    """Writes lm.bin."""
    order = len(levels)
    counts = [len(level.keys) for level in levels] + [0] * (4 - order)
    parts = [
        BIN_MAGIC,
        struct.pack("<3IQ4I", BIN_VERSION, order, len(vocabulary.words), fingerprint(vocabulary.words), *counts),
    ]
    for k, level in enumerate(levels, 1):
        with np.errstate(divide="ignore"):
            log_p, log_backoff = np.log(level.p), np.log(level.backoff)
        if k == 1:
            parts.append(np.clip(np.round(-log_p / PROB_STEP), 0, 65535).astype("<u2").tobytes())
            parts.append(np.clip(np.round(log_backoff / BACKOFF_STEP) + 32768, 0, 65535).astype("<u2").tobytes())
        else:
            book, codes = codebook(log_p, reserve_zero=False)
            words = (level.keys & np.uint64(0xFFFF)).astype("<u2")
            parts += [book.astype("<f4").tobytes(), words.tobytes(), codes.tobytes()]
            if k < order:
                book, codes = codebook(log_backoff, reserve_zero=True)
                parts += [book.astype("<f4").tobytes(), codes.tobytes()]
        if k < order:
            contexts = levels[k].keys >> ngram.BITS
            child = np.append(np.searchsorted(contexts, level.keys), len(contexts)).astype(np.int64)
            if k == 1:
                parts.append(child.astype("<u4").tobytes())
            else:
                anchors = child[::ANCHOR]
                offsets = child - np.repeat(anchors, ANCHOR)[: len(child)]
                if offsets.max() > 65535:
                    raise ValueError(f"more than 65535 {k + 1}-grams share an anchor: prune further")
                parts += [anchors.astype("<u4").tobytes(), offsets.astype("<u2").tobytes()]
    Path(path).write_bytes(b"".join(parts))


def read_bin(path):
    """(levels, number of words) of an lm.bin, its values as quantised; frequencies are those of the model itself."""
    raw = Path(path).read_bytes()
    _, order, words, _, *counts = struct.unpack("<3IQ4I", raw[4:40])
    at = 40

    def take(dtype, n):
        nonlocal at
        values = np.frombuffer(raw, dtype, n, at)
        at += values.nbytes
        return values

    levels, contexts = [], None
    for k, n in enumerate(counts[:order], 1):
        if k == 1:
            keys, p = np.arange(n, dtype=np.uint64), np.exp(-take("<u2", n).astype(float) * PROB_STEP)
            backoff = np.exp((take("<u2", n).astype(float) - 32768) * BACKOFF_STEP)
            frequency = p.copy()
        else:
            book = take("<f4", 256)
            keys = (contexts << ngram.BITS) | take("<u2", n).astype(np.uint64)
            p, backoff = np.exp(book[take("u1", n)].astype(float)), np.ones(n)
            frequency = levels[-1].frequency[np.searchsorted(levels[-1].keys, keys >> ngram.BITS)] * p
            if k < order:
                book = take("<f4", 256)
                backoff = np.exp(book[take("u1", n)].astype(float))
        levels.append(ngram.Level(keys, p, backoff, frequency))
        if k < order:
            if k == 1:
                child = take("<u4", n + 1).astype(np.int64)
            else:
                anchors = take("<u4", n // ANCHOR + 1).astype(np.int64)
                child = np.repeat(anchors, ANCHOR)[: n + 1] + take("<u2", n + 1)
            contexts = np.repeat(keys, np.diff(child))
    return levels, words


def write_arpa(path, levels, vocabulary):
    """Writes an ARPA file, gzipped if its name ends in .gz."""
    opener = gzip.open if str(path).endswith(".gz") else open
    names = [vocabulary.text(i) for i in range(vocabulary.size)]
    with opener(path, "wt", encoding="utf-8") as file:
        file.write("\\data\\\n" + "".join(f"ngram {k}={len(v.keys)}\n" for k, v in enumerate(levels, 1)))
        for k, level in enumerate(levels, 1):
            file.write(f"\n\\{k}-grams:\n")
            log_p = np.log10(np.maximum(level.p, 1e-99)).tolist()
            log_backoff = np.log10(level.backoff).tolist()
            columns = [((level.keys >> np.uint64(16 * (k - 1 - j))) & np.uint64(0xFFFF)).tolist() for j in range(k)]
            for i, row in enumerate(zip(*columns)):
                text = " ".join([names[w] for w in row])
                tail = f"\t{log_backoff[i]:.6f}" if k < len(levels) else ""
                file.write(f"{log_p[i]:.6f}\t{text}{tail}\n")
        file.write("\n\\end\\\n")


def perplexities(levels, dev, vocabulary):
    """{dev set: {perplexity, oov_percent, words}}; unknown words are not counted in the perplexity."""
    report = {}
    for name, lines in dev.items():
        ids = sentences(lines, vocabulary)
        p, known = ngram.token_probabilities(levels, ids, vocabulary)
        words = int((ids < vocabulary.bos).sum())
        oov = int((ids == vocabulary.unk).sum())
        report[name] = {
            "perplexity": round(float(np.exp(-np.log(p[known]).mean())), 1),
            "oov_percent": round(100 * oov / max(1, words), 2),
            "words": words,
        }
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/ and text/")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--lexicon", type=Path, help="lexicon.txt (default: the one in --out)")
    parser.add_argument("--order", type=int, default=3, choices=(2, 3, 4))
    parser.add_argument("--max-mb", type=float, default=7.0, help="size of lm.bin in 10^6 bytes")
    parser.add_argument("--smoothing", choices=("kneser-ney", "absolute"), default="kneser-ney")
    args = parser.parse_args()
    began = time.time()
    vocabulary = ngram.Vocabulary(read_words(args.lexicon or args.out / "lexicon.txt"))
    manifest = list(read_manifest(args.data))
    dev = {n: [text for s, _, split, text in manifest if split == "dev" and s in sets] for n, sets in DEV_SETS.items()}
    dev = {name: lines for name, lines in dev.items() if lines}
    if not dev:  # data of one's own: every dev set by itself
        dev = {n: [text for s, _, split, text in manifest if split == "dev" and s == n] for n in sorted({s for s, _, split, _ in manifest if split == "dev"})}
    if not dev:
        parser.error("no utterance of the manifest has the split dev: nothing to fit the mixture to")

    report, models = {"order": args.order, "smoothing": args.smoothing, "sources": {}}, []
    for source, lines, overlapping, repeated in clean_sources(args.data, manifest):
        ids = sentences(lines, vocabulary)
        rare = len(ids) > RARE_WORDS
        cutoffs = [2 if rare and k > 2 else 1 for k in range(1, args.order + 1)]
        models.append(ngram.estimate(ids, args.order, vocabulary, cutoffs, args.smoothing == "kneser-ney"))
        report["sources"][source] = {
            "lines": len(lines),
            "words": int((ids < vocabulary.bos).sum()),
            "oov_percent": round(100 * float((ids == vocabulary.unk).sum() / max(1, (ids < vocabulary.bos).sum())), 2),
            "lines_left_out_for_dev": overlapping,
            "lines_repeated": repeated,
            "ngrams": [len(level.keys) for level in models[-1]],
            "dev": {name: f["perplexity"] for name, f in perplexities(models[-1], dev, vocabulary).items()},
        }
        print(f"{time.time() - began:6.1f} s  {source}: {report['sources'][source]}", flush=True)

    rows, token_weights = [[] for _ in models], []
    for lines in dev.values():
        ids = sentences(lines, vocabulary)
        for row, model in zip(rows, models):
            p, known = ngram.token_probabilities(model, ids, vocabulary)
            row.append(p[known])
        token_weights.append(np.full(int(known.sum()), 1 / known.sum()))
    weights = ngram.em_weights(np.array([np.concatenate(row) for row in rows]), np.concatenate(token_weights))
    for source, weight in zip(report["sources"].values(), weights):
        source["weight"] = round(float(weight), 4)
    mixed = ngram.interpolate(models, weights, vocabulary)
    del models
    report["mixture"] = {"ngrams": [len(v.keys) for v in mixed], "dev": perplexities(mixed, dev, vocabulary)}
    print(f"{time.time() - began:6.1f} s  weights {weights.round(3)}, mixture: {report['mixture']}", flush=True)
    levels = ngram.prune(mixed, args.max_mb * 1e6, bin_size)
    report["pruned"] = {"ngrams": [len(v.keys) for v in levels], "dev": perplexities(levels, dev, vocabulary)}

    write_bin(args.out / "lm.bin", levels, vocabulary)
    write_arpa(args.out / "lm.arpa.gz", levels, vocabulary)
    report["bytes"] = {name: (args.out / name).stat().st_size for name in ("lm.bin", "lm.arpa.gz")}
    report["seconds"] = round(time.time() - began, 1)
    (args.out / "lm.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"{time.time() - began:6.1f} s  pruned: {report['pruned']}, {report['bytes']}")


if __name__ == "__main__":
    main()
