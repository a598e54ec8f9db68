"""A server for all tests, and the words that every way must give.

VIVAVOCE names the program (default: target/debug/vivavoce)."""

import json
import os
import subprocess
import threading
import wave
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = str(Path(os.environ.get("VIVAVOCE", ROOT / "target" / "debug" / "vivavoce")).resolve())
CLIP = ROOT / "audio-samples/harbour-int16-16000-mono.wav"


def started(*more, before=()):
    """A server on ports of its own: the process, and where it listens. `before`: what its command begins with."""
    arguments = ["--listen", "127.0.0.1:0", "--wyoming", "0", "--log-format", "json", *more]
    process = subprocess.Popen([*before, PROGRAM, "serve", *arguments], stderr=subprocess.PIPE, text=True)
    found = {}
    while len(found) < 2:
        fields = json.loads(process.stderr.readline())["fields"]
        found |= {name: fields[name] for name in ("address", "wyoming") if name in fields}
    threading.Thread(target=lambda: [None for _ in process.stderr], daemon=True).start()
    return process, found


def transcribed(path):
    command = [PROGRAM, "transcribe", str(path), "--format", "txt"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert len(text.split()) > 5
    return " ".join(text.split())


def samples(path):
    with wave.open(str(path)) as clip:
        return clip.readframes(clip.getnframes())


@pytest.fixture(scope="session")
def server():
    process, found = started()
    yield found
    process.terminate()
    assert process.wait(30) == 0


@pytest.fixture(scope="session")
def words():
    return transcribed(CLIP)
