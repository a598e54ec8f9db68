"""How well whole commands are found by a grammar, how soon, and how often other speech is taken for one.

Thirty commands for a home, spoken by flite and espeak-ng, clean and with noise: the share that is right by number of words, and the time from
the end of a command's sound to its result. Then the prompts of dev sets as a grammar, said by the people who said them; and dev speech that is
no command: false alarms an hour.

    python training/command_test.py --data DATA [--binary target/release/vivavoce]
"""

import argparse
import collections
import io
import json
import random
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

from gather import normalise
from lexicon import read_manifest

RATE_HZ = 16000
COMMANDS = """turn on the kitchen lights
turn off the kitchen lights
turn on the living room lights
turn off the living room lights
turn on the bedroom lights
turn off the bedroom lights
dim the lights
all lights off
open the garage door
close the garage door
open the blinds
close the blinds
lock the front door
unlock the front door
set temperature to twenty degrees
set temperature to twenty two degrees
make it warmer
make it colder
play music
stop the music
pause
next song
louder
quieter
what time is it
set a timer for five minutes
set a timer for ten minutes
cancel the timer
start the vacuum cleaner
good night""".splitlines()
VOICES = ("slt", "rms", "awb", "espeak")
BEFORE_S, AFTER_S = 1.0, 2.5


def spoken(voice, text, folder):
    """Samples of `text`, without silence around them."""
    path = Path(folder) / "said.wav"
    command = ["espeak-ng", "-s", "150", "-w", str(path), "--", text] if voice == "espeak" else ["flite", "-voice", voice, "-t", text, "-o", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    x, rate = soundfile.read(path, dtype="float32")
    x = soxr.resample(x, rate, RATE_HZ)
    loud = np.flatnonzero(np.abs(x) > 0.02 * np.abs(x).max())
    return x[loud[0] : loud[-1] + 1] / np.abs(x).max() * 0.5


def noises(data, rng):
    """Recordings of noise of four seconds and more."""
    found = []
    with tarfile.open(data / "noise" / "noise-00.tar") as tar:
        for member in tar:
            if len(found) == 60:
                break
            x, rate = soundfile.read(io.BytesIO(tar.extractfile(member).read()), dtype="float32", always_2d=True)
            x = soxr.resample(x.mean(axis=1), rate, RATE_HZ)
            if len(x) > 4 * RATE_HZ and np.mean(x**2) > 1e-6:
                found.append(x)
    rng.shuffle(found)
    return found


def heard(args, grammar, x):
    """[(text, time of the result)] of a stream."""
    data = (np.clip(x, -1, 1) * 32767).astype("<i2").tobytes()
    command = [str(args.binary), "listen", "-", "--format", "s16le", "--json", "--no-status", "--grammar", str(grammar)]
    told = subprocess.run(command, input=data, check=True, capture_output=True).stdout
    finals = [e for e in map(json.loads, told.splitlines()) if "result" in e]
    return [(e["text"], e["time"]) for e in finals if e["text"]]


def commands(args, folder, rng):
    grammar = Path(folder) / "commands.txt"
    grammar.write_text("\n".join(COMMANDS) + "\n")
    background = noises(args.data, rng)
    waits = []
    for noisy in (False, True):
        right, total, wrong = collections.Counter(), collections.Counter(), []
        for text in COMMANDS:
            for voice in VOICES:
                said = spoken(voice, text, folder)
                x = np.concatenate([np.zeros(int(BEFORE_S * RATE_HZ)), said, np.zeros(int(AFTER_S * RATE_HZ))]).astype(np.float32)
                if noisy:
                    noise = np.resize(rng.choice(background), len(x))
                    x = x + noise * np.sqrt(np.mean(said**2) / np.mean(noise**2)) * 10 ** (-args.snr_db / 20)
                else:
                    x = x + np.random.default_rng(1).normal(0, 1e-4, len(x)).astype(np.float32)
                found = heard(args, grammar, x)
                words = len(text.split())
                total[words] += 1
                if [t for t, _ in found] == [text]:
                    right[words] += 1
                    waits.append(found[0][1] - BEFORE_S - len(said) / RATE_HZ)
                else:
                    wrong.append((voice, text, [t for t, _ in found]))
        name = f"noise at {args.snr_db} dB" if noisy else "clean"
        lengths = ", ".join(f"{right[n]}/{total[n]} of {n}" for n in sorted(total))
        print(f"{name}: {sum(right.values())} of {sum(total.values())} right; by words: {lengths}", flush=True)
        for row in wrong:
            print("  not", *row)
    print("seconds from the end of a command to its result: p50 {:.2f}, p90 {:.2f}, most {:.2f}".format(*np.percentile(waits, [50, 90, 100])), flush=True)
    return grammar


def shown(args, grammar, sets, limit):
    """[(set and id, reference, hypothesis)] of dev clips."""
    command = [str(args.binary), "evaluate", str(args.data / "speech"), "--show", "--jobs", "1", "--grammar", str(grammar), *(["--limit", str(limit)] if limit else [])]
    for name in sets:
        command += ["--set", name]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    return re.findall(r"^(\S.*)\n  ref (.*)\n  hyp ?(.*)$", text, re.M)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=Path("target/release/vivavoce"))
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/ and noise/")
    parser.add_argument("--sets", nargs="*", default=["librispeech_mini", "commonvoice_v1", "commonvoice_delta13", "speechocean762"])
    parser.add_argument("--prompts", type=int, default=100, help="dev clips of each set whose prompts are a grammar")
    parser.add_argument("--others", type=int, help="dev clips of each set that are no commands (default: all)")
    parser.add_argument("--snr-db", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        grammar = commands(args, folder, rng)
        texts = collections.defaultdict(list)
        for name, _, split, text in read_manifest(args.data):
            if split == "dev" and name in args.sets and text:
                texts[name].append(text)
        for name in args.sets:
            prompts = Path(folder) / "prompts.txt"
            prompts.write_text("\n".join(sorted(set(texts[name]))) + "\n")
            rows = shown(args, prompts, [name], args.prompts)
            right = sum(normalise(r) == normalise(h) for _, r, h in rows)
            print(f"{name}, its {len(set(texts[name]))} prompts as a grammar: {right} of {len(rows)} clips right ({100 * right / len(rows):.1f} %)", flush=True)
        rows = shown(args, grammar, args.sets, args.others)
        alarms = [(r, h) for _, r, h in rows if h not in ("", "unk") and h != r]
        silent = sum(not h for _, _, h in rows)
        print(f"other speech: {len(alarms)} of {len(rows)} utterances taken for a command, {silent} for silence: {alarms}", flush=True)


if __name__ == "__main__":
    main()
