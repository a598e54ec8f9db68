"""CPU seconds a second of audio of pocketsphinx and of this program, the same files.

    python benches/pocketsphinx_compare.py VIVAVOCE_PROGRAM FILE.wav...

Needs pocketsphinx (its wheel holds the English model). Files: 16 kHz, mono, 16 bits. Loading is not counted for pocketsphinx and
counted here; medians of five turns.
"""

import resource
import subprocess
import sys
import time
import wave

import numpy as np
from pocketsphinx import Decoder

TURNS = 5


def read(path):
    with wave.open(path) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2), f"{path}: not 16 kHz mono 16 bits"
        return file.readframes(file.getnframes())


def main():
    program, files = sys.argv[1], sys.argv[2:]
    audio = [read(path) for path in files]
    seconds = sum(len(a) for a in audio) / 2 / 16000
    decoder = Decoder(samprate=16000, loglevel="FATAL")
    theirs, ours = [], []
    for _ in range(TURNS):
        start = time.process_time()
        for data in audio:
            decoder.start_utt()
            decoder.process_raw(data, full_utt=False)
            decoder.end_utt()
        theirs.append((time.process_time() - start) / seconds)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([program, "transcribe", *files], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / seconds)
    p, v = float(np.median(theirs)), float(np.median(ours))
    print(f"{seconds:.1f} s of audio; pocketsphinx {p:.4f}, vivavoce {v:.4f} CPU seconds a second of audio: {p / v:.1f} times less")


if __name__ == "__main__":
    main()
