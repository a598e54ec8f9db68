"""Choices of a stream."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence, TypedDict, Union

from ._errors import ListError, unreadable

#: Words and phrases: lines of text, a sequence of them, a mapping to boosts in nats, or the path of a file.
WordList = Union[str, Sequence[str], Mapping[str, float], "os.PathLike[str]"]


class Endpoints(TypedDict, total=False):
    """Where segments end; what is absent is as the library has it. Lengths are in seconds."""

    #: Silence after which a segment without words is over (2.4).
    silence_s: float
    #: Silence after which a segment with words is over (1.2).
    after_speech_s: float
    #: Length at which a segment is cut behind its last confirmed word (20).
    utterance_s: float
    #: Whether the network forgets what it has heard (no).
    reset: bool
    #: Whether the network sleeps in silence (yes in a session, no for files).
    sleep: bool
    #: Audio before a voice was noticed that is heard when the network wakes (0.5).
    pre_roll_s: float
    #: Score in 0..1 from which sound is a voice; lower hears fainter ones (0.5).
    voice_threshold: float


class Options(TypedDict, total=False):
    """Choices of a stream; what is absent is as the model has it."""

    #: ``"low"``, ``"balanced"`` or ``"accurate"``.
    latency: str
    #: ``"beam"``, ``"tokens"`` or ``"greedy"``.
    search: str
    #: Hypotheses kept.
    beam: int
    #: Factor of the language model.
    lm_weight: float
    #: Nats added for every word.
    word_bonus: float
    #: Words and phrases to expect: ``["new york", "kowalczyk : 4", "nguyen = W IH N"]``, ``{"kowalczyk": 4}``, or a ``Path``.
    hotwords: WordList
    #: The only phrases to expect: a phrase a line, JSGF, or a ``Path``; anything else is ``[unk]``.
    grammar: WordList
    #: Cost, in nats, of each sound of speech that is no phrase of the grammar (2).
    unknown_cost: float
    #: Write numbers as digits.
    digits: bool
    #: Write sentence ends, commas and capitals.
    punctuate: bool
    #: Other readings of each segment, at most.
    alternatives: int
    #: Whether a session tells whenever the words change (yes).
    partials: bool
    #: Where segments end; ``False``: one until the end.
    endpoints: Union[bool, Endpoints]


NAMES = frozenset(Options.__annotations__)


def check(options: Mapping[str, Any]) -> None:
    """Raises ``TypeError`` for an option that there is not."""
    for name in options:
        if name not in NAMES:
            raise TypeError(f"there is no option {name!r}; there are {', '.join(sorted(NAMES))}")


def _text(name: str, path: Path) -> Dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise unreadable(f"cannot read {path}: {error.strerror}", path, error.errno, error.strerror or "") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ListError(f"{path}: line {line}: not UTF-8", path, line) from None
    return {"name": str(path), "text": text}


def _list(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return {"name": f"({name})", "text": value}
    if isinstance(value, os.PathLike):
        return _text(name, Path(os.fspath(value)))
    if isinstance(value, Mapping):
        lines = [f"{word} : {boost}" for word, boost in value.items()]
    elif isinstance(value, Sequence) and all(isinstance(line, str) for line in value):
        lines = list(value)
    else:
        kind = type(value).__name__
        raise TypeError(f"{name} is text, a sequence of lines, a mapping to boosts or a Path, not {kind}")
    return {"name": f"({name})", "text": "\n".join(lines)}


def resolved(options: Mapping[str, Any]) -> Dict[str, Any]:
    """Options with the contents of the files that they name, so that they mean the same on every machine."""
    check(options)
    found = {name: value for name, value in options.items() if value is not None}
    for name in ("hotwords", "grammar"):
        # What was resolved before stays.
        if name in found and not (isinstance(found[name], dict) and set(found[name]) == {"name", "text"}):
            found[name] = _list(name, found[name])
    if isinstance(found.get("endpoints"), Mapping):
        found["endpoints"] = dict(found["endpoints"])
    return found


def encode(options: Mapping[str, Any]) -> str:
    """Options as the native half reads them."""
    try:
        return json.dumps(options, allow_nan=False)
    except ValueError:
        raise ValueError("an option is not a finite number") from None
