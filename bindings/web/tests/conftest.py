"""The demo on a server of its own, and the browser of tests/clients. VIVAVOCE names the program, which must say the same."""

import os
import subprocess
import sys
import threading
import wave
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SITE = ROOT / "bindings/web/site"
CLIPS = ROOT / "audio-samples"
PROGRAM = Path(os.environ.get("VIVAVOCE", ROOT / "target/debug/vivavoce")).resolve()
sys.path.insert(0, str(ROOT / "tests/clients"))


def transcribed(path):
    """The program's words."""
    command = [str(PROGRAM), "transcribe", "--format", "txt", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


class Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


class Site:
    """A web server that knows nothing but files."""

    def __init__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def site():
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    """A clip, at the rate of the sound card, between two silences."""
    path = tmp_path_factory.mktemp("sound") / "microphone.wav"
    with wave.open(str(CLIPS / "garden-int16-48000-mono.wav")) as clip:
        sound = clip.readframes(clip.getnframes())
    with wave.open(str(path), "wb") as whole:
        whole.setnchannels(1), whole.setsampwidth(2), whole.setframerate(48_000)
        whole.writeframes(bytes(192_000) + sound + bytes(96_000))
    return path
