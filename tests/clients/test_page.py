"""The page in a browser whose microphone plays a recording: the words are those of the program."""

import difflib
import json
import os
import wave

import browser
import pytest
from conftest import CLIP, ROOT, samples, started, transcribed

pytestmark = pytest.mark.skipif(not browser.found(), reason="no Chromium")

WORDS = "[...document.querySelectorAll('#words .word')].map((word) => word.textContent).join(' ')"
STATUS = "document.getElementById('status').textContent"
GARDEN = ROOT / "audio-samples/garden-int16-48000-mono.wav"


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """The clip, at the rate of the sound card, between two silences: what the microphone says while the page still connects is heard
    by nobody."""
    path = tmp_path_factory.mktemp("sound") / "microphone.wav"
    with wave.open(str(path), "wb") as clip:
        clip.setnchannels(1), clip.setsampwidth(2), clip.setframerate(48_000)
        clip.writeframes(bytes(192_000) + samples(GARDEN) + bytes(96_000))
    return path


@pytest.fixture(scope="module")
def page(server, recording):
    page = browser.Browser(recording)
    page.open(f"http://{server['address']}/")
    yield page
    page.close()


def done(page):
    return page.wait(lambda: "A click on one plays it" in page.run(STATUS))


def widths(page):
    return page.run("[document.documentElement.scrollWidth, innerWidth]")


def heard(page, path):
    """Writes the sound that the page has sent to a file, and gives the program's words for it."""
    rate = json.loads(page.sent[0])["config"]["sample_rate"]
    with wave.open(str(path), "wb") as clip:
        clip.setnchannels(1), clip.setsampwidth(2), clip.setframerate(rate)
        clip.writeframes(b"".join(piece for piece in page.sent if isinstance(piece, bytes)))
    return transcribed(path)


def test_the_microphone_gives_the_words_of_the_program(page, recording, tmp_path):
    words = transcribed(recording).split()
    page.look("begin-light")
    page.click("#record")
    page.wait(lambda: page.run("document.querySelector('#words .confirmed')?.textContent"))
    assert page.run("document.getElementById('record').getAttribute('aria-pressed')") == "true"
    page.look("listening-light")
    page.wait(lambda: page.run(WORDS) or len(page.run("document.querySelector('section').textContent").split()) >= len(words))
    page.run("new Promise((go) => setTimeout(go, 1500))")
    page.click("#record")
    done(page)
    assert page.run(WORDS) == heard(page, tmp_path / "sent.wav")
    # The microphone begins anywhere in a block, which may change a word.
    same = difflib.SequenceMatcher(None, words, page.run(WORDS).split()).get_matching_blocks()
    assert sum(block.size for block in same) >= len(words) - 2
    assert page.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 360])
def test_it_fits_and_can_be_read(page, scheme, width):
    assert len(page.look(f"words-{scheme}-{width}", scheme, width)) > 5000
    scroll, inner = widths(page)
    assert scroll <= inner == width
    # WCAG 2.2, 1.4.3: 4.5 to 1 for all text.
    contrasts = page.contrasts()
    assert len(contrasts) > 15 and min(contrasts) >= 4.5
    assert page.errors == []


def test_a_file_gives_its_words_and_downloads_hold_them(page, server, tmp_path):
    page.look("file", "light", 1000)
    page.click("#clear")
    assert page.run(WORDS) == ""
    page.sent.clear()
    page.files("#file", GARDEN)
    page.wait(lambda: page.run(WORDS))
    done(page)
    expected = heard(page, tmp_path / "sent.wav")
    assert page.run(WORDS) == expected == transcribed(GARDEN)
    page.downloads_to(tmp_path)
    for kind in ("txt", "srt", "vtt", "json"):
        page.click(f"[data-kind={kind}]")
        kept = tmp_path / f"speech.{kind}"
        page.wait(kept.exists)
        text = page.wait(kept.read_text)
        if kind == "txt":
            assert text == f"{expected}\n"
        if kind == "json":
            kept_words = json.loads(text)
            assert " ".join(word["word"] for word in kept_words) == expected
            assert all(word["start"] < word["end"] for word in kept_words)
        if kind in ("srt", "vtt"):
            lines = [line for line in text.splitlines() if line and "-->" not in line and line != "WEBVTT" and not line.isdigit()]
            assert " ".join(lines) == expected
    page.run("document.querySelector('.word').click()")
    page.wait(lambda: not page.run("document.querySelector('.word.playing')"))
    assert page.errors == []


def test_words_can_be_walked_with_the_keyboard(page):
    page.run("document.querySelector('#words .word').focus()")
    press = {"type": "keyDown", "key": "ArrowRight", "code": "ArrowRight", "windowsVirtualKeyCode": 39}
    for _ in range(3):
        page.call("Input.dispatchKeyEvent", **press)
        page.call("Input.dispatchKeyEvent", **press | {"type": "keyUp"})
    at = "[...document.querySelectorAll('.word')].indexOf(document.activeElement)"
    assert page.run(at) == 3
    assert page.run("document.querySelectorAll('.word[tabindex=\"0\"]').length") == 1
    # Whoever cannot see hears what every control is.
    names = page.call("Accessibility.getFullAXTree")["nodes"]
    controls = [node for node in names if node.get("role", {}).get("value") in ("button", "textbox", "combobox")]
    assert len(controls) > 8 and all(node["name"]["value"] for node in controls)


def test_it_says_what_is_wrong():
    process, found = started("--api-key", "k1")
    page = browser.Browser()
    try:
        page.open(f"http://{found['address']}/")
        page.click("#record")
        page.wait(lambda: "no microphone" in page.run(STATUS))
        page.look("no-microphone")
        assert page.errors == []
        page.files("#file", CLIP)
        page.wait(lambda: "key" in page.run(STATUS))
        page.run("document.getElementById('key').value = 'k1'")
        page.files("#file", CLIP)
        done(page)
        assert page.run(WORDS) == transcribed(CLIP)
    finally:
        page.close()
        process.terminate()
        assert process.wait(30) == 0
