"""A browser without a window, told what to do over its own protocol for developers."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def found():
    """The path of a browser, or nothing."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page. `microphone`: a WAV file that the microphone plays once; none: there is no microphone."""

    def __init__(self, microphone=None):
        self.folder = Path(tempfile.mkdtemp())
        flags = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--mute-audio",
            "--remote-debugging-port=0", f"--user-data-dir={self.folder}", "--autoplay-policy=no-user-gesture-required",
        ]
        if microphone:
            flags += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
            flags += [f"--use-file-for-fake-audio-capture={microphone}%noloop"]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([found(), *flags, "about:blank"], **silent, start_new_session=True)
        self.numbers, self.errors, self.loads = itertools.count(1), [], 0
        # What the page has sent over sockets: texts, and bytes.
        self.sent = []
        told = self.folder / "DevToolsActivePort"
        self.wait(lambda: told.exists() and len(told.read_text().splitlines()) > 1)
        port = told.read_text().splitlines()[0]
        pages = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json"))
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self.socket = connect(address, max_size=None, compression=None)
        for name in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.call(f"{name}.enable")

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method, **params):
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(60))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self.note(message)

    def note(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"])
        if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(params["args"])
        if method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"])
        if method == "Network.webSocketFrameSent":
            frame = params["response"]
            self.sent.append(base64.b64decode(frame["payloadData"]) if frame["opcode"] == 2 else frame["payloadData"])
        self.loads += method == "Page.loadEventFired"

    def wait(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end, "nothing comes of it"
            time.sleep(0.05)
        return value

    def run(self, script):
        ran = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in ran, ran
        return ran["result"].get("value")

    def open(self, url):
        before = self.loads
        self.call("Page.navigate", url=url)
        self.wait(lambda: self.run("document.readyState") == "complete" and self.loads > before)

    def click(self, selector):
        self.run(f"document.querySelector({selector!r}).click()")

    def files(self, selector, *paths):
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def downloads_to(self, folder):
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def look(self, name, scheme="light", width=1000, height=760):
        """Resizes, paints, and keeps a picture where VIVAVOCE_SCREENSHOTS names a folder."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2, mobile=width < 500)
        self.run("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
        picture = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if folder := os.environ.get("VIVAVOCE_SCREENSHOTS"):
            Path(folder, f"{name}.png").write_bytes(picture)
        return picture

    def contrasts(self):
        """Of the text of every part of the page that has some, to the ground it stands on (WCAG 2.2, "contrast ratio")."""
        return self.run("""(() => {
          const light = (colour) => {
            const [r, g, b] = colour.match(/[\\d.]+/g).map((x) => x / 255)
              .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ground = light(getComputedStyle(document.body).backgroundColor);
          return [...document.querySelectorAll('h1, p, label, button, select, input, .word, #tentative')].map((element) => {
            const text = light(getComputedStyle(element).color);
            return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
          });
        })()""")
