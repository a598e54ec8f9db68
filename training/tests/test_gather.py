import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parents[1]))

import gather
import speak
from prepare import read_manifest, shard_features


def write_sound(path, rate=16000, seconds=1.0, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(int(seconds * rate)) / rate
    x = 0.3 * np.sin(2 * np.pi * 440 * t)
    soundfile.write(path, np.stack([x] * channels, axis=1), rate)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["gather.py", *map(str, arguments), "--workers", "1"])
    gather.main()


def rows(out):
    return {r["id"]: r for r in read_manifest(out)}


def test_texts_are_normalised_or_refused():
    assert gather.normalise("Don’t — STOP, 'now' it's well-known!") == "don't stop 'now' it's well known"
    assert gather.normalise("rock ' n ' roll") == "rock n roll"
    assert gather.normalise("room 101") is None and gather.normalise("café") is None
    assert gather.normalise("...") == ""


def test_librispeech_folders_are_read(tmp_path, monkeypatch, capsys):
    chapter = tmp_path / "LibriSpeech" / "train-clean-5" / "1088" / "134315"
    write_sound(chapter / "1088-134315-0000.flac")
    write_sound(chapter / "1088-134315-0001.flac", seconds=0.1)
    (chapter / "1088-134315.trans.txt").write_text("1088-134315-0000 AS YOU KNOW\n1088-134315-0001 TOO SHORT\n1088-134315-0002 NOT THERE\n")
    run(monkeypatch, "librispeech", tmp_path / "LibriSpeech", "--out", tmp_path / "d", "--set", "ls")
    assert {n: (r["set"], r["split"], r["speaker"], r["text"]) for n, r in rows(tmp_path / "d").items()} == {
        "1088-134315-0000": ("ls", "train", "1088", "as you know")}
    assert "1 for length" in capsys.readouterr().out
    name, features = shard_features(tmp_path / "d" / "speech" / "ls-0000.tar")
    assert name == "ls-0000.tar" and features["1088-134315-0000"].shape == (98, 80)
    with pytest.raises(SystemExit, match="already"):
        run(monkeypatch, "librispeech", tmp_path / "LibriSpeech", "--out", tmp_path / "d", "--set", "ls")


def test_common_voice_tables_are_read_and_resampled(tmp_path, monkeypatch):
    write_sound(tmp_path / "clips" / "common_voice_en_1.wav", rate=48000, channels=2)
    (tmp_path / "dev.tsv").write_text('client_id\tpath\tsentence\n' + 'f' * 128 + '\tcommon_voice_en_1.wav\tHe said "no".\nx\ta.wav\tIt is 9.\n')
    run(monkeypatch, "common-voice", tmp_path / "dev.tsv", "--out", tmp_path / "d", "--set", "cv", "--split", "dev")
    (row,) = rows(tmp_path / "d").values()
    assert (row["set"], row["split"], row["text"], row["speaker"], row["seconds"]) == ("cv-dev", "dev", "he said no", "f" * 16, "1.00")
    _, features = shard_features(tmp_path / "d" / "speech" / "cv-dev-0000.tar")
    assert features["common_voice_en_1"].shape == (98, 80)


def test_kaldi_directories_with_segments_are_read(tmp_path, monkeypatch):
    write_sound(tmp_path / "a.wav", seconds=3.0)
    (tmp_path / "wav.scp").write_text(f"rec {tmp_path / 'a.wav'}\n")
    (tmp_path / "text").write_text("one hello there\ntwo general kenobi\n")
    (tmp_path / "segments").write_text("one rec 0.0 1.0\ntwo rec 1.5 2.75\n")
    (tmp_path / "utt2spk").write_text("one s\ntwo t\n")
    run(monkeypatch, "kaldi", tmp_path, "--out", tmp_path / "d", "--set", "k")
    assert {n: (r["seconds"], r["speaker"]) for n, r in rows(tmp_path / "d").items()} == {"one": ("1.00", "s"), "two": ("1.25", "t")}
    (tmp_path / "wav.scp").write_text("rec sph2pipe a.sph |\n")
    with pytest.raises(SystemExit, match="commands"):
        run(monkeypatch, "kaldi", tmp_path, "--out", tmp_path / "e", "--set", "k")


def test_nemo_manifests_are_read(tmp_path, monkeypatch, capsys):
    write_sound(tmp_path / "x.wav", seconds=2.0)
    lines = [{"audio_filepath": "x.wav", "text": "First", "offset": 0.5, "duration": 1.0}, {"audio_filepath": "missing.wav", "text": "gone"}]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    run(monkeypatch, "nemo", tmp_path / "m.jsonl", "--out", tmp_path / "d", "--set", "n")
    assert {n: (r["seconds"], r["text"]) for n, r in rows(tmp_path / "d").items()} == {"x-0": ("1.00", "first")}
    assert "1 for unreadable" in capsys.readouterr().out


STAND_IN = """#!{python}
import sys, wave
with wave.open(sys.argv[sys.argv.index("-o") + 1], "wb") as f:
    f.setnchannels(1), f.setsampwidth(2), f.setframerate(16000), f.writeframes(bytes(32000))
"""


def test_spoken_sentences_become_a_set(tmp_path, monkeypatch, capsys):
    if not (shutil.which("flite") or shutil.which("espeak-ng")):  # a program that takes flite's options and writes a second of silence
        (tmp_path / "flite").write_text(STAND_IN.format(python=sys.executable))
        (tmp_path / "flite").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "text.txt").write_text("open the window please\nhow are you\nno\nthe cat sat on the mat\n")
    monkeypatch.setattr(sys, "argv", ["speak.py", "--text", str(tmp_path / "text.txt"), "--out", str(tmp_path / "s"), "--workers", "1"])
    speak.main()
    assert "3 of 3 sentences" in capsys.readouterr().out
    run(monkeypatch, "nemo", tmp_path / "s" / "manifest.jsonl", "--out", tmp_path / "d", "--set", "spoken")
    found = rows(tmp_path / "d").values()
    assert {r["text"] for r in found} == {"open the window please", "how are you", "the cat sat on the mat"}
    assert all(float(r["seconds"]) > 0.3 for r in found)
