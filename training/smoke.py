"""The whole recipe in about a minute, on sounds that it makes itself: does every stage run, learn and fit the next one?

A phone is a tone of two formants; sixty short utterances of a dozen words go through prepare, lexicon, lm, pretrain, train, realign,
average, export and decode. Asserted: the losses fall, the model folder is complete and comes out the same twice, and, with
`--binary`, the Rust program loads it, answers, and its greedy tokens are those of PyTorch. (`align` needs speech and is not part of it.)
"""

import argparse
import contextlib
import importlib
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

os.environ["VIVAVOCE_NO_KERNEL"] = "1"

import numpy as np
import soundfile
import torch

RATE_HZ = 16000
SET = "tones"
WORDS = {
    "ba": "B AA", "dee": "D IY", "goo": "G UW", "see": "S IY", "shoe": "SH UW", "ma": "M AA", "lee": "L IY", "bead": "B IY D",
    "mood": "M UW D", "sam": "S AA M", "lose": "L UW S", "shall": "SH AA L",
}
PHONES = sorted({p for phones in WORDS.values() for p in phones.split()})
FORMANTS = {p: (300 + 150 * (i % 4), 1200 + 500 * (i // 4) + 100 * (i % 4)) for i, p in enumerate(PHONES)}
FALL = {"pretrain": ("loss", 0.6), "train": ("nll", 0.5)}  # the last value of the log must lie below this share of the first
CONFIG = Path(__file__).parent / "configs" / "smoke.json"


def tone(phone, seconds):
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    x = sum(0.2 * np.sin(2 * np.pi * f * t) for f in FORMANTS[phone])
    ramp = np.minimum(1.0, np.minimum(t, t[::-1]) / 0.005)
    return x * ramp


def utterance(words, rng):
    """(samples, words with times, phones with times)."""
    parts, word_times, phone_times, at = [], [], [], 0.0

    def add(x):
        nonlocal at
        parts.append(x)
        begin, at = at, at + len(x) / RATE_HZ
        return begin, at

    add(np.zeros(int(rng.uniform(0.1, 0.25) * RATE_HZ)))
    for word in words:
        began = at
        for phone in WORDS[word].split():
            phone_times.append((*add(tone(phone, rng.uniform(0.09, 0.15))), phone))
        word_times.append((began, at, word))
        add(np.zeros(int(rng.uniform(0.02, 0.1) * RATE_HZ)))
    add(np.zeros(int(rng.uniform(0.05, 0.15) * RATE_HZ)))
    samples = np.concatenate(parts)
    return samples + rng.normal(0, 0.002, len(samples)), word_times, phone_times


def put(tar, name, samples, kind="FLAC"):
    data = io.BytesIO()
    soundfile.write(data, samples, RATE_HZ, format=kind, subtype="PCM_16")
    member = tarfile.TarInfo(name)
    member.size = len(data.getvalue())
    data.seek(0)
    tar.addfile(member, data)


def make_data(folder, rng):
    """A data folder in the layout that README.md describes; gives the samples of one dev utterance."""
    for name in ("speech", "align", "noise", "text"):
        (folder / name).mkdir(parents=True)
    names = list(WORDS)
    manifest = ["id\tset\tsplit\tspeaker\tseconds\ttext\traw_text"]
    ctm = {"words": [], "phones": []}
    scores, kept = ["set\tid\tscore_per_frame\tspeech_seconds"], None
    with tarfile.open(folder / "speech" / f"{SET}-00.tar", "w") as tar:
        for i in range(70):
            key, split = f"tone-{i:03}", "train" if i < 60 else "dev"
            words = [names[j] for j in rng.integers(0, len(names), int(rng.integers(1, 5)))]
            samples, word_times, phone_times = utterance(words, rng)
            put(tar, f"{key}.flac" if i % 2 else f"{key}.wav", samples, "FLAC" if i % 2 else "WAV")
            text = " ".join(words)
            manifest.append(f"{key}\t{SET}\t{split}\tnobody\t{len(samples) / RATE_HZ:.2f}\t{text}\t{text}")
            for kind, rows in (("words", word_times), ("phones", phone_times)):
                ctm[kind] += [f"{SET}/{key} 1 {s:.3f} {e - s:.3f} {label}" for s, e, label in rows]
            scores.append(f"{SET}\t{key}\t{-rng.uniform(5, 20):.1f}\t{len(samples) / RATE_HZ:.2f}")
            if len(words) == 4 and split == "dev":
                kept = samples
    (folder / "speech" / "manifest.tsv").write_text("\n".join(manifest) + "\n")
    for kind, rows in ctm.items():
        with lzma.open(folder / "align" / f"{kind}.ctm.xz", "wt") as f:
            f.write("\n".join(rows) + "\n")
    with lzma.open(folder / "align" / "scores.tsv.xz", "wt") as f:
        f.write("\n".join(scores) + "\n")
    with tarfile.open(folder / "noise" / "noise-00.tar", "w") as tar:
        put(tar, "hiss.flac", rng.normal(0, 0.03, 20 * RATE_HZ))
    with lzma.open(folder / "text" / "prompts.txt.xz", "wt") as f:
        f.writelines(" ".join(names[j] for j in rng.integers(0, len(names), int(rng.integers(2, 6)))) + "\n" for _ in range(300))
    (folder / "tones.dict").write_text("".join(f"{w} {p}\n" for w, p in WORDS.items()))
    return samples if kept is None else kept


def stage(name, *arguments):
    """Runs a stage in this process, as its command line would; gives what it wrote to stdout."""
    began, out = time.time(), io.StringIO()
    sys.argv = [f"{name}.py", *(str(a) for a in arguments)]
    try:
        with contextlib.redirect_stdout(out):
            importlib.import_module(name).main()
    except SystemExit as error:
        if error.code:
            raise SystemExit(f"smoke: {name} failed: {error.code}\n{out.getvalue()}") from error
    lines = out.getvalue().strip().splitlines()
    print(f"{name}: {time.time() - began:.1f} s; {lines[-1] if lines else ''}", file=sys.stderr, flush=True)
    return out.getvalue()


def check(condition, message):
    if not condition:
        raise SystemExit(f"smoke: {message}")


def check_fall(run, name):
    value, share = FALL[name]
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    rows = [r[value] for r in rows if value in r]
    print(f"{name}: {value} {rows[0]:.3f} -> {rows[-1]:.3f}", file=sys.stderr)
    check(rows[-1] < share * rows[0], f"{name}: {value} fell only from {rows[0]:.3f} to {rows[-1]:.3f}")


def block_s(checkpoint):
    """Duration of a block of the default latency mode."""
    from decode import load_model

    model, saved = load_model(checkpoint)
    config = saved["config"]
    return config["latency_modes"][config["default_latency"]]["block_frames"] * model.subsampling * config["features"]["frame_shift_ms"] / 1000


def write_lists(cache, path, block_s):
    """Two hypotheses of every training utterance, such as the program writes them: what was said, and less likely, as the search found it, than that without its first half."""
    tokens, ends = (np.load(cache / "targets.npz")[name] for name in ("token", "end"))
    with open(path, "w", encoding="utf-8") as f:
        for u in map(json.loads, open(cache / "utterances.jsonl", encoding="utf-8")):
            of = slice(u["token"], u["token"] + u["tokens"])
            said, blocks, half = tokens[of].tolist(), (ends[of] / block_s).astype(int).tolist(), u["tokens"] // 2
            hypotheses = [{"text": "", "score": 0.0, "log_prob": 0.0, "tokens": said[half:], "blocks": blocks[half:]},
                        {"text": u["text"], "score": -5.0, "log_prob": 0.0, "tokens": said, "blocks": blocks}]
            if u["split"] == "train":
                f.write(json.dumps({"set": u["set"], "id": u["id"], "words": [], "text": u["text"], "hypotheses": hypotheses}) + "\n")


def check_binary(binary, model_folder, checkpoint, samples, work):
    """The Rust program on one utterance: words as JSON, and greedy tokens equal to PyTorch's."""
    from decode import load_model
    from golden import extract
    from model import Geometry

    wav = work / "utterance.wav"
    soundfile.write(wav, samples, RATE_HZ, subtype="PCM_16")
    samples, _ = soundfile.read(wav, dtype="float32")

    def transcribe(*arguments):
        command = [str(binary), "transcribe", str(wav), "--model", str(model_folder), "--json", *arguments]
        result = subprocess.run(command, capture_output=True, text=True)
        check(result.returncode == 0, f"{' '.join(command)} gave {result.returncode}: {result.stderr}")
        return json.loads(result.stdout.splitlines()[-1])

    words = transcribe()
    check(isinstance(words.get("text"), str), f"no text in {words}")
    model, saved = load_model(checkpoint)
    config = saved["config"]
    stats = json.loads((work / "cache" / "stats.json").read_text())
    tokens = (work / "cache" / "tokens.txt").read_text().split()
    features = extract(config, stats, samples)
    for mode in config["latency_modes"]:
        geometry = Geometry.from_config(config["latency_modes"][mode])
        found = model.greedy(features[None], torch.tensor([model.num_frames(len(features))]), geometry)[0]
        ours = [tokens[t] for t, _ in found]
        theirs = [w["word"] for w in transcribe("--search", "greedy", "--latency", mode, "--end-of-block-bias", "0")["result"]]
        check(ours == theirs, f"greedy tokens differ ({mode}):\n PyTorch {ours}\n Rust    {theirs}")
        print(f"binary: {mode}: {len(ours)} greedy tokens equal; words: {words['text']!r}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, help="the built program, such as target/release/vivavoce")
    parser.add_argument("--keep", type=Path, help="folder for everything that is made (default: a temporary one)")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    began = time.time()
    work = args.keep or Path(tempfile.mkdtemp(prefix="vivavoce-smoke-"))
    if args.keep and args.keep.exists() and any(args.keep.iterdir()):
        parser.error(f"{args.keep} is not empty")
    try:
        data, cache, model = work / "data", work / "cache", work / "model"
        samples = make_data(data, np.random.default_rng(1))
        torch.set_num_threads(args.threads)
        stage("prepare", "--data", data, "--out", cache, "--workers", 1)
        check((cache / "features.f16").stat().st_size > 0, "no features")
        stage("lexicon", "--data", data, "--out", model, "--dictionary", data / "tones.dict")
        stage("lm", "--data", data, "--out", model, "--max-mb", 1)
        common = ["--config", CONFIG, "--data", cache, "--threads", args.threads]
        stage("pretrain", *common, "--run", work / "pretrain")
        check_fall(work / "pretrain", "pretrain")
        stage("train", *common, "--run", work / "train", "--init", work / "pretrain" / "last.pt")
        check_fall(work / "train", "train")
        targets = work / "targets.npz"
        moved = json.loads(stage("realign", "--checkpoint", work / "train" / "last.pt", "--data", cache, "--out", targets, "--precision", "f32"))
        check(moved["utterances"] == 60 and moved["failed"] == 0, f"realign: {moved}")
        stage("train", *common, "--run", work / "again", "--init", work / "train" / "last.pt", "--targets", targets, "--minutes", 0.05)
        write_lists(cache, work / "lists.jsonl", block_s(work / "train" / "last.pt"))
        stage("sequence", *common, "--run", work / "sequence", "--init", work / "train" / "last.pt", "--lists", work / "lists.jsonl")
        errors = [row["errors"] for row in map(json.loads, open(work / "sequence" / "log.jsonl")) if "errors" in row]
        check(errors[-1] < errors[0], f"sequence: expected errors {errors}")
        mean = work / "mean.pt"
        stage("average", work / "train" / "last.pt", work / "again" / "last.pt", "--out", mean)
        stage("export", "--checkpoint", mean, "--data", cache, "--out", model, "--precision", "f32")
        for name in ("config.json", "tokens.txt", "model.safetensors", "lexicon.bin", "lm.bin"):
            check((model / name).stat().st_size > 0, f"the model folder lacks {name}")
        for precision in ("f32", "int8"):
            digests = [stage("export", "--checkpoint", mean, "--data", cache, "--out", work / f"{precision}-{i}", "--precision", precision).split()[-1] for i in range(2)]
            check(digests[0] == digests[1], f"two exports in {precision} differ")
        results = json.loads(stage("decode", "--checkpoint", mean, "--data", cache, "--json"))["results"]
        for r in results:
            print(f"decode: {r['latency']}: {r['percent']} % of {r['tokens']} tokens", file=sys.stderr)
        check(min(r["percent"] for r in results) < 60, "the greedy error stays above 60 %")
        if args.binary:
            check_binary(args.binary.absolute(), model, mean, samples, work)
        print(f"smoke: all well, {time.time() - began:.0f} s")
    finally:
        if not args.keep:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
