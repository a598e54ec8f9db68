"""What the tests share. VIVAVOCE names the program (default: target/debug/vivavoce), which must say the same."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
CLIPS = ROOT / "audio-samples"
PROGRAM = Path(os.environ.get("VIVAVOCE", ROOT / "target" / "debug" / "vivavoce")).resolve()
HARBOUR = CLIPS / "harbour-int16-16000-mono.wav"
KITCHEN = CLIPS / "kitchen-int16-8000-mono.wav"
LETTER = CLIPS / "letter-int24-44100-stereo.wav"
STORY = CLIPS / "story-int16-16000-mono.wav"


def program(*arguments):
    """What the program says of each file: its documents of JSON, by file."""
    command = [str(PROGRAM), "transcribe", "--format", "jsonl", *map(str, arguments)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    documents = [json.loads(line) for line in lines]
    return {document["file"]: document for document in documents}


def same(transcript, document):
    """Whether both say the same words at the same times with the same confidence, in the same segments."""
    found = transcript.to_dict()
    assert found["text"]
    for key in ("text", "result", "segments", "duration"):
        assert found[key] == document[key], key
