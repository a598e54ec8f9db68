"""Hours of life for a pipe and for a batch, by the clock: whether memory, file handles and threads stay, and every word is what it should be.

    python benches/soak.py target/release/vivavoce MINUTES

`listen -` hears the audio samples one after the other, with pauses of up to three seconds, at the pace of speech; all it wrote must be what it writes of the same
bytes at once. Beside it, `transcribe` goes through thousands of copies of the samples (links) and works one second of five, so that it lasts as long; every text
must be that of its sample. Prints a line a minute; ends with 1 if a text differs, or memory (by more than 2 %), handles or threads grow after the first fifth.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import wave
from pathlib import Path

from held import Held

ROOT = Path(__file__).parents[1]
PROGRAM, MINUTES = sys.argv[1], float(sys.argv[2])
RATE_HZ = 16000
LISTEN = [PROGRAM, "listen", "-", "--format", "s16le", "--rate", str(RATE_HZ), "--json"]
COPIES = 300  # a minute, of those that one second of five can do


def sounds():
    """The samples at 16 kHz by name, as bytes."""
    out = {}
    for path in sorted((ROOT / "audio-samples").glob("*-int16-16000-mono.wav")):
        with wave.open(str(path)) as clip:
            out[path] = clip.readframes(clip.getnframes())
    return out


def talk(clips, seed=1):
    """Endless speech, in pieces of a fifth of a second."""
    rng, rest, size = random.Random(seed), b"", RATE_HZ * 2 // 5
    while True:
        rest += rng.choice(clips) + bytes(2 * int(RATE_HZ * 3 * rng.random()))
        while len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]


def feed(pipe, clips, begin, heard):
    """Speaks for `MINUTES` from `begin` on; what it has said goes to `heard` too."""
    for number, piece in enumerate(talk(clips)):
        due = begin + number / 5
        if due > begin + 60 * MINUTES:
            break
        time.sleep(max(0.0, due - time.monotonic()))
        pipe.write(piece)
        pipe.flush()
        heard.append(piece)
    pipe.close()


def main():
    clips = sounds()
    texts = {path: subprocess.run([PROGRAM, "transcribe", str(path)], check=True, capture_output=True, text=True).stdout for path in clips}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "in").mkdir()
        names = list(clips)
        for i in range(int(COPIES * MINUTES)):
            (folder / "in" / f"{i:06}.wav").symlink_to(names[i % len(names)])
        command = [PROGRAM, "transcribe", str(folder / "in"), "--output-dir", str(folder / "out"), "--jobs", "1"]
        batch = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=(folder / "said").open("w"))
        written = (folder / "written").open("w")
        pipe = subprocess.Popen(LISTEN, stdin=subprocess.PIPE, stdout=written, stderr=subprocess.DEVNULL)
        begin, heard = time.monotonic(), []
        feeding = threading.Thread(target=feed, args=(pipe.stdin, list(clips.values()), begin, heard), daemon=True)
        feeding.start()
        held = {pipe: Held("pipe", pipe.pid), batch: Held("batch", batch.pid)}
        second = 0
        while (passed := time.monotonic() - begin) < 60 * MINUTES:
            if batch.poll() is None:
                os.kill(batch.pid, signal.SIGCONT if second % 5 == 0 else signal.SIGSTOP)
            if second % 10 == 5:
                said = [held[process].look(passed) for process in held if process.poll() is None]
                if second % 60 == 5:
                    print(f"{passed / 60:5.1f} min  {'; '.join(said)}; {len(list((folder / 'out').glob('*')))} texts", flush=True)
            second += 1
            time.sleep(max(0.0, begin + second - time.monotonic()))
        feeding.join()
        code = pipe.wait(60)
        if batch.poll() is None:
            os.kill(batch.pid, signal.SIGCONT)
            batch.send_signal(signal.SIGINT)
        batch.wait(60)
        done = sorted((folder / "out").glob("*.txt"))
        wrong = [path.name for path in done if path.read_text() != texts[names[int(path.stem) % len(names)]]]
        at_once = subprocess.run(LISTEN, input=b"".join(heard), check=True, capture_output=True).stdout.decode().splitlines()
        live = (folder / "written").read_text().splitlines()
        equal = live == at_once
        print(f"pipe: {len(heard) / 300:.1f} minutes of sound, {len(live)} lines, {'equal to' if equal else 'DIFFERENT from'} those of the same sound at once; exit {code}")
        print(f"batch: {len(done)} texts, {len(wrong)} wrong {wrong[:5]}; exit {batch.returncode}")
        flat = all([one.flat(60 * MINUTES) for one in held.values()])
        return 0 if flat and equal and not wrong and not code and done and live else 1


sys.exit(main())
