"""Does recognition decay over a long recording? Dev clips one by one against the same clips joined to one file, with and without pauses.

Prints a table: word error rate (jiwer) of the clips and of the joined file, peak memory of the program on either, the joined file's
rate in its first and last third.
"""

import argparse
import io
import json
import random
import resource
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import jiwer
import numpy as np
import soundfile

from gather import normalise
from prepare import read_manifest
from progress import progress

RATE_HZ = 16000


def dev_clips(speech, set_name, seconds, seed, limit=None):
    """[(text, samples)] of a dev set in random order: `limit` of them, or about `seconds` in all, from the start again where the set is shorter."""
    rows = {r["id"]: r["text"] for r in read_manifest(speech.parent) if r["split"] == "dev" and r["set"] == set_name and r["text"]}
    clips = []
    for shard in sorted(speech.glob(f"{set_name}-[0-9]*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                name = member.name.removesuffix(Path(member.name).suffix)
                if name in rows:
                    x, _ = soundfile.read(io.BytesIO(tar.extractfile(member).read()), dtype="float32", always_2d=True)
                    clips.append((rows[name], x.mean(axis=1)))
    if not clips:
        raise SystemExit(f"{speech}: no dev utterance of {set_name}")
    random.Random(seed).shuffle(clips)
    if limit:
        return clips[:limit]
    out, total = [], 0.0
    while total < seconds:
        out.append(clips[len(out) % len(clips)])
        total += len(out[-1][1]) / RATE_HZ
    return out


def transcribe(args, paths):
    """Texts of the files, and the peak memory in MB of all runs of the program so far."""
    command = [str(args.binary), "transcribe", "--json", *(["--model", str(args.model)] if args.model else []), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    texts = [json.loads(line)["text"] for line in done.stdout.splitlines() if line.strip()]
    if len(texts) != len(paths):
        raise SystemExit(f"{args.binary} gave {len(texts)} results for {len(paths)} files")
    return [normalise(t) for t in texts], resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def thirds(reference, hypothesis):
    """Word error rate in per cent of the first and last third of the reference, through one alignment of the whole."""
    result = jiwer.process_words(reference, hypothesis)
    words = len(result.references[0])
    errors = np.zeros(words + 1)
    for chunk in result.alignments[0]:
        if chunk.type == "insert":
            errors[chunk.ref_start_idx] += chunk.hyp_end_idx - chunk.hyp_start_idx
        elif chunk.type != "equal":
            errors[chunk.ref_start_idx : chunk.ref_end_idx] += 1
    third = words // 3
    return 100 * errors[:third].sum() / third, 100 * errors[-third - 1 :].sum() / third


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True, help="folder with manifest.tsv and tar shards")
    parser.add_argument("--binary", type=Path, default=Path("target/release/vivavoce"))
    parser.add_argument("--model", type=Path, help="model folder (default: the one inside the program)")
    parser.add_argument("--set", default="librispeech_mini")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--pause-s", type=float, action="append", help="silence between clips (may be repeated; default: 0 and 1)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    clips = dev_clips(args.speech, args.set, args.minutes * 60, args.seed)
    with tempfile.TemporaryDirectory() as work:
        paths = []
        for i, (_, x) in enumerate(clips):
            paths.append(Path(work) / f"{i}.wav")
            soundfile.write(paths[-1], x, RATE_HZ, subtype="PCM_16")
        texts, memory = [], 0.0
        for i in progress(range(0, len(paths), 20), label="clips"):
            found, memory = transcribe(args, paths[i : i + 20])
            texts += found
        references = [t for t, _ in clips]
        alone = 100 * jiwer.wer(references, texts)
        print(f"{args.set}, {len(clips)} clips, {sum(len(x) for _, x in clips) / RATE_HZ / 60:.1f} min")
        print(f"{'input':<24} {'WER %':>7} {'relative':>9} {'first third':>12} {'last third':>11} {'peak MB':>8}")
        print(f"{'clip by clip':<24} {alone:>7.2f} {'':>9} {'':>12} {'':>11} {memory:>8.0f}", flush=True)
        for pause in args.pause_s or (0.0, 1.0):
            silence = np.random.default_rng(1).normal(0, 1e-4, int(pause * RATE_HZ)).astype(np.float32)
            joined = Path(work) / "joined.wav"
            soundfile.write(joined, np.concatenate([part for _, x in clips for part in (x, silence)]), RATE_HZ, subtype="PCM_16")
            (text,), memory = transcribe(args, [joined])
            rate = 100 * jiwer.wer(" ".join(references), text)
            first, last = thirds(" ".join(references), text)
            label = f"one file, {pause:g} s pauses"
            print(f"{label:<24} {rate:>7.2f} {100 * (rate / alone - 1):>+8.1f}% {first:>12.2f} {last:>11.2f} {memory:>8.0f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
