"""Whether the text of every protocol is that of `vivavoce transcribe`, for pieces of any size, unpaced and at the pace of speech.

    python benches/serve_grid.py target/release/vivavoce [FILE.wav...]
    SIZES=333,8000 python benches/serve_grid.py target/release/vivavoce audio-samples/story-int16-16000-mono.wav

Files have one channel of 16 bits at 16 kHz. Needs tests/clients/requirements.txt. Prints a line a protocol and pace; ends with 1 if a text differs."""

import asyncio
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
os.environ["VIVAVOCE"] = sys.argv[1]
sys.path.insert(0, str(ROOT / "tests/clients"))

from conftest import samples, started, transcribed  # noqa: E402
from speak import PROTOCOLS, RATE  # noqa: E402

FILES = ["harbour-int16-16000-mono.wav", "edges-int16-16000-mono.wav", "road-noise-int16-16000-mono.wav"]
SIZES = [int(size) for size in os.environ.get("SIZES", "").split(",") if size] or [1, 2, 3, 7, 64, 333, 1000, 1024, 3200, 4096, 8000, 16_000, 65_536, 262_144, 1_048_576]
# More messages than these cost the client more time than the audio lasts, or a minute.
PACED_MESSAGES_A_SECOND = 200
UNPACED_MESSAGES = 150_000


async def one(server, name, sound, size, paced):
    begin = time.monotonic()
    try:
        text = await asyncio.wait_for(PROTOCOLS[name](server, sound, size, paced), 600)
    except Exception as error:  # noqa: BLE001
        text = f"{type(error).__name__}: {error}"
    return text, time.monotonic() - begin


async def main():
    paths = [Path(path) for path in sys.argv[2:]] or [ROOT / "audio-samples" / name for name in FILES]
    sounds = {path: (samples(path), transcribed(path)) for path in paths}
    process, server = started("--max-streams", "1000", "--max-seconds", "100000")
    wrong = 0
    try:
        for paced in (False, True):
            for name in PROTOCOLS:
                tries = []
                for path, (sound, expected) in sounds.items():
                    most = PACED_MESSAGES_A_SECOND * len(sound) / (2 * RATE) if paced else UNPACED_MESSAGES
                    tries += [(path, size, expected, sound) for size in SIZES if len(sound) / size <= most]
                if paced:
                    said = await asyncio.gather(*(one(server, name, sound, size, True) for _, size, _, sound in tries))
                else:
                    said = [await one(server, name, sound, size, False) for _, size, _, sound in tries]
                differ = [(t, text) for t, (text, _) in zip(tries, said) if text != t[2]]
                wrong += len(differ)
                pace = "paced" if paced else "unpaced"
                sizes = sorted({size for _, size, _, _ in tries})
                print(f"{name:14} {pace:8} {len(tries):3} texts, pieces of {sizes[0]} to {sizes[-1]} bytes, {len(differ)} differ, longest {max(s for _, s in said):.1f} s", flush=True)
                for (path, size, expected, _), text in differ:
                    print(f"  {path.name}, {size} bytes\n    expected {expected}\n    heard    {text}", flush=True)
    finally:
        process.terminate()
        process.wait(30)
    print(f"{wrong} differ")
    return 1 if wrong else 0


sys.exit(asyncio.run(main()))
