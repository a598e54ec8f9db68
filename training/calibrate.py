"""Stage `calibrate`: when words are spoken and how sure they are, on the dev sets with the Rust program; both go to config.json.

Times: a word's first and last token are found between the middle of their block and where the heads of attention look, in shares fitted by
least squares on forced alignment; then constant offsets, as medians. Confidence: logistic
regression from the evidence for a word to whether it is right (McCullagh and Nelder 1989, section 4.4, Newton's method). Figures are of the
utterances with an odd place in the list, fitted on the others; what is written is fitted on all.
"""

import argparse
import json
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from lexicon import read_ctm

BINS = 10
RIDGE = 1.0
FAR_S = 0.3  # words farther from their reference have no say in the shares
NUM_EVIDENCE = 7


def fit(x, y, ridge=RIDGE, rounds=30):
    """(intercept, weights) of a logistic regression with a small penalty on the weights."""
    a = np.hstack([np.ones((len(x), 1)), x])
    w, penalty = np.zeros(a.shape[1]), np.diag([0.0] + [ridge] * x.shape[1])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-a @ w))
        gradient = a.T @ (y - p) - penalty @ w
        hessian = (a * (p * (1 - p))[:, None]).T @ a + penalty + 1e-9 * np.eye(len(w))
        w = w + np.linalg.solve(hessian, gradient)
    return float(w[0]), w[1:]


def roc_area(score, right):
    """Probability that a right word scores above a wrong one; ties count half."""
    order = np.argsort(score, kind="stable")
    _, group, sizes = np.unique(score[order], return_inverse=True, return_counts=True)
    rank = (np.cumsum(sizes) - (sizes - 1) / 2)[group]
    positives = right[order].sum()
    negatives = len(right) - positives
    return float((rank[right[order] > 0].sum() - positives * (positives + 1) / 2) / max(1, positives * negatives))


def calibration_error(p, right):
    """Expected calibration error: mean distance of confidence and accuracy over equally wide bins, weighed by words."""
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    return float(sum(abs(p[bins == b].sum() - right[bins == b].sum()) for b in range(BINS)) / max(1, len(p)))


def spread(errors):
    e = np.abs(errors) * 1000
    return {"median_ms": round(float(np.median(e))), "mean_ms": round(float(e.mean())), "p90_ms": round(float(np.percentile(e, 90)))}


def times(utterances, spoken):
    """{(utterance, place in the reference): (set, found start, end, spoken start, end)} in seconds of right words."""
    out = {}
    for u in utterances:
        key = f"{u['set']}/{u['id']}"
        reference = spoken.get(key)
        for word in u["words"] if reference else []:
            at = word["reference"]
            if at is not None and at < len(reference) and reference[at][2] == word["word"]:
                out[key, at] = (u["set"], word["start"], word["end"], reference[at][0], reference[at][1])
    return out


def shares(places, spoken):
    """Shares of the heads: places [words, 1 + heads], of which the first is the middle of the block; spoken [words]."""
    moved, wanted = places[:, 1:] - places[:, :1], spoken - places[:, 0]
    near = np.abs(wanted - np.median(wanted)) < FAR_S
    a = np.c_[moved, np.ones(len(moved))][near]
    return np.linalg.lstsq(a, wanted[near], rcond=None)[0][:-1]


def found(places, heads):
    """Where tokens are found with these shares of the heads: [words]."""
    return places[:, 0] + (places[:, 1:] - places[:, :1]) @ heads


class Border:
    """Starts or ends of words: shares and offset fitted on words [words], and errors in seconds of others."""

    def __init__(self, places, spoken, use_heads=True):
        self.heads = shares(places, spoken) if use_heads else np.zeros(places.shape[1] - 1)
        self.offset = float(np.median(spoken - found(places, self.heads)))

    def errors(self, places, spoken):
        return found(places, self.heads) + self.offset - spoken


def run(args, model):
    command = [str(args.binary), "evaluate", str(args.speech), "--model", str(model), "--json", "--jobs", str(args.jobs)]
    for name in args.set:
        command += ["--set", name]
    if args.limit:
        command += ["--limit", str(args.limit)]
    if args.latency:
        command += ["--latency", args.latency]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "words.jsonl"
        subprocess.run([*command, "--words", str(path)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(path, encoding="utf-8") as file:
            return sorted((json.loads(line) for line in file), key=lambda u: (u["set"], u["id"]))


def with_settings(model, folder, **settings):
    """A copy of the model folder, by links, with other parts of config.json (None: left out)."""
    config = {**json.loads((model / "config.json").read_text(encoding="utf-8")), **settings}
    config = {key: value for key, value in config.items() if value is not None}
    for path in model.iterdir():
        if path.name != "config.json":
            (folder / path.name).symlink_to(path.resolve())
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return folder


def evidence_of(utterances):
    words = [word for u in utterances for word in u["words"]]
    x = np.array([word["evidence"] for word in words], np.float64).reshape(len(words), -1)
    return x, np.array([word["reference"] is not None for word in words], np.float64)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=Path("target/release/vivavoce"))
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/ and align/")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], help="dev set (may be repeated; default: all)")
    parser.add_argument("--limit", type=int, help="utterances a set")
    parser.add_argument("--latency")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    args = parser.parse_args()
    args.speech = args.data / "speech"
    spoken = dict(read_ctm(args.data / "align" / "words.ctm.xz"))
    num_heads = json.loads((args.model / "config.json").read_text(encoding="utf-8"))["attention"]["num_heads"]
    by_head = []  # where words are found by the middle of the block alone, then by each head alone
    for head in range(-1, num_heads):
        only = [float(h == head) for h in range(num_heads)] if head >= 0 else []
        settings = {"start_offset_ms": 0.0, "end_offset_ms": 0.0, "start_heads": only, "end_heads": only}
        with tempfile.TemporaryDirectory() as folder:
            utterances = run(args, with_settings(args.model, Path(folder), word_times=settings))
        by_head.append(times(utterances, spoken))
    halves = utterances[::2], utterances[1::2]
    words = sorted(by_head[0])
    sets = np.array([by_head[0][word][0] for word in words])
    fitting = np.isin([key for key, _ in words], [f"{u['set']}/{u['id']}" for u in halves[0]])
    report, settings = {"times": {}}, {"word_times": {}}
    for border, at in (("start", 1), ("end", 2)):
        places = np.array([[found_by[word][at] for found_by in by_head] for word in words])
        truth = np.array([by_head[0][word][at + 2] for word in words])
        for label, use_heads in (("block", False), ("block_and_attention", True)):
            fitted = Border(places[fitting], truth[fitting], use_heads)
            for name in [*sorted(set(sets)), "all"]:
                these = ~fitting & ((sets == name) | (name == "all"))
                row = report["times"].setdefault(name, {"words": int(these.sum())}).setdefault(border, {})
                row[label] = spread(fitted.errors(places[these], truth[these]))
        final = Border(places, truth)
        settings["word_times"] |= {f"{border}_offset_ms": round(1000 * final.offset, 1), f"{border}_heads": [round(float(h), 4) for h in final.heads]}
    (x, y), (x_measured, y_measured) = evidence_of(halves[0]), evidence_of(halves[1])
    intercept, weights = fit(x, y)
    p = 1 / (1 + np.exp(-intercept - x_measured @ weights))
    report["confidence"] = {"words": len(p), "right_percent": round(100 * float(y_measured.mean()), 1),
                            "roc_area": round(roc_area(p, y_measured), 4), "calibration_error": round(calibration_error(p, y_measured), 4),
                            "roc_area_of_each": [round(roc_area(x_measured[:, i], y_measured), 3) for i in range(x.shape[1])]}
    print(json.dumps(report, indent=1))
    intercept, weights = fit(*evidence_of(utterances))
    settings["confidence"] = {"intercept": round(intercept, 5), "weights": [round(float(w), 5) for w in weights]}
    print(json.dumps(settings))
    if not args.dry_run:
        path = args.model / "config.json"
        config = {**json.loads(path.read_text(encoding="utf-8")), **settings}
        path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
