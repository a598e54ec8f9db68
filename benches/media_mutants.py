"""Damages audio files and counts what is lost in silence: python3 benches/media_mutants.py --binary target/release/vivavoce (needs ffmpeg).

32 seeds (every kind of file, several encoders' settings) times 94 mutants: cut off, bits flipped, parts of the header changed, parts taken out or set
to 0. A mutant is lost in silence if the program says nothing, exits 0, and its result is shorter than the seed's by more than a tenth of a second; it
fails if the program ends in any other way than with 0 or 1, or takes more than a minute. Everything is the same in every run.
"""

import argparse
import collections
import json
import os
import random
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "audio-samples" / "clock-float32-16000-mono.wav"
MONO, STEREO = ["-ac", "1"], ["-ac", "2"]
SEEDS = [
    ("int16.wav", [*MONO, "-c:a", "pcm_s16le"]),
    ("int24.wav", [*STEREO, "-c:a", "pcm_s24le"]),
    ("float.wav", [*MONO, "-c:a", "pcm_f32le"]),
    ("double.wav", [*MONO, "-c:a", "pcm_f64le"]),
    ("alaw.wav", [*MONO, "-ar", "8000", "-c:a", "pcm_alaw"]),
    ("mulaw.wav", [*MONO, "-ar", "8000", "-c:a", "pcm_mulaw"]),
    ("long.wav", [*MONO, "-c:a", "pcm_s16le", "-rf64", "always"]),
    ("mono.flac", MONO),
    ("stereo.flac", [*STEREO, "-sample_fmt", "s32"]),
    ("flac.ogg", [*MONO, "-c:a", "flac"]),
    ("vorbis.ogg", [*MONO, "-c:a", "libvorbis"]),
    ("vorbis-stereo.ogg", [*STEREO, "-c:a", "libvorbis", "-page_duration", "100000"]),
    ("voip.opus", [*MONO, "-c:a", "libopus", "-b:a", "8k", "-application", "voip"]),
    ("pages.opus", [*MONO, "-c:a", "libopus", "-b:a", "16k", "-page_duration", "20000"]),
    ("stereo.opus", [*STEREO, "-c:a", "libopus", "-b:a", "48k"]),
    ("lowdelay.opus", [*MONO, "-c:a", "libopus", "-application", "lowdelay", "-frame_duration", "5"]),
    ("cbr.mp3", [*MONO, "-b:a", "32k"]),
    ("vbr.mp3", [*STEREO, "-q:a", "5"]),
    ("bare.mp3", [*MONO, "-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0"]),
    ("old-tag.mp3", [*MONO, "-b:a", "32k", "-write_id3v1", "1"]),
    ("mono.aac", MONO),
    ("stereo.aac", STEREO),
    ("plain.m4a", MONO),
    ("front.m4a", [*MONO, "-movflags", "+faststart"]),
    ("alac.m4a", [*MONO, "-c:a", "alac"]),
    ("fragments.mp4", [*MONO, "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov", "-frag_duration", "500000"]),
    ("opus.mp4", [*MONO, "-c:a", "libopus", "-movflags", "+faststart"]),
    ("mono.aiff", MONO),
    ("opus.webm", [*MONO, "-c:a", "libopus"]),
    ("vorbis.webm", [*MONO, "-c:a", "libvorbis"]),
    ("aac.mkv", [*MONO, "-c:a", "aac"]),
    ("flac.mka", [*MONO, "-c:a", "flac"]),
]


def mutate(data, dice):
    data = bytearray(data)
    kind = dice.choice(["cut", "flip", "header", "take", "zero"])
    at, length = dice.randrange(len(data)), dice.randint(1, 2000)
    if kind == "cut":
        del data[at:]
    elif kind == "flip":
        for _ in range(dice.randint(1, 4)):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    elif kind == "header":
        at = dice.randrange(min(len(data), 300))
        data[at] = dice.randrange(256)
    elif kind == "take":
        del data[at : at + length]
    else:
        data[at : at + length] = bytes(len(data[at : at + length]))
    return kind, bytes(data)


def run(binary, model, path):
    command = [binary, "transcribe", path, "--format", "jsonl", "--model", model]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return None, 0.0, "longer than a minute"
    line = ran.stdout.strip()
    return ran.returncode, json.loads(line)["duration"] if line else 0.0, ran.stderr.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default=str(ROOT / "target/release/vivavoce"))
    parser.add_argument("--model", default=str(ROOT / "tests/golden/plain"), help="only lengths are compared: a small one is as good")
    parser.add_argument("--mutants", type=int, default=94, help="of each seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="seeds whose names have this in them")
    arguments = parser.parse_args()
    totals, bad = collections.Counter(), 0
    print("| seed | mutants | whole | told | refused | lost in silence | failed |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(os.cpu_count()) as pool:
        for seed, encoding in SEEDS:
            if arguments.only and arguments.only not in seed:
                continue
            whole = Path(name) / seed
            subprocess.run(["ffmpeg", "-y", "-loglevel", "error", "-i", CLIP, *encoding, whole], check=True)
            code, seconds, said = run(arguments.binary, arguments.model, whole)
            if code != 0 or said:
                print(f"{seed} is no good seed: {code}: {said}")
                bad += 1
                continue
            dice, mutants, counts = random.Random(f"{arguments.seed} {seed}"), [], collections.Counter()
            for i in range(arguments.mutants):
                kind, data = mutate(whole.read_bytes(), dice)
                path = whole.with_name(f"{i}-{kind}-{seed}")
                path.write_bytes(data)
                mutants.append(path)
            results = pool.map(lambda path: run(arguments.binary, arguments.model, path), mutants)
            for path, (code, heard, said) in zip(mutants, results):
                if code not in (0, 1) or "panicked" in said:
                    outcome = "failed"
                elif code == 1:
                    outcome = "refused" if said else "failed"
                elif said:
                    outcome = "told"
                else:
                    outcome = "whole" if heard >= seconds - 0.1 else "lost"
                counts[outcome] += 1
                if outcome in ("lost", "failed"):
                    print(f"<!-- {path.name}: {code}, {heard} of {seconds} s, {said[:200]} -->")
                path.unlink()
            totals += counts
            print(f"| {seed} | {len(mutants)} | {counts['whole']} | {counts['told']} | {counts['refused']} | {counts['lost']} | {counts['failed']} |", flush=True)
    print(f"| all | {totals.total()} | {totals['whole']} | {totals['told']} | {totals['refused']} | {totals['lost']} | {totals['failed']} |")
    raise SystemExit(bool(totals["lost"] + totals["failed"] + bad))


if __name__ == "__main__":
    main()
