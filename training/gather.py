"""Stage `gather`: speech as people have it -> the folder of tar shards that the other stages read.

Layouts: LibriSpeech folders (`SPEAKER/CHAPTER/*.trans.txt` beside FLAC), Common Voice (`train.tsv`, `dev.tsv`, ... beside `clips/`), Kaldi data
directories (`wav.scp`, `text`, and `segments` and `utt2spk` where they are there; commands in wav.scp are not run), NeMo JSONL manifests
(`audio_filepath`, `text`, optional `offset`, `duration`, `speaker`). Writes OUT/speech/SET-NN.tar (16 kHz mono FLAC) and adds to
OUT/speech/manifest.tsv. Texts are normalised; utterances whose text holds digits, is empty, or whose length is out of range are left out.
"""

import argparse
import csv
import io
import json
import math
import multiprocessing
import re
import sys
import tarfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from progress import progress

RATE_HZ = 16000
COLUMNS = ("id", "set", "split", "speaker", "seconds", "text", "raw_text")
DASHES = re.compile("[-\u2010-\u2015\u2212]")
APOSTROPHES = re.compile("[\u2018\u2019\u02bc`\u00b4]")


@dataclass(frozen=True)
class Clip:
    id: str
    speaker: str
    path: Path
    text: str  # as published
    start_s: float = 0.0
    seconds: float | None = None  # None: to the end of the file


def normalise(text):
    """Lower case a-z and apostrophes beside letters; None where digits or foreign letters would have to be guessed."""
    text = APOSTROPHES.sub("'", DASHES.sub(" ", text)).lower()
    if any(c.isdigit() or (c.isalpha() and not "a" <= c <= "z") for c in text):
        return None
    text = re.sub(r"(?<![a-z])'(?![a-z])", " ", re.sub(r"[^a-z']", " ", text))
    return " ".join(text.split())


def librispeech(folder):
    for list_file in sorted(folder.rglob("*.trans.txt")):
        for line in list_file.read_text(encoding="utf-8").splitlines():
            name, _, text = line.partition(" ")
            yield Clip(name, name.split("-")[0], list_file.parent / f"{name}.flac", text)


def common_voice(table):
    folder = table.parent / "clips"
    with open(table, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield Clip(Path(row["path"]).stem, row.get("client_id", "")[:16], folder / row["path"], row["sentence"])


def kaldi(folder):
    def table(name):
        if not (folder / name).exists():
            return {}
        return dict(line.partition(" ")[::2] for line in (folder / name).read_text(encoding="utf-8").splitlines() if line.strip())

    recordings, texts, speakers, segments = (table(name) for name in ("wav.scp", "text", "utt2spk", "segments"))
    piped = [r for r, path in recordings.items() if path.rstrip().endswith("|")]
    if piped:
        raise SystemExit(f"{folder}/wav.scp: {len(piped)} entries are commands ({piped[0]} ...); write the audio to files first")
    for name, text in texts.items():
        if segments:
            if name in segments:
                recording, start, end = segments[name].split()
                yield Clip(name, speakers.get(name, ""), Path(recordings[recording].strip()), text, float(start), float(end) - float(start))
        elif name in recordings:
            yield Clip(name, speakers.get(name, ""), Path(recordings[name].strip()), text)


def nemo(manifest):
    with open(manifest, encoding="utf-8") as file:
        for number, line in enumerate(file):
            if line.strip():
                row = json.loads(line)
                path = Path(row["audio_filepath"])
                name = row.get("id") or f"{path.stem}-{number}"
                yield Clip(name, str(row.get("speaker", "")), path if path.is_absolute() else manifest.parent / path, row["text"],
                           float(row.get("offset", 0.0)), row.get("duration"))


READERS = {"librispeech": librispeech, "common-voice": common_voice, "kaldi": kaldi, "nemo": nemo}


def sound(clip):
    """16 kHz mono samples of a clip, or the reason why there are none."""
    try:
        with soundfile.SoundFile(clip.path) as file:
            file.seek(int(clip.start_s * file.samplerate))
            x = file.read(-1 if clip.seconds is None else int(math.ceil(clip.seconds * file.samplerate)), dtype="float32", always_2d=True)
            rate = file.samplerate
    except (OSError, soundfile.LibsndfileError) as error:
        return f"{clip.path}: {error}"
    x = x.mean(axis=1)
    return x if rate == RATE_HZ else soxr.resample(x, rate, RATE_HZ)


def write_shard(task):
    """(shard, clips with normalised texts, least and most seconds) -> (manifest rows, reasons for what was left out)."""
    shard, clips, low, high = task
    rows, left_out = [], []
    partial = shard.with_suffix(".partial")
    with tarfile.open(partial, "w") as tar:
        for clip, text in clips:
            x = sound(clip)
            if isinstance(x, str):
                left_out.append(("unreadable", x))
                continue
            seconds = len(x) / RATE_HZ
            if not low <= seconds <= high:
                left_out.append(("length", f"{clip.id}: {seconds:.1f} s"))
                continue
            data = io.BytesIO()
            soundfile.write(data, np.clip(x, -1, 1), RATE_HZ, format="FLAC", subtype="PCM_16")
            info = tarfile.TarInfo(f"{clip.id}.flac")
            info.size = data.getbuffer().nbytes
            data.seek(0)
            tar.addfile(info, data)
            rows.append((clip.id, clip.speaker, f"{seconds:.2f}", text, " ".join(clip.text.split())))
    partial.replace(shard)
    return rows, left_out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layout", choices=READERS)
    parser.add_argument("source", type=Path, help="LibriSpeech folder, Common Voice .tsv, Kaldi data directory or NeMo manifest")
    parser.add_argument("--out", type=Path, required=True, help="folder whose speech/ is made or added to")
    parser.add_argument("--set", required=True, help="name of this set of recordings")
    parser.add_argument("--split", choices=["train", "dev"], default="train")
    parser.add_argument("--least-s", type=float, default=0.3)
    parser.add_argument("--most-s", type=float, default=24.0)
    parser.add_argument("--shard-clips", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    if not args.source.exists():
        raise SystemExit(f"{args.source}: no such file or folder")
    speech = args.out / "speech"
    speech.mkdir(parents=True, exist_ok=True)
    prefix = f"{args.set}-{args.split}" if args.split == "dev" else args.set
    if list(speech.glob(f"{prefix}-[0-9]*.tar")):
        raise SystemExit(f"{speech}: there are shards of {prefix} already; remove them or choose another --set")
    left_out, clips, seen = Counter(), [], set()
    for clip in READERS[args.layout](args.source):
        text = normalise(clip.text)
        if not text or clip.id in seen:
            left_out["text" if not text else "same id"] += 1
        else:
            seen.add(clip.id)
            clips.append((clip, text))
    if not clips:
        raise SystemExit(f"{args.source}: no utterance of the layout {args.layout} found")
    tasks = [(speech / f"{prefix}-{i // args.shard_clips:04d}.tar", clips[i : i + args.shard_clips], args.least_s, args.most_s)
             for i in range(0, len(clips), args.shard_clips)]
    manifest, seconds, kept = speech / "manifest.tsv", 0.0, 0
    new = not manifest.exists()
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool, open(manifest, "a", encoding="utf-8", newline="\n") as file:
        if new:
            file.write("\t".join(COLUMNS) + "\n")
        for rows, lost in progress(pool.imap(write_shard, tasks), total=len(tasks), label="gather"):
            for name, speaker, length, text, raw in rows:
                file.write("\t".join((name, prefix, args.split, speaker, length, text, raw)) + "\n")
                seconds, kept = seconds + float(length), kept + 1
            for kind, reason in lost:
                left_out[kind] += 1
                print(f"left out: {reason}", file=sys.stderr)
    print(f"{prefix}: {kept} utterances, {seconds / 3600:.2f} h; left out: " + (", ".join(f"{n} for {k}" for k, n in left_out.items()) or "none"))


if __name__ == "__main__":
    main()
