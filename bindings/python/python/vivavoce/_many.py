"""Many at once."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Set, Union

from . import _native
from ._errors import Error
from ._results import Outcome, Progress, Transcript

#: Seconds after which a wait looks for Ctrl-C, where a wait for a lock cannot be interrupted.
_LOOK = 0.2
#: Outcomes that wait for one before them, beside those in work.
_EARLY = 256

Run = Callable[[Any, str, _native.Stop], Optional[Transcript]]


def many(
    run: Run,
    items: Iterable[Any],
    jobs: int,
    ordered: bool,
    progress: Union[bool, Callable[[Progress], None], None],
) -> Iterator[Outcome]:
    """Runs all, ``jobs`` at once. Items are taken from their source as threads become free."""
    if isinstance(items, (str, bytes, os.PathLike)):
        raise TypeError("many items are a list of them; transcribe takes one")
    tell = _Teller(items, progress)
    return _work(run, iter(items), jobs, ordered, tell)


def _work(run: Run, items: Iterator[Any], jobs: int, ordered: bool, tell: "_Teller") -> Iterator[Outcome]:
    stop = _native.Stop()
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="vivavoce")
    pending: Set["Future[Optional[Outcome]]"] = set()
    early: Dict[int, Outcome] = {}
    due = taken = 0
    more = True
    try:
        while more or pending:
            while more and len(pending) < 2 * jobs and len(early) < _EARLY:
                try:
                    item = next(items)
                except StopIteration:
                    more = False
                    break
                pending.add(pool.submit(_one, run, taken, item, stop))
                taken += 1
            done, pending = wait(pending, _LOOK, FIRST_COMPLETED)
            for outcome in _found(done):
                tell(outcome)
                if not ordered:
                    yield outcome
                    continue
                early[outcome.index] = outcome
                while due in early:
                    yield early.pop(due)
                    due += 1
    finally:
        stop.set()
        for future in pending:
            future.cancel()
        pool.shutdown(wait=True)
        tell.end()


def _found(done: Iterable["Future[Optional[Outcome]]"]) -> List[Outcome]:
    found = (future.result() for future in done)
    return sorted((outcome for outcome in found if outcome), key=lambda outcome: outcome.index)


def _one(run: Run, index: int, item: Any, stop: _native.Stop) -> Optional[Outcome]:
    if stop.is_set():
        return None
    path = os.fspath(item) if isinstance(item, (str, os.PathLike)) else f"(item {index})"
    try:
        found = run(item, path, stop)
    except Exception as error:
        if isinstance(error, Error) and error.path is None:
            error.path = path
        return Outcome(index, path, None, error)
    return None if found is None else Outcome(index, path, found, None)


class _Teller:
    """Counts, and tells whoever wants to know."""

    def __init__(self, items: Iterable[Any], progress: Union[bool, Callable[[Progress], None], None]) -> None:
        self.total = len(items) if hasattr(items, "__len__") else None  # type: ignore[arg-type]
        self.line = progress is True
        self.tell = progress if callable(progress) else None
        self.start = time.monotonic()
        self.done = self.failed = 0
        self.audio = 0.0

    def __call__(self, outcome: Outcome) -> None:
        self.done += 1
        self.failed += outcome.error is not None
        self.audio += outcome.transcript.duration if outcome.transcript else 0.0
        elapsed = time.monotonic() - self.start
        if self.tell:
            self.tell(Progress(self.done, self.failed, self.total, self.audio, elapsed))
        if self.line:
            total = "" if self.total is None else f" of {self.total}"
            failed = f", {self.failed} failed" if self.failed else ""
            speed = f", {self.audio / elapsed:.0f} times real time" if elapsed > 0.5 else ""
            self._print(f"{self.done}{total}{failed}, {self.audio:.0f} s of audio{speed}")

    def _print(self, text: str) -> None:
        if sys.stderr is not None and sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        elif self.done == self.total:
            print(text, file=sys.stderr)

    def end(self) -> None:
        """Ends the line."""
        if self.line and self.done and sys.stderr is not None and sys.stderr.isatty():
            print(file=sys.stderr)
