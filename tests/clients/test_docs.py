"""Every client in docs/server.md works as it is written there, but for the address."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import CLIP, ROOT

BLOCKS = re.findall(r"^```(python|js|sh)\n(.*?)^```", (ROOT / "docs/server.md").read_text(), re.M | re.S)
CLIENTS = [(kind, text) for kind, text in BLOCKS if "127.0.0.1:2700" in text or "10300" in text]
CLIENTS = [(kind, text) for kind, text in CLIENTS if "vivavoce " not in text]


def node_with_sockets():
    node = shutil.which("node")
    if node is None:
        return False
    flag = subprocess.run([node, "--experimental-websocket", "-e", "new WebSocket"], capture_output=True, text=True)
    return "bad option" not in flag.stderr


def test_there_is_one_for_every_protocol():
    text = "".join(text for _, text in CLIENTS)
    for word in ("/v1/audio/transcriptions", "/v1/realtime", "/v1/listen", "10300", '"eof" : 1', "OpenAI(", "DeepgramClient("):
        assert word in text, word
    assert {kind for kind, _ in CLIENTS} == {"python", "js", "sh"} and len(CLIENTS) >= 10


@pytest.mark.parametrize("number", range(len(CLIENTS)))
def test_a_client_as_it_is_written(server, words, tmp_path, number):
    kind, text = CLIENTS[number]
    for name in ("speech.wav", "speech.mp3"):
        shutil.copy(CLIP, tmp_path / name)
    text = text.replace("127.0.0.1:2700", server["address"]).replace("10300", server["wyoming"].rsplit(":", 1)[1])
    if kind == "js":
        if not node_with_sockets():
            pytest.skip("no Node with sockets")
        (tmp_path / "client.mjs").write_text(text)
        command = ["node", "--experimental-websocket", "client.mjs"]
    else:
        command = [sys.executable, "-c", text] if kind == "python" else ["sh", "-ec", text]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, env=os.environ)
    assert ran.returncode == 0, ran.stderr
    heard = " ".join(re.sub(r"\d+\n[\d:,]+ --> [\d:,]+\n", "", ran.stdout).split())
    assert words in heard.lower() or words in " ".join(re.findall(r'"delta":"\s*([^"]*)"', ran.stdout)), ran.stdout
