"""Files, bytes and arrays are heard as the program hears them."""

import io
import wave

import numpy as np
import pytest
import vivavoce
from common import CLIPS, HARBOUR, KITCHEN, LETTER, program, same


@pytest.fixture(scope="module")
def recognizer():
    return vivavoce.Recognizer()


def samples(path):
    """16-bit samples of a mono file, and their rate."""
    with wave.open(str(path)) as clip:
        assert clip.getnchannels() == 1 and clip.getsampwidth() == 2
        return clip.readframes(clip.getnframes()), clip.getframerate()


def test_files_say_what_the_program_says(recognizer):
    paths = sorted(path for path in CLIPS.glob("*.wav") if "story" not in path.name and "window" not in path.name)
    documents = program(*paths)
    assert len(paths) == len(documents) >= 10
    for path in paths:
        same(recognizer.transcribe(path), documents[str(path)])


def test_options_are_the_programs(recognizer):
    for options, arguments in [
        ({"latency": "low", "beam": 16}, ["--latency", "low", "--beam", "16"]),
        ({"alternatives": 2}, ["--alternatives", "2"]),
        ({"punctuate": True, "digits": True}, ["--punctuate", "--digits"]),
        ({"search": "greedy"}, ["--search", "greedy"]),
        ({"endpoints": False}, ["--no-endpoints"]),
        ({"endpoints": {"after_speech_s": 0.4}}, ["--endpoint-after-speech", "0.4"]),
    ]:
        document = program(*arguments, HARBOUR)[str(HARBOUR)]
        found = recognizer.transcribe(HARBOUR, **options)
        same(found, document)
        if "alternatives" in options:
            assert len(found.alternatives) == 2
            assert found.alternatives[0].confidence > found.alternatives[1].confidence > 0
        # The same as choices of the recogniser.
        assert vivavoce.Recognizer(**options).transcribe(HARBOUR) == found


def test_hotwords_and_grammars_are_text_lines_mappings_and_files(recognizer, tmp_path):
    plain = recognizer.transcribe(KITCHEN).text
    word = plain.split()[1]
    rival = word + "ington"
    listed = tmp_path / "names.txt"
    listed.write_text(f"{rival} = B : 2\n")
    document = program("--hotwords", listed, KITCHEN)[str(KITCHEN)]
    same(recognizer.transcribe(KITCHEN, hotwords=listed), document)
    for given in (f"{rival} = B : 2", [f"{rival} = B : 2"], {f"{rival} = B": 2}):
        assert recognizer.transcribe(KITCHEN, hotwords=given).words == recognizer.transcribe(KITCHEN, hotwords=listed).words
    spoken = KITCHEN.with_suffix(".txt").read_text().strip()
    phrases = tmp_path / "phrases.txt"
    phrases.write_text(f"turn the light on\n{spoken}\n")
    document = program("--grammar", phrases, "--unknown-cost", 40, KITCHEN)[str(KITCHEN)]
    same(recognizer.transcribe(KITCHEN, grammar=phrases, unknown_cost=40), document)
    told = recognizer.transcribe(KITCHEN, grammar=["turn the light on", spoken], unknown_cost=40)
    assert told.text == spoken != plain
    other = recognizer.transcribe(KITCHEN, grammar=["turn the light on", "good night"], endpoints=False)
    assert other.text == "[unk]"


def test_the_contents_of_a_file_are_as_good_as_the_file(recognizer):
    expected = recognizer.transcribe(LETTER)
    contents = LETTER.read_bytes()
    for audio in (contents, bytearray(contents), memoryview(contents), io.BytesIO(contents), LETTER.open("rb"), str(LETTER)):
        found = recognizer.transcribe(audio)
        assert (found.words, found.duration) == (expected.words, expected.duration)
    assert expected.path == str(LETTER)
    assert recognizer.transcribe(contents, name="call 7").path == "call 7"


def test_samples_of_any_kind_and_layout_say_the_same(recognizer):
    raw, rate = samples(KITCHEN)
    i16 = np.frombuffer(raw, np.int16)
    f32 = (i16 / 32768).astype(np.float32)
    stereo = np.stack([f32, f32])
    expected = recognizer.transcribe(KITCHEN).words
    assert len(expected) > 3
    kinds = {
        "bytes": raw,
        "bytearray": bytearray(raw),
        "memoryview": memoryview(raw),
        "int16": i16,
        "int32": i16.astype(np.int32) << 16,
        "float32": f32,
        "float64": f32.astype(np.float64),
        "strided": np.repeat(i16, 2)[::2],
        "[n, 1]": f32[:, None],
        "[1, n]": f32[None],
        "[2, n]": stereo,
        "[n, 2]": np.ascontiguousarray(stereo.T),
        "fortran": np.asfortranarray(stereo.T),
        "array": __import__("array").array("h", raw),
    }
    for name, audio in kinds.items():
        assert recognizer.transcribe(audio, rate).words == expected, name
    assert recognizer.transcribe(f32, float(rate)).words == expected


def test_any_rate_is_resampled(recognizer):
    raw, rate = samples(HARBOUR)
    signal = np.frombuffer(raw, np.int16) / 32768
    expected = recognizer.transcribe(HARBOUR).text.split()
    # Every second sample left out, with a filter before, is the clip at half the rate.
    taps = np.sinc(np.arange(-64, 65) / 2) * np.hamming(129) / 2
    half = np.convolve(signal, taps, "same")[::2]
    heard = recognizer.transcribe(half.astype(np.float32), rate // 2).text.split()
    assert len(set(expected) & set(heard)) > len(expected) // 2
    double = np.interp(np.arange(0, len(signal), 1 / 3), np.arange(len(signal)), signal)
    heard = recognizer.transcribe(double.astype(np.float32), rate * 3).text.split()
    assert len(set(expected) & set(heard)) > 0.8 * len(set(expected))


def test_silence_and_nothing_are_empty(recognizer):
    for audio in (np.zeros(16000, np.float32), np.zeros(0, np.float32), np.zeros((0, 2), np.int16), b""):
        found = recognizer.transcribe(audio, 16000)
        assert (found.text, found.words, found.segments) == ("", (), ())
    assert recognizer.transcribe(np.zeros(8000), 16000).duration == 0.5


def test_the_package_has_shortcuts():
    assert vivavoce.transcribe(HARBOUR).text == vivavoce.Recognizer().transcribe(HARBOUR).text
    assert [outcome.text for outcome in vivavoce.transcribe_many([KITCHEN])] == [vivavoce.transcribe(KITCHEN).text]
    assert vivavoce.__version__.count(".") == 2
