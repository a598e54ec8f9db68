"""Stage `prepare`: speech shards -> cached log-mel features, token targets with times, noise features, global mean and variance.

Reads DIR/speech/manifest.tsv with its tar shards, DIR/align/*.ctm.xz (times of words and phones) and DIR/noise. Writes OUT/features.f16
(raw log-mel, [frames, mel]), OUT/noise.f16, OUT/utterances.jsonl, OUT/targets.npz and OUT/stats.json.
"""

import argparse
import io
import json
import lzma
import multiprocessing
import tarfile
from pathlib import Path

import numpy as np
import soundfile
import torch

from features import FeatureConfig, LogMel
from progress import progress

PHONES = ("AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH").split()
TOKENS = ["<e>"] + PHONES + [p + "_E" for p in PHONES]
TOKEN_ID = {t: i for i, t in enumerate(TOKENS)}


def read_manifest(data: Path):
    lines = (data / "speech" / "manifest.tsv").read_text(encoding="utf-8").splitlines()
    names = lines[0].split("\t")
    return [dict(zip(names, line.split("\t"))) for line in lines[1:] if line]


def read_ctm(path: Path):
    """`key -> [(start, end, label)]`; keys may contain spaces, so lines are split from the right."""
    table = {}
    with lzma.open(path, "rt", encoding="utf-8") as f:
        for line in f:
            key, _, start, duration, label = line.rstrip("\n").rsplit(" ", 4)
            table.setdefault(key, []).append((float(start), float(start) + float(duration), label))
    return table


def phone_targets(phones, words):
    """Tokens with start and end in seconds: the last phone inside a word's span takes its word-final form."""
    spoken = [(s, e, p) for s, e, p in phones if p in TOKEN_ID]
    out, i = [], 0
    for ws, we, _ in words:
        inside = []
        while i < len(spoken) and (spoken[i][0] + spoken[i][1]) / 2 < we:
            if (spoken[i][0] + spoken[i][1]) / 2 >= ws:
                inside.append(spoken[i])
            i += 1
        for n, (s, e, p) in enumerate(inside):
            out.append((TOKEN_ID[p + "_E" if n + 1 == len(inside) else p], s, e))
    return out


def shard_features(shard: Path):
    torch.set_num_threads(1)
    extract = LogMel()
    out = {}
    with tarfile.open(shard) as tar:
        for member in tar:
            if not member.isfile():
                continue
            samples, rate = soundfile.read(io.BytesIO(tar.extractfile(member).read()), dtype="float32", always_2d=True)
            if rate != extract.config.sample_rate_hz:
                raise SystemExit(f"{shard}: {member.name} has {rate} Hz, expected {extract.config.sample_rate_hz}")
            name = member.name.removesuffix(Path(member.name).suffix)
            out[name] = extract(torch.from_numpy(samples.mean(axis=1))).to(torch.float16).numpy()
    return shard.name, out


def collect(shards, workers, label):
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for name, features in progress(pool.imap(shard_features, shards), total=len(shards), label=label):
            yield name.rsplit("-", 1)[0], features


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with speech/, align/ and noise/")
    parser.add_argument("--out", type=Path, required=True, help="folder for the cache (about 2 GB)")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    rows = {(r["set"], r["id"]): r for r in read_manifest(args.data)}
    phones = read_ctm(args.data / "align" / "phones.ctm.xz")
    words = read_ctm(args.data / "align" / "words.ctm.xz")
    scores = {}
    with lzma.open(args.data / "align" / "scores.tsv.xz", "rt", encoding="utf-8") as f:
        next(f)
        for line in f:
            set_name, utt, score, _ = line.rstrip("\n").split("\t")
            scores[set_name, utt] = float(score) if score else None

    tokens, starts, ends, utterances = [], [], [], []
    mel = FeatureConfig().num_mel_bins
    total, sums, squares = 0, np.zeros(mel), np.zeros(mel)
    stats_frames = 0
    with open(args.out / "features.f16", "wb") as f:
        for set_name, features in collect(sorted((args.data / "speech").glob("*.tar")), args.workers, "speech"):
            for name, frames in features.items():
                row = rows.get((set_name, name))
                if row is None or len(frames) == 0:
                    continue
                key = f"{set_name}/{name}"
                targets = phone_targets(phones.get(key, []), words.get(key, []))
                utterances.append({
                    "id": name, "set": set_name, "split": row["split"], "speaker": row["speaker"], "text": row["text"],
                    "frame": total, "frames": len(frames), "token": len(tokens), "tokens": len(targets),
                    "score": scores.get((set_name, name)),
                })
                for token, start, end in targets:
                    tokens.append(token), starts.append(start), ends.append(end)
                frames.tofile(f)
                total += len(frames)
                if row["split"] == "train":
                    x = frames.astype(np.float64)
                    sums += x.sum(axis=0)
                    squares += np.square(x).sum(axis=0)
                    stats_frames += len(frames)
    with open(args.out / "noise.f16", "wb") as f:
        for _, features in collect(sorted((args.data / "noise").glob("*.tar")), args.workers, "noise"):
            for frames in features.values():
                frames.tofile(f)
    mean = sums / stats_frames
    std = np.sqrt(squares / stats_frames - np.square(mean))
    (args.out / "stats.json").write_text(json.dumps({"mean": mean.tolist(), "inv_std": (1 / std).tolist()}))
    (args.out / "tokens.txt").write_text("\n".join(TOKENS) + "\n")
    np.savez(args.out / "targets.npz", token=np.array(tokens, np.int16), start=np.array(starts, np.float32), end=np.array(ends, np.float32))
    with open(args.out / "utterances.jsonl", "w", encoding="utf-8") as f:
        for u in utterances:
            f.write(json.dumps(u) + "\n")
    print(f"{len(utterances)} utterances, {total / 360000:.2f} h, {len(tokens)} tokens")


if __name__ == "__main__":
    main()
