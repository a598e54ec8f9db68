"""Speech recognition that writes while you are still speaking, with a model for English inside.

>>> import vivavoce
>>> vivavoce.transcribe("speech.wav").text

:class:`Recognizer` has the choices; :meth:`Recognizer.session` is a live stream; :meth:`Recognizer.transcribe_many` uses all cores.
``vivavoce.ray``, ``vivavoce.spark`` and ``vivavoce.dask`` are for clusters. Times are in seconds, rates in Hz.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Optional, Union

from ._errors import (
    AudioError,
    ConfigError,
    Error,
    ListError,
    MissingError,
    ModelError,
    ReadError,
    SamplesError,
    UsageError,
)
from ._native import __version__
from ._options import Endpoints, Options
from ._recognizer import Recognizer, default
from ._results import Alternative, Endpoint, Event, Final, Outcome, Partial, Progress, Transcript, Word
from ._session import Session

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._samples import Audio, Item

__all__ = [
    "Alternative",
    "AudioError",
    "ConfigError",
    "Endpoint",
    "Endpoints",
    "Error",
    "Event",
    "Final",
    "ListError",
    "MissingError",
    "ModelError",
    "Options",
    "Outcome",
    "Partial",
    "Progress",
    "ReadError",
    "Recognizer",
    "SamplesError",
    "Session",
    "Transcript",
    "UsageError",
    "Word",
    "__version__",
    "transcribe",
    "transcribe_many",
]


def transcribe(audio: "Audio", rate: Optional[int] = None, **options: "Unpack[Options]") -> Transcript:
    """:meth:`Recognizer.transcribe` with the model inside."""
    return default().transcribe(audio, rate, **options)


def transcribe_many(
    items: "Iterable[Item]",
    *,
    jobs: Optional[int] = None,
    ordered: bool = False,
    progress: Union[bool, Callable[[Progress], None], None] = None,
    **options: "Unpack[Options]",
) -> Iterator[Outcome]:
    """:meth:`Recognizer.transcribe_many` with the model inside."""
    return default().transcribe_many(items, jobs=jobs, ordered=ordered, progress=progress, **options)


def __dir__() -> "list[Any]":
    return __all__
