"""Rows of a table for the clusters: a row in is a row out, what fails is told in a column."""

from __future__ import annotations

import functools
import json
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ._errors import Error, ReadError
from ._many import many
from ._options import encode, resolved
from ._recognizer import Recognizer
from ._results import Transcript

#: Columns that are added to a row.
COLUMNS = ("text", "words", "duration", "error")


@functools.lru_cache(maxsize=2)
def _loaded(model: Optional[str], precision: Optional[str], options: str) -> Recognizer:
    return Recognizer(model, precision=precision, **json.loads(options))


class Rows:
    """Transcribes rows with a recogniser that is loaded once a process, when the first rows come.

    Until then it holds options and nothing else, so it is small when it is sent to another machine; files that options name are read
    where it is made.
    """

    def __init__(
        self,
        model: Optional[str] = None,
        *,
        precision: Optional[str] = None,
        jobs: int = 1,
        **options: Any,
    ) -> None:
        if jobs < 1:
            raise ValueError("jobs must be 1 or more")
        self.jobs = jobs
        self._loading = (model, precision, encode(resolved(options)))

    @property
    def recognizer(self) -> Recognizer:
        """What recognises, in this process."""
        return _loaded(*self._loading)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
        """What was said in each of ``rows``, in their order.

        A row has ``bytes`` (the contents of an audio file), or ``samples`` and ``rate``, or else ``path``, which is read here.
        """
        recognizer = self.recognizer

        def run(row: Any, name: str, stop: Any) -> Optional[Transcript]:
            path = row.get("path")
            name = str(path) if path is not None else name
            try:
                if row.get("bytes") is not None:
                    return recognizer._run(row["bytes"], None, name, encode(recognizer._options), stop)
                if row.get("samples") is not None:
                    return recognizer._run(row["samples"], row["rate"], name, encode(recognizer._options), stop)
                if path is None:
                    raise TypeError("the row has no path, no bytes and no samples")
                if "://" in name:
                    contents = _fetched(name)
                    return recognizer._run(contents, None, name, encode(recognizer._options), stop)
                return recognizer._run(name, None, name, encode(recognizer._options), stop)
            except Error as error:
                if error.path is None:
                    error.path = name
                raise

        return [_row(outcome) for outcome in many(run, rows, self.jobs, True, None)]


def _fetched(address: str) -> bytes:
    """The contents of what stands in a store that pyarrow knows (``s3://``, ``gs://``, ``hdfs://``, ``file://``)."""
    from pyarrow import fs

    try:
        system, path = fs.FileSystem.from_uri(address)
        with system.open_input_stream(path) as stream:
            return stream.read()
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        raise ReadError(f"cannot read {address}: {error}", address, number, str(error)) from None


def _row(outcome: Any) -> Dict[str, Any]:
    found = outcome.transcript
    if found is None:
        return {"text": None, "words": None, "duration": None, "error": str(outcome.error)}
    words = [{"word": w.word, "start": w.start, "end": w.end, "conf": w.confidence} for w in found.words]
    return {"text": found.text, "words": words, "duration": found.duration, "error": None}
