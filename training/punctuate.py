"""Stage `punctuate`: where sentences end and commas stand, which sentences are questions, and which words are capitalised, for `--punctuate`.

Marks: logistic regressions over hashed words around a gap, learnt from texts with case and marks (`--raw`: transcripts of talk, articles) and
from the language-model texts (a sentence a line, ends only), and the log-likelihood ratio of the pause there, counted in the aligned
utterances whose raw text has marks. Questions and capitals: from texts with case. Numbers count as one word, whatever they are. Writes
punctuation.bin (docs/model-format.md) and prints figures of held-out text.
"""

import argparse
import json
import random
import re
import struct
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import torch

from lexicon import read_ctm, read_text, text_sources

MAGIC, VERSION = b"VVPU", 2
TABLE = 1 << 18
PAUSES_S = (0.05, 0.15, 0.3, 0.5, 0.8)  # borders of the classes of pauses
LEFT, RIGHT, LEFTS, RIGHTS, ACROSS, FIRST, FIRSTS, LAST, ACROSS_BEFORE, ACROSS_AFTER = range(10)
BORDER = "\n"  # stands before the first word and after the last
NUMBER = "#"  # stands for any number
LINES = {"commonvoice_prompts": 60_000}
OTHER_LINES = 15_000  # of every other text
RAW_WORDS = 1_000_000  # of every raw text
EPOCHS = 3
HELD_OUT = 20  # every so-many-th sentence, paragraph or utterance
MIN_CAPITAL, CAPITAL_SHARE, MAX_CAPITALS = 3, 0.85, 12_000
END_PRECISION, COMMA_PRECISION = 0.835, 0.85  # the biases are chosen for these on aligned training utterances
ALWAYS = {"i": "I"}
NONE, COMMA, END, QUESTION, UNSURE = range(5)  # what stands behind a word
NUMBERS = {NUMBER} | set(("zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty "
               "forty fifty sixty seventy eighty ninety hundred thousand million billion third fourth fifth sixth seventh eighth ninth tenth eleventh "
               "twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth fortieth fiftieth sixtieth "
               "seventieth eightieth ninetieth hundredth thousandth millionth").split())
SHORT = set("mr mrs ms dr st jr sr vs prof gen col lt sgt capt rev hon gov sen rep inc ltd co corp no vol fig approx e.g i.e etc u.s u.k a.m p.m".split())


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


def pair(a, b):
    """Hash of two hashes."""
    return ((np.asarray(a, np.uint64) * np.uint64(0x01000193)) & np.uint64(0xFFFFFFFF)) ^ np.asarray(b, np.uint64)


def collapse(words):
    """[(word or NUMBER, how many words it is), ...]: nearly what the program takes for numbers."""
    out, at = [], 0
    while at < len(words):
        until = at
        while until < len(words) and (words[until] in NUMBERS or until > at and words[until] in ("one", "first", "second", "oh")):
            until += 1
        out.append((NUMBER, until - at) if until > at else (words[at], 1))
        at = max(until, at + 1)
    return out


def gap_features(words):
    """[gaps, 7]: places of what stands around the gap after each word but the last."""
    h, n = hashes(words), len(words) - 1
    l2, l1, r1, r2 = (h[i : i + n] for i in (1, 2, 3, 4))
    return np.stack([slot(LEFT, l1), slot(RIGHT, r1), slot(LEFTS, l2, l1), slot(RIGHTS, r1, r2), slot(ACROSS, l1, r1),
                     slot(ACROSS_BEFORE, pair(l2, l1), r1), slot(ACROSS_AFTER, pair(l1, r1), r2)], axis=1)


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


def marked(paragraph):
    """[(word or NUMBER, form or None, mark behind it), ...] of a text with case and marks."""
    paragraph = re.sub(r"^\*\*[^*]{1,60}:\*\*\s*", "", paragraph)  # who speaks
    paragraph = re.sub(r"\([^()]*\)|\[[^\[\]]*\]|[*_`~]+", " ", paragraph.replace("’", "'"))
    out, first = [], True
    for token in paragraph.split():
        core = token.strip("\"'“”‘’()[]{}<>")
        bare = core.rstrip(".,;:?!…\"'”’)]")
        tail = token[token.rfind(bare) + len(bare) :] if bare else token
        short = bare.lower() in SHORT or len(bare) == 1 and bare.isalpha() and bare not in "Ia"
        if "…" in tail or "..." in tail:
            mark = UNSURE
        elif "?" in tail:
            mark = QUESTION
        elif "!" in tail or "." in tail and not short:
            mark = END
        elif "." in tail:
            mark = UNSURE
        elif set(tail) & set(",;:"):
            mark = COMMA if set(tail) & set(",;") else UNSURE
        else:
            mark = NONE
        if any(c.isdigit() for c in bare):
            if out and out[-1][0] == NUMBER and out[-1][2] == NONE:
                out.pop()
            out.append((NUMBER, None, mark))
        else:
            words = normalised(bare)
            form = re.sub(r"[^A-Za-z']", " ", bare).split()
            same = [f.lower() for f in form] == words
            for k, word in enumerate(words):
                inside = form[k] if same and not first else None
                out.append((word, inside, NONE if k + 1 < len(words) else mark))
                first = False
            if not words and out and bare == "" and tail in ("-", "--", "–", "—"):
                word, inside, before = out[-1]
                out[-1] = (word, inside, max(before, UNSURE) if before == NONE else before)
        if mark in (END, QUESTION):
            first = True
    return out


def read_raw(path, words, rng):
    """Paragraphs of a text file, or of the .txt and .md files of a folder, drawn at random up to so many words; as `marked` has them."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix in (".txt", ".md"))
    lines = [line for file in files for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    lines = [line for line in lines if 4 < len(line.split()) < 400 and line[0] not in "#|>"]
    random.Random(int(rng.integers(1 << 30))).shuffle(lines)
    out, seen = [], 0
    for line in lines:
        found = marked(line.strip())
        if any(mark in (END, QUESTION) for _, _, mark in found):
            out.append(found)
            seen += len(found)
        if seen >= words:
            break
    return out


def cased(data):
    """[(set/id, split, marked)] of the utterances whose raw text has case, as `marked` has them with numbers spelt out."""
    rows = []
    with open(data / "speech" / "manifest.tsv", encoding="utf-8") as file:
        header = file.readline().rstrip("\n").split("\t")
        for line in file:
            row = dict(zip(header, line.rstrip("\n").split("\t")))
            raw = row["raw_text"]
            if raw not in (raw.lower(), raw.upper()):
                found = marked(raw)
                if found and [word for word, _, _ in found] == row["text"].split():
                    rows.append((f"{row['set']}/{row['id']}", row["split"], found))
    return rows


def parts_of(found):
    """[(words, is question), ...]: the sentences of a marked text, without one whose end is not there."""
    out, words = [], []
    for word, _, mark in found:
        words.append(word)
        if mark in (END, QUESTION):
            out.append((words, mark == QUESTION))
            words = []
    return out


def collapsed(found):
    """The same with every number as one word."""
    out, at = [], 0
    for word, count in collapse([word for word, _, _ in found]):
        at += count
        out.append((word, None, found[at - 1][2]))
    return out


def gaps_of(paragraphs):
    """Features and marks of the gaps inside paragraphs, numbers as one word."""
    words, marks, inside = [], [], []
    for found in map(collapsed, paragraphs):
        words += [word for word, _, _ in found]
        marks += [mark for _, _, mark in found]
        inside += [True] * (len(found) - 1) + [False]
    keep = np.array(inside[:-1])
    return gap_features(words)[keep], np.array(marks[:-1])[keep]


def pause_class(seconds):
    return int(np.searchsorted(PAUSES_S, seconds, side="right"))


def pause_ratios(rows, spoken):
    """Log-likelihood ratios of a sentence end, and of a comma, for every class of pauses."""
    counts = np.ones((3, len(PAUSES_S) + 1))
    for name, _, found in rows:
        words = spoken.get(name)
        if words and len(words) == len(found):
            for i in range(1, len(words)):
                kind = {NONE: 0, COMMA: 1, END: 2, QUESTION: 2}.get(found[i - 1][2])
                if kind is not None:
                    counts[kind, pause_class(words[i][0] - words[i - 1][1])] += 1
    print("pauses inside sentences, at commas, and between sentences:", counts.astype(int).tolist())
    plain, comma, end = counts / counts.sum(axis=1, keepdims=True)
    return np.log(end / plain).astype(np.float32), np.log(comma / plain).astype(np.float32)


def capital_words(texts):
    """{word: written form} of the words that are nearly always capitalised inside sentences."""
    forms, seen = defaultdict(Counter), set()
    for found in texts:
        key = tuple(word for word, _, _ in found)
        if key not in seen:  # prompts that many have read count once
            seen.add(key)
            for word, form, _ in found:
                if form and not (form.isupper() and len(form) > 1 and len(found) > 3 and sum(1 for _, f, _ in found[:4] if f and f.isupper()) > 2):
                    forms[word][form] += 1
    kept = []
    for word, counts in forms.items():
        form, n = counts.most_common(1)[0]
        upper = sum(c for f, c in counts.items() if f[0].isupper())
        if n >= MIN_CAPITAL and form[0].isupper() and upper >= CAPITAL_SHARE * counts.total():
            kept.append((n, word, form))
    return {**{word: form for _, word, form in sorted(kept, reverse=True)[:MAX_CAPITALS]}, **ALWAYS}


def to_bytes(ends, commas, biases, pauses, capitals):
    """`biases` of ends, commas and questions; `pauses` of ends and commas."""
    scale = max(np.abs(ends).max(), np.abs(commas).max(), 1e-6) / 127
    text = "".join(f"{word} {form}\n" for word, form in sorted(capitals.items())).encode()
    head = struct.pack("<II4f", VERSION, TABLE, scale, *biases) + np.asarray(pauses, "<f4").tobytes()
    tables = b"".join(np.round(weights / scale).astype(np.int8).tobytes() for weights in (ends, commas))
    return MAGIC + head + struct.pack("<I", len(text)) + tables + text


class Punctuator:
    """A reader of punctuation.bin that decides as the program does."""

    def __init__(self, data):
        _, table, self.scale, self.end_bias, self.comma_bias, self.question_bias = struct.unpack_from("<II4f", data, 4)
        n = len(PAUSES_S) + 1
        self.end_pauses, self.comma_pauses = np.frombuffer(data, "<f4", 2 * n, 28).reshape(2, n)
        (length,) = struct.unpack_from("<I", data, 28 + 8 * n)
        start = 32 + 8 * n
        tables = np.frombuffer(data, np.int8, 2 * table, start).astype(np.float64) * self.scale
        self.end_weights, self.comma_weights = tables.reshape(2, table)
        self.capitals = dict(line.split(" ") for line in data[start + 2 * table : start + 2 * table + length].decode().splitlines())

    def odds(self, words, pauses):
        """Log-odds of a sentence end and of a comma behind each word but the last; `pauses` in seconds, one less than words."""
        if len(words) < 2:
            return np.zeros(0), np.zeros(0)
        places, classes = gap_features(words), [pause_class(p) for p in pauses]
        return (self.end_weights[places].sum(axis=1) + self.end_bias + self.end_pauses[classes],
                self.comma_weights[places].sum(axis=1) + self.comma_bias + self.comma_pauses[classes])

    def question(self, words):
        return float(self.end_weights[question_features(words)].sum() + self.question_bias)

    def shape(self, words, pauses):
        """Words without numbers as text."""
        out, start = [], 0
        ends, commas = self.odds(words, pauses)
        for i, word in enumerate(words):
            form = self.capitals.get(word, word)
            out.append(form[:1].upper() + form[1:] if i == start else form)
            if i + 1 == len(words) or ends[i] > 0:
                out[-1] += "?" if self.question(words[start : i + 1]) > 0 else "."
                start = i + 1
            elif commas[i] > 0:
                out[-1] += ","
        return " ".join(out)


def rates(found, expected, both):
    return {"precision_percent": round(100 * both / max(1, found), 1), "recall_percent": round(100 * both / max(1, expected), 1), "expected": expected}


def runs(rows, spoken, joined=4):
    """Cased utterances joined by `joined`s, as somebody who goes on speaking: between utterances a pause of 0.4 s is assumed. Gives
    (marked text with numbers as one word, pauses)."""
    for start in range(0, len(rows), joined):
        run, pauses = [], []
        for name, _, found in rows[start : start + joined]:
            times = spoken.get(name, [])
            if len(times) != len(found):
                times = [(0.0, 0.0)] * len(found)
            at, own = 0, []
            for _, count in collapse([word for word, _, _ in found]):
                own.append((times[at][0], times[at + count - 1][1]))
                at += count
            pauses += ([0.4] if run else []) + [max(0.0, b[0] - a[1]) for a, b in zip(own, own[1:])]
            run += collapsed(found)
        yield run, pauses


def evaluate(model, rows, spoken):
    figures = {key: [0, 0, 0] for key in ("sentence_ends", "commas", "questions")}
    for run, pauses in runs(rows, spoken):
        words, marks = [w for w, _, _ in run], np.array([m for _, _, m in run])
        ends, commas = model.odds(words, pauses)
        sure = marks[:-1] != UNSURE
        end, comma = sure & (ends > 0), sure & (ends <= 0) & (commas > 0)
        truth = np.isin(marks[:-1], (END, QUESTION))
        cuts = [0, *(np.flatnonzero(truth) + 1).tolist(), len(words)]
        asked = np.array([model.question(words[a:b]) > 0 for a, b in zip(cuts, cuts[1:])])
        real = np.array([marks[b - 1] == QUESTION for b in cuts[1:]])
        for key, f, e in (("sentence_ends", end, truth), ("commas", comma, marks[:-1] == COMMA), ("questions", asked, real)):
            for i, n in enumerate((f.sum(), e.sum(), (f & e).sum())):
                figures[key][i] += int(n)
    return {key: rates(*counts) for key, counts in figures.items()}


def text_figures(model, paragraphs):
    """Marks of held-out text without any pause to go by."""
    x, marks = gaps_of(paragraphs)
    ends, commas = model.end_weights[x].sum(axis=1) + model.end_bias > 0, model.comma_weights[x].sum(axis=1) + model.comma_bias > 0
    out = {}
    for key, found, truth in (("sentence_ends", ends, np.isin(marks, (END, QUESTION))), ("commas", commas & ~ends, marks == COMMA)):
        found = found & (marks != UNSURE)
        out[key] = rates(int(found.sum()), int(truth.sum()), int((found & truth).sum()))
    return out


def bias_for(odds, truth, precision):
    """What to add to log-odds for at least this precision of those above 0, as many of them as can be."""
    order = np.argsort(-odds)
    share = np.cumsum(truth[order]) / np.arange(1, len(odds) + 1)
    good = np.flatnonzero(share >= precision)
    good = good[good >= min(20, len(odds) - 1)]
    return -float(odds[order[good[-1]]]) + 1e-6 if len(good) else -float(odds.max()) - 1.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/, align/ and text/")
    parser.add_argument("--raw", type=Path, action="append", default=[], help="text with case and marks, a paragraph a line: a file, or a folder of .txt and .md")
    parser.add_argument("--out", type=Path, required=True, help="model folder")
    parser.add_argument("--lines", type=int, default=OTHER_LINES, help="of every long text")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    rows = cased(args.data)
    spoken = dict(read_ctm(args.data / "align" / "words.ctm.xz"))
    train = [row for i, row in enumerate(r for r in rows if r[1] == "train") if i % HELD_OUT]
    kept = [row for i, row in enumerate(r for r in rows if r[1] == "train") if i % HELD_OUT == 0]
    distinct = list({tuple(w for w, _, _ in found): found for _, _, found in train}.values())
    raw, held_out = [], []
    for path in args.raw:
        found = read_raw(path, RAW_WORDS, rng)
        cut = len(found) - len(found) // HELD_OUT
        raw, held_out = raw + found[:cut], held_out + found[cut:]
    lines = []  # a sentence each, of which only the end is known
    for source in text_sources(args.data):
        if source == "librispeech_train":  # cut at pauses, not at sentences
            continue
        own = read_text(args.data, source)[: LINES.get(source, args.lines)]
        if source.endswith("prompts"):  # a prompt stands alone
            random.Random(1).shuffle(own)
        own = [line.split() for line in own if line]
        lines += [[(w, None, NONE) for w in words[:-1]] + [(words[-1], None, END)] for words in own]
    texts = raw + distinct
    x, marks = gaps_of(texts)
    sure = marks != UNSURE
    line_x, line_marks = gaps_of([[word for line in lines[i : i + 6] for word in line] for i in range(0, len(lines), 6)])
    ends, end_bias = train_table(np.concatenate([x[sure], line_x]), np.concatenate([np.isin(marks[sure], (END, QUESTION)), line_marks == END]), rng, EPOCHS)
    within = sure & ~np.isin(marks, (END, QUESTION))
    commas, comma_bias = train_table(x[within], marks[within] == COMMA, rng, EPOCHS)
    parts = [part for found in texts for part in parts_of(found)]
    questions, question_bias = train_table(np.stack([question_features(words) for words, _ in parts]), np.array([q for _, q in parts]), rng, EPOCHS)
    pauses = pause_ratios(train, spoken)
    capitals = capital_words(texts)
    model = Punctuator(to_bytes(ends + questions, commas, (end_bias, comma_bias, question_bias), pauses, capitals))
    found = [(*model.odds([w for w, _, _ in run], p), np.array([m for _, _, m in run])[:-1]) for run, p in runs(train, spoken)]
    odds_e, odds_c, truth = (np.concatenate(column) for column in zip(*found))
    sure = truth != UNSURE
    end_bias += bias_for(odds_e[sure], np.isin(truth[sure], (END, QUESTION)), END_PRECISION)
    inner = sure & ~np.isin(truth, (END, QUESTION))
    comma_bias += bias_for(odds_c[inner], truth[inner] == COMMA, COMMA_PRECISION)
    data = to_bytes(ends + questions, commas, (end_bias, comma_bias, question_bias), pauses, capitals)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "punctuation.bin").write_bytes(data)
    model = Punctuator(data)
    print(json.dumps({"bytes": len(data), "capital_words": len(model.capitals), "text_alone": text_figures(model, held_out or distinct[:1000]),
                      "dev": evaluate(model, [r for r in rows if r[1] == "dev"], spoken), "held_out_train": evaluate(model, kept, spoken)}, indent=1))


if __name__ == "__main__":
    main()
