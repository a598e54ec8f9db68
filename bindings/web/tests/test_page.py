"""The demo in a browser without a server that computes: words are those of the program, nothing leaves the origin, and no network is needed
after the first visit."""

import base64
import json
import os
import struct
from pathlib import Path

import browser
import pytest
from conftest import CLIPS, Site, transcribed

pytestmark = pytest.mark.skipif(not browser.found(), reason="no Chromium")

WORDS = "[...document.querySelectorAll('#words .word')].map((word) => word.textContent).join(' ')"
STATUS = "document.getElementById('status').textContent"
READY = "document.documentElement.dataset.ready"
STORY = CLIPS / "story-int16-16000-mono.wav"


class Browser(browser.Browser):
    """One that also watches the Workers of its page."""

    def __init__(self, microphone=None):
        self.asked, self.attached = [], []
        super().__init__(microphone)
        self.call("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True)

    def note(self, message):
        super().note(message)
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        if method == "Target.attachedToTarget":
            self.attached.append(params["targetInfo"]["type"])
            for name in ("Network.enable", "Runtime.enable", "Log.enable", "Runtime.runIfWaitingForDebugger"):
                told = {"id": next(self.numbers), "sessionId": params["sessionId"], "method": name}
                self.socket.send(json.dumps(told))

    def ready(self, origin):
        self.open(f"{origin}/")
        self.wait(lambda: self.run(READY) or not self.run(STATUS).startswith("Loading"))
        assert self.run(STATUS).startswith("Ready"), self.run(STATUS)
        return float(self.run(READY))

    def hear(self, path):
        """The words of a file, and the seconds that it lasts and took."""
        self.run("document.getElementById('clear').click(), document.getElementById('status').textContent = ''")
        self.files("#file", path)
        told = self.wait(lambda: self.run(f"!/ took /.test({STATUS}) ? '' : {STATUS}"))
        return self.run(WORDS), [float(word) for word in told.split() if word.replace(".", "", 1).isdigit()][1:]

    def cpu_s(self):
        """Seconds that all processes of the browser have computed."""
        total = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid:
                total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def inside(self, origin):
        """All that was asked for is of the origin, or of the page itself."""
        return [url for url in self.asked if not url.startswith((f"{origin}/", "data:", "blob:"))] == []


@pytest.fixture(scope="module")
def page(site, recording):
    page = Browser(recording)
    page.ms = page.ready(site.origin)
    yield page
    page.close()


def test_the_model_is_kept_and_nothing_else_is_asked_for(page, site):
    print(f"ready after {page.ms:.0f} ms, the model fetched")
    again = page.ready(site.origin)
    print(f"ready after {again:.0f} ms, the model kept")
    assert "worker" in page.attached
    assert any("lm.bin?v=" in url for url in page.asked) and page.inside(site.origin)
    assert page.errors == []


@pytest.mark.parametrize("name", ["kitchen-int16-8000-mono", "letter-int24-44100-stereo", "market-float32-48000-stereo", "window-uint8-8000-mono"])
def test_a_file_has_the_words_of_the_program(page, name):
    path = CLIPS / f"{name}.wav"
    words, _ = page.hear(path)
    assert words == transcribed(path)
    assert page.errors == []


def test_a_minute_has_the_words_of_the_program(page):
    page.look("begin-light")
    before = page.cpu_s()
    words, (seconds, took) = page.hear(STORY)
    cpu = page.cpu_s() - before
    assert words == " ".join(transcribed(STORY).split())
    print(f"real-time factor {took / seconds:.3f}, with CPU time of the whole browser {cpu / seconds:.3f}: {seconds} s took {took} s")
    assert page.errors == []


def test_the_page_never_waits(page):
    """While a minute is transcribed no task of the page is long, even on a busy machine."""
    page.run("""
      window.tasks = [];
      new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => window.tasks.push(duration)))
        .observe({ entryTypes: ["longtask"] });
    """)
    _, (_, took) = page.hear(STORY)
    assert max(page.run("window.tasks"), default=0) < 1000 * took / 5


def sent(page, path):
    """Writes the sound that the recogniser heard to a file, as bare floats with a header."""
    rate, text = page.run("""(async () => {
      const all = await new Blob(window.heard).arrayBuffer();
      let text = '';
      for (const byte of new Uint8Array(all)) text += String.fromCharCode(byte);
      return [window.rate, btoa(text)];
    })()""")
    sound = base64.b64decode(text)
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(sound), b"WAVE", b"fmt ", 16, 3, 1, rate, 4 * rate, 4, 32, b"data", len(sound))
    path.write_bytes(header + sound)
    return transcribed(path)


def test_the_microphone_has_the_words_of_the_program(page, site, recording, tmp_path):
    page.ready(site.origin)
    page.run("""
      window.heard = [];
      window.rate = new AudioContext().sampleRate;
      window.onSamples = (samples) => window.heard.push(samples);
    """)
    page.click("#record")
    page.wait(lambda: page.run("document.querySelector('#words .confirmed')?.textContent"))
    assert page.run("document.getElementById('record').getAttribute('aria-pressed')") == "true"
    page.look("listening-light")
    page.wait(lambda: page.run(WORDS))
    lag = page.run("document.getElementById('lag').textContent")
    assert lag.endswith("ms behind") and int(lag.split()[0]) >= 0
    page.click("#record")
    page.wait(lambda: page.run("document.getElementById('record').getAttribute('aria-pressed')") == "false")
    assert page.run(WORDS) == sent(page, tmp_path / "heard.wav") == transcribed(recording)
    assert page.errors == [] and page.inside(site.origin)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 360])
def test_it_fits_and_can_be_read(page, scheme, width):
    assert len(page.look(f"words-{scheme}-{width}", scheme, width)) > 5000
    scroll, inner = page.run("[document.documentElement.scrollWidth, innerWidth]")
    assert scroll <= inner == width
    # WCAG 2.2, 1.4.3: 4.5 to 1 for all text.
    contrasts = page.contrasts()
    assert len(contrasts) > 15 and min(contrasts) >= 4.5
    # Whoever cannot see hears what every control is.
    names = page.call("Accessibility.getFullAXTree")["nodes"]
    controls = [node for node in names if node.get("role", {}).get("value") in ("button", "textbox", "combobox")]
    assert len(controls) > 5 and all(node["name"]["value"] for node in controls)


def test_the_keyboard_starts_and_stops(page):
    page.run("document.getElementById('clear').click()")
    page.run("document.getElementById('record').focus()")
    at = "document.activeElement.id"
    press = {"type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}

    def enter():
        page.call("Input.dispatchKeyEvent", **press)
        page.call("Input.dispatchKeyEvent", **press | {"type": "keyUp"})

    enter()
    page.wait(lambda: page.run(STATUS) == "Listening.")
    assert page.run(at) == "record" and page.run("document.getElementById('record').textContent") == "Stop"
    page.files("#file", STORY)
    page.wait(lambda: page.run(STATUS).startswith("One at a time"))
    enter()
    page.wait(lambda: page.run("document.getElementById('record').textContent") == "Start the microphone")
    assert page.run(at) == "record"
    page.files("#file", STORY)
    page.wait(lambda: page.run(WORDS))
    page.click("#record")
    page.wait(lambda: page.run(STATUS) == "Stopped.")
    assert page.run(WORDS) and page.errors == []


def test_words_can_be_kept(page, tmp_path):
    page.look("kept", "light", 1000)
    path = CLIPS / "kitchen-int16-8000-mono.wav"
    words, _ = page.hear(path)
    page.downloads_to(tmp_path)
    for kind in ("txt", "json"):
        page.click(f"[data-kind={kind}]")
        kept = tmp_path / f"speech.{kind}"
        page.wait(kept.exists)
        text = page.wait(kept.read_text)
        if kind == "txt":
            assert text == f"{words}\n"
        else:
            assert " ".join(word["word"] for word in json.loads(text)) == words
    assert page.errors == []


def test_what_the_browser_decodes_and_what_nobody_does(page, tmp_path):
    odd = tmp_path / "odd.wav"
    odd.write_bytes(b"no sound at all")
    page.files("#file", odd)
    page.wait(lambda: "odd.wav" in page.run(STATUS) and "decode" in page.run(STATUS))
    options = page.run("document.getElementById('hotwords').value = 'a1', 0")
    assert options == 0
    page.files("#file", CLIPS / "kitchen-int16-8000-mono.wav")
    page.wait(lambda: "line 1" in page.run(STATUS))
    page.run("document.getElementById('hotwords').value = ''")
    # The interface: events by iteration, a transcription that is stopped, an AudioBuffer.
    told = page.run("""(async () => {
      const vivavoce = await import("./vivavoce/index.js");
      const recognizer = await vivavoce.load("model/", { latency: "low" });
      const buffer = new AudioBuffer({ length: 16000, sampleRate: 16000, numberOfChannels: 2 });
      const quiet = await recognizer.transcribe(buffer);
      const session = await recognizer.session({ rate: 48000, endpoints: false });
      const kinds = [];
      for await (const event of session.events([new Float32Array(48000), new Float32Array(4800)])) kinds.push(event.event);
      const stop = new AbortController();
      const long = recognizer.transcribe(new Float32Array(16000 * 600), { rate: 16000, signal: stop.signal, onProgress: () => stop.abort() });
      const stopped = await long.then(() => "", (error) => error.name);
      const refused = await recognizer.session({ latency: "fast" }).then(() => "", (error) => `${error.name} ${error instanceof vivavoce.VivavoceError}`);
      recognizer.close();
      const closed = await session.finish().then(() => "", (error) => error.name);
      const nowhere = await vivavoce.load("nowhere/").then(() => "", (error) => `${error.name} ${error.message}`);
      return { duration: quiet.duration, text: quiet.text, kinds, time: session.time, stopped, refused, closed, nowhere };
    })()""")
    assert told.pop("nowhere").startswith("ReadError cannot fetch http://127.0.0.1:")
    assert told == {
        "duration": 1, "text": "", "kinds": ["final"], "time": pytest.approx(1.1), "stopped": "AbortError", "refused": "ConfigError true", "closed": "UsageError",
    }
    # The browser itself names the file that is not there.
    assert [error for error in page.errors if "404" not in json.dumps(error)] == []
    page.errors.clear()


def test_it_works_without_a_network():
    site, page = Site(), Browser()
    try:
        page.ready(site.origin)
        page.wait(lambda: page.run("navigator.serviceWorker.ready.then(() => Boolean(navigator.serviceWorker.controller))"))
        site.close()
        page.errors.clear()
        page.ready(site.origin)
        path = CLIPS / "kitchen-int16-8000-mono.wav"
        words, _ = page.hear(path)
        assert words == transcribed(path)
        page.click("#record")
        page.wait(lambda: "no microphone" in page.run(STATUS))
        # The browser itself tells of what it could not fetch, and the page does without.
        assert [error for error in page.errors if "ERR_CONNECTION_REFUSED" not in json.dumps(error)] == []
        assert page.inside(site.origin)
    finally:
        page.close()
