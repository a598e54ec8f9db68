"""From the end of a spoken word to its line on the pipe of `vivavoce listen -`, in real time.

python benches/pipe_latency.py target/release/vivavoce FILE.wav... [--times FILE.ctm] [--model DIR]

Files are 16-bit mono at 16 kHz with their text beside them (.txt). They are written in chunks of 20 ms at the moments when they would
have been spoken, with pauses between, once for each latency mode. A word counts if it is right; its time is the moment since which it
stands in the lines. Ends of words come from `vivavoce align`, exact to a block, or from a CTM file of another aligner.
"""

import argparse
import difflib
import json
import pathlib
import statistics
import subprocess
import threading
import time
import wave

RATE_HZ = 16000
CHUNK = RATE_HZ // 50
LEAD_S = 3.0
PAUSE_S = 2.0


def samples_of(path):
    with wave.open(str(path)) as wav:
        kind = (wav.getframerate(), wav.getnchannels(), wav.getsampwidth())
        if kind != (RATE_HZ, 1, 2):
            raise SystemExit(f"{path}: {kind} is not 16 kHz, mono, 16 bits; convert it first")
        return wav.readframes(wav.getnframes())


def words_of(ctm):
    """(end in s, word) by name of the file."""
    words = {}
    for line in ctm.splitlines():
        name, _, start, length, word = line.split()[:5]
        stem = pathlib.Path(name).stem
        words.setdefault(stem, []).append((float(start) + float(length), word.lower()))
    return words


def stream_of(files, words):
    """The audio of all files with pauses, and (end in s, word) of every word in it."""
    audio, spoken = bytearray(2 * int(LEAD_S * RATE_HZ)), []
    for path in files:
        start_s = len(audio) / 2 / RATE_HZ
        spoken += [(start_s + end_s, word) for end_s, word in words.get(path.stem, [])]
        audio += samples_of(path) + bytes(2 * int(PAUSE_S * RATE_HZ))
    return bytes(audio), spoken


def heard(command, audio):
    """Lines of the program with the time since the first sample was written."""
    lines = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        start = time.monotonic()

        def read():
            for line in child.stdout:
                lines.append((time.monotonic() - start, json.loads(line)))

        reader = threading.Thread(target=read)
        reader.start()
        for at in range(0, len(audio), 2 * CHUNK):
            chunk = audio[at : at + 2 * CHUNK]
            spoken_s = (at + len(chunk)) / 2 / RATE_HZ
            time.sleep(max(0.0, start + spoken_s - time.monotonic()))
            child.stdin.write(chunk)
            child.stdin.flush()
        child.stdin.close()
        reader.join()
    return lines


def shown(lines):
    """(moment since which it stands, word) of every word of the final results."""
    result, since = [], []
    for at, line in lines:
        text = line.get("text", line.get("partial", "")).split()
        same = 0
        while same < min(len(text), len(since)) and text[same] == since[same][1]:
            same += 1
        since = since[:same] + [(at, word) for word in text[same:]]
        if "text" in line:
            result += since
            since = []
    return result


def delays(spoken, written):
    matcher = difflib.SequenceMatcher(
        None, [word for _, word in spoken], [word for _, word in written], autojunk=False
    )
    return sorted(
        written[b + i][0] - spoken[a + i][0]
        for a, b, size in matcher.get_matching_blocks()
        for i in range(size)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--times", type=pathlib.Path, help="ends of words, a CTM file")
    parser.add_argument("--model", help="a model folder")
    parser.add_argument("--modes", default="low,balanced,accurate")
    arguments = parser.parse_args()
    model = ["--model", arguments.model] if arguments.model else []
    if arguments.times:
        ctm = arguments.times.read_text()
    else:
        align = [arguments.binary, "align", *model, *map(str, arguments.files)]
        ctm = subprocess.run(align, stdout=subprocess.PIPE, text=True, check=False).stdout
    audio, spoken = stream_of(arguments.files, words_of(ctm))
    for mode in arguments.modes.split(","):
        command = [arguments.binary, "listen", "-", "--latency", mode, *model]
        waits = delays(spoken, shown(heard(command, audio)))
        if len(waits) < 2:
            print(f"{mode:9} no word was right")
            continue
        deciles = statistics.quantiles(waits, n=10)
        share = len(waits) / len(spoken)
        print(
            f"{mode:9} p50 {1000 * deciles[4]:4.0f} ms  p90 {1000 * deciles[8]:4.0f} ms  "
            f"{len(waits)} words, {share:.0%} of all"
        )


if __name__ == "__main__":
    main()
