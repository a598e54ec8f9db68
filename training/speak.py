"""Stage `speak`: synthetic speech from sentences, by flite and espeak-ng, as a NeMo manifest for `gather`.

Sentences are drawn from a file of one sentence a line; voices, and espeak-ng's speed and pitch, change with every one. Then:
`gather.py nemo OUT/manifest.jsonl --out DATA --set spoken`, and a small weight for the set in the recipe file.
"""

import argparse
import json
import lzma
import multiprocessing
import random
import shutil
import subprocess
from pathlib import Path

import soundfile

from progress import progress

FLITE = ("slt", "rms", "awb", "kal16")
ESPEAK = ("en-us", "en-gb", "en-gb-scotland", "en-029")


def commands(voice, text, path, rng):
    if voice in FLITE:
        return ["flite", "-voice", voice, "-t", text, "-o", str(path)]
    return ["espeak-ng", "-v", voice, "-s", str(rng.randint(130, 190)), "-p", str(rng.randint(20, 80)), "-w", str(path), "--", text]


def say(task):
    """(path, voice, text, seed) -> manifest line, or None where the voice fails."""
    path, voice, text, seed = task
    done = subprocess.run(commands(voice, text, path, random.Random(seed)), capture_output=True)
    if done.returncode or not path.exists():
        return None
    info = soundfile.info(path)
    if info.frames == 0:
        return None
    return {"id": path.stem, "audio_filepath": path.name, "text": text, "speaker": voice, "duration": round(info.frames / info.samplerate, 3)}


def sentences(path, count, least, most, rng):
    """`count` sentences of `least` to `most` words, drawn without repetition."""
    with (lzma.open if path.suffix == ".xz" else open)(path, "rt", encoding="utf-8") as file:
        lines = sorted({line.strip() for line in file if least <= len(line.split()) <= most})
    return rng.sample(lines, min(count, len(lines)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="sentences, one a line (.txt or .txt.xz)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the WAV files and manifest.jsonl")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--least-words", type=int, default=3)
    parser.add_argument("--most-words", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    voices = [v for program, names in (("flite", FLITE), ("espeak-ng", ESPEAK)) if shutil.which(program) for v in names]
    if not voices:
        raise SystemExit("neither flite nor espeak-ng is installed (Debian: apt install flite espeak-ng)")
    rng = random.Random(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    tasks = [(args.out / f"spoken-{args.seed}-{i:06}.wav", rng.choice(voices), text, rng.random())
             for i, text in enumerate(sentences(args.text, args.count, args.least_words, args.most_words, rng))]
    if not tasks:
        raise SystemExit(f"{args.text}: no sentence of {args.least_words} to {args.most_words} words")
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        rows = [row for row in progress(pool.imap(say, tasks), total=len(tasks), label="speak") if row]
    with open(args.out / "manifest.jsonl", "w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    print(f"{len(rows)} of {len(tasks)} sentences, {sum(r['duration'] for r in rows) / 3600:.3f} h, {len({r['speaker'] for r in rows})} voices")


if __name__ == "__main__":
    main()
