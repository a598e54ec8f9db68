"""Results read back by other people's parsers. VIVAVOCE names the program (default: target/debug/vivavoce)."""

import csv
import functools
import io
import json
import os
import re
import subprocess
from pathlib import Path

import jsonschema
import pysubs2
import pytest
import webvtt
from meeteval.io import CTM, STM

ROOT = Path(__file__).parents[2]
PROGRAM = Path(os.environ.get("VIVAVOCE", ROOT / "target" / "debug" / "vivavoce")).resolve()
STORY = "audio-samples/story-int16-16000-mono.wav"
CLOCK = "audio-samples/clock-float32-16000-mono.wav"
SCHEMA = json.loads((ROOT / "docs" / "transcript.schema.json").read_text())


@functools.cache
def transcribe(*arguments):
    command = [PROGRAM, "transcribe", "--model", "models/en-small", *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def document():
    return json.loads(transcribe("--format", "json", STORY))


def in_ms(seconds):
    return round(float(seconds) * 1000)


def words(document):
    return [(w["word"], in_ms(w["start"]), in_ms(w["end"])) for w in document["result"]]


def check_cues(cues, document, width, longest_ms):
    """Cues are (start, end, text), times in milliseconds."""
    before = 0
    for start, end, text in cues:
        assert before <= start < end and end - start <= longest_ms
        lines = text.split("\n")
        assert 1 <= len(lines) <= 2 and all(len(line) <= width for line in lines)
        before = end
    assert " ".join(text.replace("\n", " ") for _, _, text in cues) == document["text"]
    # Each cue is shown while its words are said, begins at most 0.3 s before them, and stays at most for what reading takes.
    at = 0
    for start, end, text in cues:
        own = words(document)[at : at + len(text.split())]
        at += len(own)
        reading = max(1000, 1000 * (len(text) + 1) / 20)
        assert own[0][1] - 300 <= start <= own[-1][1] and end <= max(own[-1][2], start + reading) + 100, (start, end, text, own)


@pytest.mark.parametrize("width, longest_s", [(42, 7), (20, 3)])
@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_subtitles_are_read_by_pysubs2_and_webvtt(document, tmp_path, kind, width, longest_s):
    text = transcribe("--format", kind, "--max-line-width", str(width), "--max-cue-duration", str(longest_s), STORY)
    events = pysubs2.SSAFile.from_string(text, format_=kind)
    check_cues([(e.start, e.end, e.plaintext) for e in events], document, width, longest_s * 1000)
    file = tmp_path / f"story.{kind}"
    file.write_text(text)
    captions = webvtt.from_srt(file) if kind == "srt" else webvtt.read(file)
    check_cues([(clock(c.start), clock(c.end), c.text) for c in captions], document, width, longest_s * 1000)


def clock(text):
    hours, minutes, seconds = text.replace(",", ".").split(":")
    return in_ms(int(hours) * 3600 + int(minutes) * 60) + in_ms(seconds)


def test_json_obeys_the_schema(document):
    check = jsonschema.Draft202012Validator(SCHEMA).validate
    check(document)
    for line in transcribe("--format", "jsonl", "--alternatives", "3", STORY, CLOCK).splitlines():
        value = json.loads(line)
        check(value)
        assert all(1 <= len(s.get("alternatives", [0])) <= 3 for s in value["segments"])
    for value in json.loads(transcribe("--format", "json", CLOCK, STORY)):
        check(value)
    assert document["text"] == " ".join(s["text"] for s in document["segments"]) == " ".join(w[0] for w in words(document))
    with pytest.raises(jsonschema.ValidationError):
        check({**document, "duration": "long"})


def test_every_format_has_the_same_words_and_times(document):
    expected = words(document)
    name = Path(STORY).stem
    # ctm and stm by meeteval.
    lines = CTM.parse(transcribe("--format", "ctm", STORY)).lines
    assert {(line.filename, str(line.channel)) for line in lines} == {(name, "1")}
    assert [(line.word, in_ms(line.begin_time), in_ms(line.begin_time + line.duration)) for line in lines] == expected
    assert [float(line.confidence) for line in lines] == pytest.approx([w["conf"] for w in document["result"]], abs=6e-4)
    segments = STM.parse(transcribe("--format", "stm", STORY)).lines
    assert [(in_ms(s.begin_time), in_ms(s.end_time), s.transcript) for s in segments] == [
        (in_ms(s["start"]), in_ms(s["end"]), s["text"]) for s in document["segments"]]
    rows = list(csv.DictReader(io.StringIO(transcribe("--format", "csv", STORY)), strict=True))
    assert [(r["word"], in_ms(r["start"]), in_ms(r["end"])) for r in rows] == expected
    assert {(r["file"], r["id"]) for r in rows} == {(STORY, name)}
    assert transcribe("--format", "trn", STORY) == f"{document['text']} ({name})\n"
    assert transcribe("--format", "txt", STORY).splitlines() == [s["text"] for s in document["segments"]]


SECONDS = r"\d+\.\d+"


def test_scoring_files_obey_the_rules_of_sclite():
    """SCTK, doc/infmts.htm; each rule as it is stated there."""
    # "CTM :== <F> <C> <BT> <DUR> word [ <CONF> ]"; "sorted by the first three columns".
    rows = transcribe("--format", "ctm", CLOCK, STORY).splitlines()
    assert all(re.fullmatch(rf"\S+ [AB12] {SECONDS} {SECONDS} \S+ [01]\.\d+", row) for row in rows)
    keys = [(f, c, float(t)) for f, c, t, *_ in (row.split() for row in rows)]
    assert keys == sorted(keys)
    # "A line beginning with two semicolons is a comment": none of ours does.
    assert not any(row.startswith(";;") for row in rows)
    # "STM :== <F> <C> <S> <BT> <ET> [ <LABEL> ] transcript": the begin is before the end, segments are in order.
    rows = [row.split(maxsplit=5) for row in transcribe("--format", "stm", CLOCK, STORY).splitlines()]
    assert all(re.fullmatch(SECONDS, t) for row in rows for t in row[3:5])
    assert all(float(start) < float(end) and not text.startswith("<") for *_, start, end, text in rows)
    keys = [(row[0], float(row[3])) for row in rows]
    assert keys == sorted(keys)
    # "trn: each line is words and, at its end, an utterance id in parentheses"; "{ a / b }" and "@" would mean alternatives.
    rows = transcribe("--format", "trn", CLOCK, STORY).splitlines()
    assert [re.fullmatch(r"[^(){}@/;]*\(([^\s()]+)\)", row)[1] for row in rows] == [Path(p).stem for p in (CLOCK, STORY)]


def test_the_examples_in_the_docs_agree():
    """They were written by some model; the words need not be what this one says."""
    text = (ROOT / "docs" / "formats.md").read_text()
    examples = dict(re.findall(r"```(\w+)\n(.*?)```", text, re.S))
    document = json.loads(examples["json"])
    jsonschema.validate(document, SCHEMA)
    assert json.loads(examples["jsonl"]) == document
    assert [(line.word, in_ms(line.begin_time), in_ms(line.begin_time + line.duration)) for line in CTM.parse(examples["ctm"]).lines] == words(document)
    assert [r["word"] for r in csv.DictReader(io.StringIO(examples["csv"]))] == [w[0] for w in words(document)]
    (segment,) = STM.parse(examples["stm"]).lines
    said = document["text"]
    assert segment.transcript == said and examples["txt"].strip() == said and examples["trn"].startswith(f"{said} (")
    for kind in ("srt", "vtt"):
        assert pysubs2.SSAFile.from_string(examples[kind], format_=kind)[0].plaintext == said
