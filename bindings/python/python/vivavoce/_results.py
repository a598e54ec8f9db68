"""What was said: words, segments, and the events of a stream. All can be compared, hashed and pickled."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Optional, Tuple, Union


@dataclass(frozen=True)
class Word:
    """A word with its place."""

    word: str
    #: Seconds from the start of the stream to its beginning.
    start: float
    #: Seconds from the start of the stream to its end.
    end: float
    #: Probability, in 0..1, that the word is right.
    confidence: float


@dataclass(frozen=True)
class Alternative:
    """One of several readings of a segment."""

    text: str
    #: Natural log-score; only differences mean something.
    score: float
    #: Its share, in 0..1, of the probability of all alternatives given.
    confidence: float


@dataclass(frozen=True)
class Partial:
    """Event: the words so far have changed."""

    #: All words so far.
    text: str
    #: Those that are never taken back, only added to.
    confirmed: str
    #: The rest; may change.
    tentative: str
    #: Seconds of audio heard.
    time: float


@dataclass(frozen=True)
class Final:
    """A segment that is over; as an event and in a transcript."""

    text: str
    #: As they were spoken.
    words: Tuple[Word, ...]
    #: As ``text`` has them, where that is different: with ``digits`` or ``punctuate``. A number is one word.
    written: Tuple[Word, ...]
    #: Under a grammar, the tags of what was said, in its order.
    tags: Tuple[str, ...]
    #: Other readings, best first, where more than one was asked for.
    alternatives: Tuple[Alternative, ...]
    #: Which segment of its stream, from 0.
    segment: int
    #: Seconds from the start of the stream to that of the segment.
    start: float
    #: Seconds of audio heard.
    time: float


@dataclass(frozen=True)
class Endpoint:
    """Event: the end of a segment was found."""

    #: Seconds from the start of the stream.
    time: float


Event = Union[Partial, Final, Endpoint]


@dataclass(frozen=True)
class Transcript:
    """All that was said in a file or an array."""

    #: Its segments that have words.
    segments: Tuple[Final, ...]
    #: Seconds of audio.
    duration: float
    #: What was wrong with the audio without being an error.
    warnings: Tuple[str, ...]
    #: The file, if it was one.
    path: Optional[str]

    @property
    def text(self) -> str:
        """The words of all segments; empty if nothing was said."""
        return " ".join(segment.text for segment in self.segments)

    @property
    def words(self) -> Tuple[Word, ...]:
        """The words of all segments with their times."""
        return tuple(word for segment in self.segments for word in segment.words)

    @property
    def alternatives(self) -> Tuple[Alternative, ...]:
        """Readings of the only segment; nothing if there are several."""
        return self.segments[0].alternatives if len(self.segments) == 1 else ()

    def to_dict(self) -> Dict[str, Any]:
        """Bare lists and dictionaries, with the keys of the program's JSON (``word``, ``start``, ``end``, ``conf``)."""
        written = [_word(word) for segment in self.segments for word in segment.written]
        return {
            "file": self.path,
            "duration": round(self.duration, 3),
            "text": self.text,
            "result": [_word(word) for word in self.words],
            **({"written": written} if written else {}),
            "segments": [_segment(segment) for segment in self.segments],
            "warnings": list(self.warnings),
        }

    def to_json(self) -> str:
        """:meth:`to_dict` as a line of JSON."""
        return json.dumps(self.to_dict())


@dataclass(frozen=True)
class Outcome:
    """What came of one of many: ``transcript`` or ``error``."""

    #: Its place among the inputs, from 0.
    index: int
    #: The file, or a name for what has none.
    path: str
    transcript: Optional[Transcript]
    error: Optional[Exception]

    @property
    def text(self) -> str:
        """The words; empty if it failed."""
        return self.transcript.text if self.transcript else ""

    def get(self) -> Transcript:
        """The transcript; raises the error if there is one."""
        if self.error is not None:
            raise self.error
        assert self.transcript is not None
        return self.transcript


@dataclass(frozen=True)
class Progress:
    """How far :meth:`Recognizer.transcribe_many` is."""

    done: int
    #: Of them, those that failed.
    failed: int
    #: How many there are; ``None`` if that is not known.
    total: Optional[int]
    #: Seconds of audio transcribed.
    audio: float
    #: Seconds since the start.
    elapsed: float


def _word(word: Word) -> Dict[str, Any]:
    return {"word": word.word, "start": word.start, "end": word.end, "conf": word.confidence}


def _segment(segment: Final) -> Dict[str, Any]:
    words = segment.words
    span = (words[0].start, words[-1].end) if words else (segment.start, segment.time)
    found: Dict[str, Any] = {"start": span[0], "end": span[1], "text": segment.text}
    if segment.tags:
        found["tags"] = list(segment.tags)
    if segment.alternatives:
        found["alternatives"] = [
            {"text": a.text, "score": a.score, "confidence": a.confidence} for a in segment.alternatives
        ]
    return found


def _words(found: Iterable[Dict[str, Any]]) -> Tuple[Word, ...]:
    return tuple(Word(w["word"], w["start"], w["end"], w["conf"]) for w in found)


def final(found: Dict[str, Any]) -> Final:
    """A segment from what the native half says."""
    return Final(
        found["text"],
        _words(found["result"]),
        _words(found.get("written", ())),
        tuple(found.get("tags", ())),
        tuple(Alternative(a["text"], a["score"], a["confidence"]) for a in found.get("alternatives", ())),
        found["segment"],
        found["start"],
        found["time"],
    )


def event(told: str) -> Optional[Event]:
    """An event from what the native half says; ``None`` for what is none of ours."""
    from ._errors import Error

    found = json.loads(told)
    kind = found["event"]
    if kind == "partial":
        return Partial(found["partial"], found["confirmed"], found["tentative"], found["time"])
    if kind == "final":
        return final(found)
    if kind == "endpoint":
        return Endpoint(found["time"])
    if kind == "error":
        raise Error(found["message"])
    return None


def transcript(told: str, path: Optional[str]) -> Transcript:
    """A transcript from what the native half says."""
    found = json.loads(told)
    segments = tuple(final(segment) for segment in found["segments"])
    return Transcript(segments, found["duration_s"], tuple(found["warnings"]), path)
