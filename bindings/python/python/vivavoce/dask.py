"""Dask: a bag of paths or of rows, a row out for every row in.

>>> import dask.bag, vivavoce.dask
>>> calls = dask.bag.from_sequence(paths, partition_size=50)
>>> vivavoce.dask.transcribe(calls).to_dataframe(meta=vivavoce.dask.META).to_parquet("said")

Needs ``pip install vivavoce[dask]`` here and vivavoce on the workers.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Optional, Union

from ._rows import Rows

#: Names and kinds of the columns of :func:`transcribe`, for ``to_dataframe``.
META = {"path": "object", "text": "object", "words": "object", "duration": "float64", "error": "object"}


class Transcribe:
    """The function for ``Bag.map_partitions``: takes paths or rows and gives rows.

    A row is a path, or a dictionary with ``bytes`` (the contents of a file), or ``samples`` and ``rate``, or ``path``. All else in it
    is passed on; ``text``, ``words``, ``duration`` and ``error`` are added. ``error`` tells what failed and is ``None`` otherwise. The
    model is loaded once a process, whatever the number of its threads. ``jobs``: threads for a partition, 1 unless said: a worker
    has threads of its own. All else as for :class:`vivavoce.Recognizer`.
    """

    def __init__(self, model: Optional[str] = None, *, jobs: int = 1, **options: Any) -> None:
        self._rows = Rows(model, jobs=jobs, **options)

    def __call__(self, items: Iterable[Union[str, Mapping[str, Any]]]) -> List[Dict[str, Any]]:
        rows = [{"path": item} if isinstance(item, str) else dict(item) for item in items]
        said = self._rows(rows)
        audio = ("bytes", "samples")
        return [
            {**{name: value for name, value in row.items() if name not in audio}, **told} for row, told in zip(rows, said)
        ]


def transcribe(bag: Any, model: Optional[str] = None, *, jobs: int = 1, **options: Any) -> Any:
    """A bag with what is said in each item of ``bag``; see :class:`Transcribe`."""
    return bag.map_partitions(Transcribe(model, jobs=jobs, **options))


def preload(model: Optional[str] = None, **options: Any) -> Any:
    """A plugin that has workers load the model when they start: ``client.register_plugin(vivavoce.dask.preload())``."""
    from distributed import WorkerPlugin

    rows = Rows(model, **options)

    class Preload(WorkerPlugin):
        name = "vivavoce"

        def setup(self, worker: Any) -> None:
            rows.recognizer  # noqa: B018

    return Preload()


__all__ = ["META", "Transcribe", "preload", "transcribe"]
