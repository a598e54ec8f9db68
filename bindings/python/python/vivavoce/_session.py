"""A stream."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, AsyncIterable, AsyncIterator, Iterable, Iterator, List, Union

from . import _native
from ._results import Event, event

if TYPE_CHECKING:
    from ._samples import Samples


class Session:
    """One stream: samples go in, events come out while the person is still speaking.

    Made by :meth:`Recognizer.session`. A session is small (0.3 MB); what computes is shared. Calls from several threads wait for
    each other; the interpreter's lock is free while a call computes.

    >>> session = recognizer.session(rate=8000)
    >>> for chunk in chunks:
    ...     for event in session.accept(chunk):
    ...         print(event)
    >>> session.finish()
    """

    def __init__(self, native: _native.Session) -> None:
        self._native = native

    def accept(self, samples: "Samples") -> List[Event]:
        """Hears the next samples, of any number, and gives what that led to.

        ``samples``: bytes of signed 16-bit samples in the machine's byte order (mono), or an array or buffer of int16, int32,
        float32 or float64 (floats in [-1, 1]), of shape ``[n]`` or with a second axis for channels, which are averaged.

        Raises ``SamplesError`` if a sample is not finite or far outside of [-1, 1] (nothing of the call is heard then),
        ``UsageError`` after :meth:`finish`, ``TypeError`` for other objects.
        """
        return _events(self._native.accept(samples))

    def finish(self) -> List[Event]:
        """Ends the stream, so that its last words come out. Does nothing the second time."""
        return _events(self._native.finish())

    def cut(self) -> List[Event]:
        """Ends the segment here and lets its last word come out; listening goes on."""
        return _events(self._native.cut())

    def reset(self) -> None:
        """Begins a new stream with the same options."""
        self._native.reset()

    def events(self, chunks: "Iterable[Samples]") -> Iterator[Event]:
        """Hears all of ``chunks``, each as :meth:`accept` takes it, and gives the events as they come."""
        for chunk in chunks:
            yield from self.accept(chunk)
        yield from self.finish()

    async def events_async(self, chunks: "Union[AsyncIterable[Samples], Iterable[Samples]]") -> AsyncIterator[Event]:
        """As :meth:`events`, for ``async for``; another thread computes."""
        async for chunk in _each(chunks):
            for told in await asyncio.to_thread(self.accept, chunk):
                yield told
        for told in await asyncio.to_thread(self.finish):
            yield told

    @property
    def rate(self) -> int:
        """Samples a second that it wants."""
        return self._native.rate_hz

    @property
    def time(self) -> float:
        """Seconds of audio heard."""
        return self._native.time_s

    @property
    def hears_voice(self) -> bool:
        """Whether somebody speaks; always true without endpoints."""
        return self._native.hears_voice

    def __repr__(self) -> str:
        return f"<vivavoce.Session at {self.time:.2f} s, {self.rate} Hz>"

    def __reduce__(self) -> Any:
        raise TypeError("a session cannot be pickled; pickle its recognizer")


async def _each(chunks: Any) -> AsyncIterator[Any]:
    if hasattr(chunks, "__aiter__"):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk


def _events(told: List[str]) -> List[Event]:
    return [found for found in map(event, told) if found is not None]
