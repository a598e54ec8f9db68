"""Stage `punctuate`: where sentences end, which are questions, and which words are capitalised, for `--punctuate`.

Sentence ends: logistic regression over hashed words around a gap, learnt from the language-model texts (a sentence a line), and the
log-likelihood ratio of the pause there, counted in the aligned utterances whose raw text has several sentences. Questions and capitals:
from raw_text with case. Writes punctuation.bin (docs/model-format.md) and prints figures of held-out text.
"""

import argparse
import json
import math
import random
import re
import struct
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import torch

from lexicon import read_ctm, read_text, text_sources

MAGIC, VERSION = b"VVPU", 1
TABLE = 1 << 17
PAUSES_S = (0.05, 0.15, 0.3, 0.5, 0.8)  # borders of the classes of pauses
LEFT, RIGHT, LEFTS, RIGHTS, ACROSS, FIRST, FIRSTS, LAST = range(8)
BORDER = "\n"  # stands before the first word and after the last
LINES = {"commonvoice_prompts": 60_000}
OTHER_LINES = 60_000  # of every other text
EPOCHS = 4
HELD_OUT = 20  # every so-many-th sentence or utterance
MIN_CAPITAL, CAPITAL_SHARE = 2, 0.8
QUESTIONS_MORE = 4.0  # questions are more frequent in what people say than in the texts by this factor
ALWAYS = {"i": "I"}


def fnv(word):
    value = 0x811C9DC5
    for byte in word.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def slot(kind, a, b=0):
    """Places in the table of features of `kind` over word hashes (numbers or arrays)."""
    a, b = np.asarray(a, np.uint64), np.asarray(b, np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    turned = ((b << np.uint64(15)) | (b >> np.uint64(17))) & mask
    x = (a * np.uint64(0x9E3779B1) & mask) ^ (turned * np.uint64(0x85EBCA77) & mask) ^ np.uint64(kind * 0xC2B2AE3D & 0xFFFFFFFF)
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & mask
    return ((x ^ (x >> np.uint64(15))) & np.uint64(TABLE - 1)).astype(np.int64)


def hashes(words):
    border = [fnv(BORDER)]
    return np.array(border * 2 + [fnv(w) for w in words] + border * 2, np.uint64)


def gap_features(words):
    """[gaps, 5]: places of what stands around the gap after each word but the last."""
    h, n = hashes(words), len(words) - 1
    l2, l1, r1, r2 = (h[i : i + n] for i in (1, 2, 3, 4))
    return np.stack([slot(LEFT, l1), slot(RIGHT, r1), slot(LEFTS, l2, l1), slot(RIGHTS, r1, r2), slot(ACROSS, l1, r1)], axis=1)


def question_features(words):
    h = hashes(words)[2:]
    return np.array([slot(FIRST, h[0]), slot(FIRSTS, h[0], h[1]), slot(LAST, h[len(words) - 1])])


def train_table(x, y, rng, epochs, decay=0.0):
    """(weights of the table, bias) by Adagrad."""
    weights = torch.nn.EmbeddingBag(TABLE, 1, mode="sum", sparse=decay == 0.0)
    torch.nn.init.zeros_(weights.weight)
    bias = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.Adagrad([*weights.parameters(), bias], lr=0.1)
    x, y = torch.from_numpy(x), torch.from_numpy(y.astype(np.float32))
    for _ in range(epochs):
        for batch in torch.from_numpy(rng.permutation(len(x))).split(512):
            optimiser.zero_grad()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(weights(x[batch])[:, 0] + bias, y[batch], reduction="sum")
            if decay:
                loss = loss + decay * len(batch) / len(x) * (weights.weight**2).sum()
            loss.backward()
            optimiser.step()
    return weights.weight.detach().numpy()[:, 0], bias.item()


def normalised(text):
    text = re.sub(r"[-‐-―]", " ", text.lower().replace("’", "'"))
    text = re.sub(r"[^a-z' ]", " ", text)
    return re.sub(r"(?<![a-z])'|'(?![a-z])", " ", text).split()


def sentences(raw):
    """[(words, forms, is question), ...] of a raw text with case; words as in `normalised`, forms as they are written."""
    found = []
    for part in re.split(r"(?<=[.?!])[\"'”’)]*\s+(?=[\"'“‘(]*[A-Z])", re.sub(r"\b(Mr|Mrs|Dr|St|[A-Z])\.", r"\1", raw)):
        words = normalised(part)
        forms = re.sub(r"[^A-Za-z' ]", " ", re.sub(r"[-‐-―]", " ", part.replace("’", "'"))).split()
        forms = [f.strip("'") for f in forms if f.strip("'")]
        if words and [f.lower() for f in forms] == [w.strip("'") for w in words]:
            found.append((words, forms, "?" in part[-3:]))
        elif words:
            return []
    return found


def cased(data):
    """[(set/id, split, sentences)] of the utterances whose raw text has case."""
    rows = []
    with open(data / "speech" / "manifest.tsv", encoding="utf-8") as file:
        header = file.readline().rstrip("\n").split("\t")
        for line in file:
            row = dict(zip(header, line.rstrip("\n").split("\t")))
            raw = row["raw_text"]
            if raw not in (raw.lower(), raw.upper()):
                parts = sentences(raw)
                if parts and [w for words, _, _ in parts for w in words] == row["text"].split():
                    rows.append((f"{row['set']}/{row['id']}", row["split"], parts))
    return rows


def pause_class(seconds):
    return int(np.searchsorted(PAUSES_S, seconds, side="right"))


def pause_ratios(rows, spoken):
    """Log-likelihood ratio of a sentence end for every class of pauses."""
    counts = np.ones((2, len(PAUSES_S) + 1))
    for name, _, parts in rows:
        words = spoken.get(name)
        if not words or len(words) != sum(len(p[0]) for p in parts):
            continue
        ends = set(np.cumsum([len(p[0]) for p in parts])[:-1].tolist())
        for i in range(1, len(words)):
            counts[int(i in ends), pause_class(words[i][0] - words[i - 1][1])] += 1
    print("pauses inside and between sentences:", counts.astype(int).tolist())
    shares = counts / counts.sum(axis=1, keepdims=True)
    return np.log(shares[1] / shares[0]).astype(np.float32)


def capital_words(rows):
    """{word: written form} of the words that are nearly always capitalised inside sentences."""
    forms = defaultdict(Counter)
    seen = set()
    for _, _, parts in rows:
        for words, written, _ in parts:
            key = tuple(written)
            if key not in seen:  # prompts that many have read count once
                seen.add(key)
                for word, form in list(zip(words, written))[1:]:
                    forms[word][form] += 1
    kept = dict(ALWAYS)
    for word, counts in forms.items():
        form, n = counts.most_common(1)[0]
        upper = sum(c for f, c in counts.items() if f[0].isupper())
        if n >= MIN_CAPITAL and form[0].isupper() and upper >= CAPITAL_SHARE * counts.total():
            kept[word] = form
    return kept


def to_bytes(weights, end_bias, question_bias, pauses, capitals):
    scale = max(np.abs(weights).max(), 1e-6) / 127
    text = "".join(f"{word} {form}\n" for word, form in sorted(capitals.items())).encode()
    head = struct.pack("<II3f", VERSION, TABLE, scale, end_bias, question_bias) + np.asarray(pauses, "<f4").tobytes()
    return MAGIC + head + struct.pack("<I", len(text)) + np.round(weights / scale).astype(np.int8).tobytes() + text


class Punctuator:
    """A reader of punctuation.bin that decides as the program does."""

    def __init__(self, data):
        _, table, self.scale, self.end_bias, self.question_bias = struct.unpack_from("<II3f", data, 4)
        n = len(PAUSES_S) + 1
        self.pauses = np.frombuffer(data, "<f4", n, 24)
        (length,) = struct.unpack_from("<I", data, 24 + 4 * n)
        start = 28 + 4 * n
        self.weights = np.frombuffer(data, np.int8, table, start).astype(np.float64) * self.scale
        self.capitals = dict(line.split(" ") for line in data[start + table : start + table + length].decode().splitlines())

    def ends(self, words, pauses):
        """Log-odds of a sentence end after each word but the last; `pauses` in seconds, one less than words."""
        if len(words) < 2:
            return np.zeros(0)
        return self.weights[gap_features(words)].sum(axis=1) + self.end_bias + self.pauses[[pause_class(p) for p in pauses]]

    def question(self, words):
        return float(self.weights[question_features(words)].sum() + self.question_bias)

    def shape(self, words, pauses):
        out, start = [], 0
        cuts = [i + 1 for i, odds in enumerate(self.ends(words, pauses)) if odds > 0] + [len(words)]
        for cut in cuts:
            sentence = words[start:cut]
            if sentence:
                written = [self.capitals.get(w, w) for w in sentence]
                written[0] = written[0][:1].upper() + written[0][1:]
                out.append(" ".join(written) + ("?" if self.question(sentence) > 0 else "."))
            start = cut
        return " ".join(out)


def rates(found, expected, both):
    return {"precision_percent": round(100 * both / max(1, found), 1), "recall_percent": round(100 * both / max(1, expected), 1), "expected": expected}


def evaluate(model, rows, spoken, joined=4):
    """Figures of cased utterances joined by `joined`s, as somebody who goes on speaking: between utterances a pause of 0.4 s is assumed."""
    figures = {key: [0, 0, 0] for key in ("sentence_ends", "questions", "capitals")}
    for start in range(0, len(rows), joined):
        words, pauses, ends, questions, capitals = [], [], set(), set(), set()
        for name, _, parts in rows[start : start + joined]:
            times = spoken.get(name, [])
            own = [w for part in parts for w in part[0]]
            gaps = [max(0.0, times[i][0] - times[i - 1][1]) for i in range(1, len(own))] if len(times) == len(own) else [0.0] * (len(own) - 1)
            pauses += ([0.4] if words else []) + gaps
            for part, forms, is_question in parts:
                capitals |= {len(words) + i for i, form in enumerate(forms) if i and form[:1].isupper()}
                words += part
                ends.add(len(words))
                questions |= {len(words)} if is_question else set()
        ends.discard(len(words))  # the end of a segment is one in any case
        found = {i + 1 for i, odds in enumerate(model.ends(words, pauses)) if odds > 0}
        cuts = [0, *sorted(ends), len(words)]
        asked = {b for a, b in zip(cuts, cuts[1:]) if model.question(words[a:b]) > 0}
        firsts = set(cuts)
        upper = {i for i, w in enumerate(words) if i not in firsts and model.capitals.get(w, "a")[0].isupper()}
        for key, (f, e) in {"sentence_ends": (found, ends), "questions": (asked, questions), "capitals": (upper, capitals - firsts)}.items():
            for i, n in enumerate((len(f), len(e), len(f & e))):
                figures[key][i] += n
    return {key: rates(*counts) for key, counts in figures.items()}


def text_figures(model, lines):
    """Sentence ends of held-out text without any pause to go by."""
    found = expected = both = 0
    for start in range(0, len(lines), 5):
        words, ends = [], set()
        for line in lines[start : start + 5]:
            words += line.split()
            ends.add(len(words))
        ends.discard(len(words))
        odds = model.ends(words, [0.0] * (len(words) - 1)) - model.pauses[0]
        got = {i + 1 for i, o in enumerate(odds) if o > 0}
        found, expected, both = found + len(got), expected + len(ends), both + len(got & ends)
    return rates(found, expected, both)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/, align/ and text/")
    parser.add_argument("--out", type=Path, required=True, help="model folder")
    parser.add_argument("--lines", type=int, default=OTHER_LINES, help="of every long text")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    x, y, held_out = [], [], []
    for source in text_sources(args.data):
        lines = read_text(args.data, source)
        if source == "librispeech_train":  # cut at pauses, not at sentences
            continue
        lines = lines[: LINES.get(source, args.lines)]
        if source.endswith("prompts"):  # a prompt stands alone
            random.Random(1).shuffle(lines)
        cut = len(lines) - len(lines) // HELD_OUT
        held_out += lines[cut:]
        words, ends = [], []
        for line in lines[:cut]:
            own = line.split()
            words += own
            ends += [0] * (len(own) - 1) + [1] if own else []
        x.append(gap_features(words))
        y.append(np.array(ends[:-1]))
    weights, end_bias = train_table(np.concatenate(x), np.concatenate(y), rng, EPOCHS)
    rows = cased(args.data)
    spoken = dict(read_ctm(args.data / "align" / "words.ctm.xz"))
    train = [row for i, row in enumerate(r for r in rows if r[1] == "train") if i % HELD_OUT]
    kept = [row for i, row in enumerate(r for r in rows if r[1] == "train") if i % HELD_OUT == 0]
    parts = [part for _, _, parts in train for part in parts]
    questions, question_bias = train_table(np.stack([question_features(p[0]) for p in parts]), np.array([p[2] for p in parts]), rng, 10, decay=0.05)
    question_bias += math.log(QUESTIONS_MORE)
    data = to_bytes(weights + questions, end_bias, question_bias, pause_ratios(train, spoken), capital_words(train))
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "punctuation.bin").write_bytes(data)
    model = Punctuator(data)
    print(json.dumps({"bytes": len(data), "capital_words": len(model.capitals), "text_alone": text_figures(model, held_out),
                      "dev": evaluate(model, [r for r in rows if r[1] == "dev"], spoken), "held_out_train": evaluate(model, kept, spoken)}, indent=1))


if __name__ == "__main__":
    main()
