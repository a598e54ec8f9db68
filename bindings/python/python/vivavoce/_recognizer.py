"""The recogniser."""

from __future__ import annotations

import asyncio
import functools
import os
from typing import TYPE_CHECKING, Any, AsyncIterator, Callable, Dict, Iterable, Iterator, Optional, Union

from . import _native
from ._many import many
from ._options import check, encode, resolved
from ._results import Outcome, Progress, Transcript, transcript
from ._session import Session

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import Options
    from ._samples import Audio, Item


class Recognizer:
    """A model that recognises, with choices that hold for all it is asked.

    Without ``model`` it is the one inside the package. A model is loaded once a process, whatever the number of recognisers, and
    its memory is shared by all threads. Recognisers can be pickled; where one is unpickled its model is loaded, if it is not there.

    >>> recognizer = Recognizer()
    >>> recognizer.transcribe("speech.wav").text

    ``model``: a model folder. ``precision``: ``"f32"`` or ``"int8"``; by default what the model holds. All else: see
    :class:`Options`; each call can choose otherwise.

    Raises ``ModelError`` or ``ReadError`` if the folder is not a model, ``ConfigError`` or ``ListError`` for choices that it does
    not allow, ``TypeError`` for options that there are not.
    """

    def __init__(
        self,
        model: "Union[str, os.PathLike[str], None]" = None,
        *,
        precision: Optional[str] = None,
        **options: "Unpack[Options]",
    ) -> None:
        self._folder = None if model is None else os.fspath(model)
        self._precision = precision
        self._options: Dict[str, Any] = resolved(options)
        self._native = _native.Model(self._folder, precision)
        self._native.check(encode(self._options))

    @property
    def model(self) -> Optional[str]:
        """The model folder; ``None`` for the model inside."""
        return self._folder

    @property
    def sample_rate(self) -> int:
        """Samples a second that the model hears. Any rate from 8 to 192 kHz can be given; it is resampled."""
        return self._native.sample_rate_hz

    def transcribe(
        self,
        audio: "Audio",
        rate: Optional[int] = None,
        *,
        name: Optional[str] = None,
        **options: "Unpack[Options]",
    ) -> Transcript:
        """Transcribes audio to its end.

        ``audio``: a path; the contents of an audio file as bytes, or an open file; or samples with ``rate`` in Hz, as
        :meth:`Session.accept` takes them. ``name`` stands in messages for what has no path. WAV of any kind, Ogg Opus, Ogg Vorbis,
        FLAC, MP3, M4A, AAC, AIFF, Matroska and WebM are understood, by content. All else: see :class:`Options`. The interpreter's
        lock is free meanwhile, and Ctrl-C breaks off.

        Raises ``ReadError`` (an ``OSError``; ``MissingError`` is a ``FileNotFoundError``) and ``AudioError`` with the file in
        ``path``, ``SamplesError`` and ``TypeError`` for what cannot be samples, ``ConfigError`` and ``ListError`` for the options.
        """
        found = self._run(audio, rate, name, self._encoded(options), None)
        assert found is not None
        return found

    async def transcribe_async(
        self,
        audio: "Audio",
        rate: Optional[int] = None,
        *,
        name: Optional[str] = None,
        **options: "Unpack[Options]",
    ) -> Transcript:
        """As :meth:`transcribe`, for ``await``: another thread computes. Cancelling the task stops it."""
        stop = _native.Stop()
        work = functools.partial(self._run, audio, rate, name, self._encoded(options), stop)
        try:
            found = await asyncio.get_running_loop().run_in_executor(None, work)
        except asyncio.CancelledError:
            stop.set()
            raise
        assert found is not None
        return found

    def transcribe_many(
        self,
        items: "Iterable[Item]",
        *,
        jobs: Optional[int] = None,
        ordered: bool = False,
        progress: Union[bool, Callable[[Progress], None], None] = None,
        **options: "Unpack[Options]",
    ) -> Iterator[Outcome]:
        """Transcribes many files, one on each core, and gives an :class:`Outcome` for each as it is done.

        ``items``: paths, contents of files, or ``(samples, rate)``; a list or anything that can be iterated over, which is read no
        faster than the work goes on. ``jobs``: files at once, by default one a core. ``ordered``: in the order of the items.
        ``progress``: ``True`` for a line on stderr, or a function that is called with :class:`Progress`. All else: see
        :class:`Options`.

        What fails does not raise: its outcome has ``error``, with the file's name. Whoever stops iterating, or presses Ctrl-C,
        stops the work.
        """
        if jobs is not None and jobs < 1:
            raise ValueError("jobs must be 1 or more")
        options_ = self._encoded(options)
        self._native.check(options_)

        def run(item: Any, name: str, stop: _native.Stop) -> Optional[Transcript]:
            audio, rate = item if isinstance(item, tuple) else (item, None)
            return self._run(audio, rate, name, options_, stop)

        return many(run, items, jobs or cores(), ordered, progress)

    async def transcribe_many_async(
        self,
        items: "Iterable[Item]",
        *,
        jobs: Optional[int] = None,
        ordered: bool = False,
        progress: Union[bool, Callable[[Progress], None], None] = None,
        **options: "Unpack[Options]",
    ) -> AsyncIterator[Outcome]:
        """As :meth:`transcribe_many`, for ``async for``."""
        outcomes = self.transcribe_many(items, jobs=jobs, ordered=ordered, progress=progress, **options)
        try:
            while True:
                outcome = await asyncio.to_thread(next, outcomes, None)
                if outcome is None:
                    return
                yield outcome
        finally:
            await asyncio.to_thread(outcomes.close)  # type: ignore[attr-defined]

    def session(self, rate: Optional[int] = None, **options: "Unpack[Options]") -> Session:
        """A stream of samples at ``rate`` Hz, by default :attr:`sample_rate`. All else: see :class:`Options`.

        Raises ``SamplesError`` if the rate is not in 8..192 kHz, ``ConfigError`` and ``ListError`` for the options.
        """
        rate = self.sample_rate if rate is None else _whole(rate)
        return Session(self._native.session(rate, self._encoded(options)))

    def _encoded(self, options: Any) -> str:
        return encode({**self._options, **resolved(options)} if options else self._options)

    def _run(
        self,
        audio: Any,
        rate: Optional[int],
        name: Optional[str],
        options: str,
        stop: Optional[_native.Stop],
    ) -> Optional[Transcript]:
        path = None
        if rate is not None:
            if isinstance(audio, (str, os.PathLike)):
                raise TypeError("a file tells its rate itself; leave rate out")
            told = self._native.transcribe_samples(audio, _whole(rate), options, stop)
        elif isinstance(audio, (str, os.PathLike)):
            path = os.fspath(audio)
            told = self._native.transcribe_file(path, options, stop)
        elif isinstance(audio, (bytes, bytearray, memoryview)):
            told = self._native.transcribe_contents(name or "(bytes)", bytes(audio), options, stop)
        elif hasattr(audio, "read"):
            label = name or getattr(audio, "name", None)
            contents = audio.read()
            if not isinstance(contents, bytes):
                raise TypeError("the file must be open for bytes: open(path, 'rb')")
            told = self._native.transcribe_contents(str(label or "(file)"), contents, options, stop)
        elif hasattr(audio, "__array__") or hasattr(audio, "__len__"):
            raise TypeError("samples need their rate: transcribe(samples, rate=16000)")
        else:
            raise TypeError(f"audio is a path, bytes, an open file or samples, not {type(audio).__name__}")
        return None if told is None else transcript(told, path or name)

    def __repr__(self) -> str:
        return f"<vivavoce.Recognizer of {self._folder or 'the model inside'}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recognizer) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self._folder, self._precision))

    def _key(self) -> Any:
        return self._folder, self._precision, self._options

    def __reduce__(self) -> Any:
        return _again, self._key()


def _again(folder: Optional[str], precision: Optional[str], options: Dict[str, Any]) -> Recognizer:
    return Recognizer(folder, precision=precision, **options)


def _whole(rate: Any) -> int:
    """A rate as a whole number of Hz."""
    try:
        whole = int(rate)
    except (TypeError, ValueError):
        raise TypeError(f"a rate is a number of Hz, not {rate!r}") from None
    if whole != rate or not 0 < whole < 2**32:
        raise ValueError(f"{rate!r} Hz is no rate")
    return whole


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.lru_cache(maxsize=None)
def default() -> Recognizer:
    """The model inside, loaded when it is first wanted."""
    return Recognizer()


__all__ = ["Recognizer", "check", "cores", "default"]
