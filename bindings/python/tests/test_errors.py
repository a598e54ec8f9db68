"""What cannot be done is told by an exception that names the file."""

import pickle

import numpy as np
import pytest
import vivavoce
from common import HARBOUR, ROOT


@pytest.fixture(scope="module")
def recognizer():
    return vivavoce.Recognizer()


def test_files_that_cannot_be_read_are_named(recognizer, tmp_path):
    gone = tmp_path / "gone.wav"
    for error in (vivavoce.MissingError, vivavoce.ReadError, vivavoce.Error, FileNotFoundError, OSError):
        with pytest.raises(error, match="gone.wav") as caught:
            recognizer.transcribe(gone)
    assert (caught.value.path, caught.value.filename, caught.value.errno) == (str(gone), str(gone), 2)
    with pytest.raises(vivavoce.ReadError) as caught:
        recognizer.transcribe(tmp_path)
    assert caught.value.path == str(tmp_path)
    text = tmp_path / "text.wav"
    text.write_text("no audio at all")
    with pytest.raises(vivavoce.AudioError, match="text.wav") as caught:
        recognizer.transcribe(text)
    assert caught.value.path == str(text)
    with pytest.raises(vivavoce.AudioError, match="call 7"):
        recognizer.transcribe(b"no audio at all", name="call 7")


def test_models_that_are_none_are_named(tmp_path):
    with pytest.raises(vivavoce.MissingError, match="nowhere"):
        vivavoce.Recognizer(tmp_path / "nowhere")
    with pytest.raises(vivavoce.ReadError, match="config.json") as caught:
        vivavoce.Recognizer(tmp_path)
    assert str(tmp_path) in caught.value.path
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"xx")
    with pytest.raises(vivavoce.Error):
        vivavoce.Recognizer(tmp_path)


def test_options_that_do_not_fit_are_refused(recognizer, tmp_path):
    with pytest.raises(vivavoce.ConfigError, match="latency"):
        recognizer.transcribe(HARBOUR, latency="soon")
    with pytest.raises(ValueError, match="latency"):
        vivavoce.Recognizer(latency="soon")
    with pytest.raises(TypeError, match="latncy"):
        recognizer.session(latncy="low")
    with pytest.raises(vivavoce.ListError, match="line 2") as caught:
        recognizer.transcribe(HARBOUR, hotwords=["fine", "route 66"])
    assert caught.value.line == 2
    names = tmp_path / "names.txt"
    names.write_bytes(b"fine\n\xff\xfe\n")
    with pytest.raises(vivavoce.ListError, match="names.txt: line 2"):
        vivavoce.Recognizer(hotwords=names)
    with pytest.raises(FileNotFoundError, match="gone.txt"):
        vivavoce.Recognizer(grammar=tmp_path / "gone.txt")
    with pytest.raises(TypeError, match="hotwords"):
        recognizer.session(hotwords=3)
    with pytest.raises(vivavoce.ConfigError):
        recognizer.session(beam="many")
    with pytest.raises(ValueError, match="finite"):
        recognizer.session(lm_weight=float("nan"))
    with pytest.raises(vivavoce.ConfigError, match="precision"):
        vivavoce.Recognizer(precision="f8")


def test_what_is_no_sound_is_refused_with_the_reason(recognizer):
    nan = np.zeros(100, np.float32)
    nan[7] = np.nan
    for audio, error, what in [
        (nan, vivavoce.SamplesError, "sample 7 is NaN"),
        (np.full(100, 12000, np.float32), vivavoce.SamplesError, "32768"),
        (b"odd", vivavoce.SamplesError, "3 bytes"),
        (np.zeros(10, np.uint8), TypeError, "tobytes"),
        (np.zeros(10, np.complex64), TypeError, "int16"),
        (np.zeros(10, ">i2"), TypeError, "byte order"),
        (np.zeros((2, 3, 4), np.float32), ValueError, "axis"),
        (np.zeros((70, 100), np.float32), ValueError, "channels"),
        ([0.0, 0.5], TypeError, "list"),
        (None, TypeError, "NoneType"),
        ("text.wav", TypeError, "rate"),
    ]:
        with pytest.raises(error, match=what):
            recognizer.transcribe(audio, 16000)
    sound = np.zeros(100, np.float32)
    for rate, error in [(100, vivavoce.SamplesError), (-1, ValueError), (2.5, ValueError), ("fast", TypeError)]:
        with pytest.raises(error):
            recognizer.transcribe(sound, rate)
        with pytest.raises(error):
            recognizer.session(rate)
    with pytest.raises(TypeError, match="rate"):
        recognizer.transcribe(sound)
    with pytest.raises(TypeError, match="int"):
        recognizer.transcribe(7)
    with open(ROOT / "README.md") as text, pytest.raises(TypeError, match="rb"):
        recognizer.transcribe(text)


def test_exceptions_can_be_pickled(recognizer, tmp_path):
    raised = []
    for call in (
        lambda: recognizer.transcribe(tmp_path / "gone.wav"),
        lambda: recognizer.transcribe(b"text", name="x"),
        lambda: recognizer.session(hotwords="route 66"),
        lambda: recognizer.session(latency="soon"),
    ):
        with pytest.raises(vivavoce.Error) as caught:
            call()
        raised.append(caught.value)
    for error in raised:
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.path) == (type(error), str(error), error.path)
    assert [type(error).__name__ for error in raised] == ["MissingError", "AudioError", "ListError", "ConfigError"]
