"""Ray Data: a model an actor, a row out for every row in.

>>> import ray, vivavoce.ray
>>> calls = ray.data.read_binary_files("s3://bucket/calls/", include_paths=True)
>>> said = calls.map_batches(vivavoce.ray.Transcribe, batch_size=16, num_cpus=0.5, compute=ray.data.ActorPoolStrategy(size=8))
>>> said.write_parquet("s3://bucket/said/")

An actor uses one core while it computes. It claims half of one here, so that reading and writing find room beside as many actors as
there are cores: if actors claim all of them Ray waits for ever.

Needs ``pip install vivavoce[ray]``.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Iterable, List, Optional

import pyarrow as pa
import pyarrow.parquet

from ._rows import Rows

WORDS = pa.list_(
    pa.struct([("word", pa.string()), ("start", pa.float64()), ("end", pa.float64()), ("conf", pa.float64())])
)
#: The columns that are added.
SCHEMA = pa.schema([("text", pa.string()), ("words", WORDS), ("duration", pa.float64()), ("error", pa.string())])

#: The part of a core that an actor claims; what is left is for tasks that read and write.
_CLAIMED = 0.5
#: Columns with audio, which are not passed on.
_AUDIO = ("bytes", "amplitude", "sample_rate")


class Transcribe:
    """For ``Dataset.map_batches``; each actor has one and loads the model once.

    A row has ``bytes`` (as ``read_binary_files`` gives it), or ``amplitude`` and ``sample_rate`` (as ``read_audio`` does), or only
    ``path``, which the actor reads itself: from its own file system or from a store that pyarrow knows. All columns without audio
    are passed on, and ``text``, ``words`` (each with ``word``, ``start``, ``end``, ``conf``), ``duration`` in seconds and ``error``
    are added. ``error`` tells what failed and is null otherwise; nothing is raised for a row.

    ``jobs``: threads of an actor, 1 unless said. All else as for
    :class:`vivavoce.Recognizer`, through ``fn_constructor_kwargs``.
    """

    def __init__(self, model: Optional[str] = None, *, jobs: int = 1, **options: Any) -> None:
        self._rows = Rows(model, jobs=jobs, **options)
        # An actor that cannot load says so when it starts.
        self._rows.recognizer  # noqa: B018

    def __call__(self, batch: Any) -> pa.Table:
        table = _table(batch)
        names = table.column_names
        columns = {name: table.column(name) for name in ("path", *_AUDIO) if name in names}
        rows: List[Dict[str, Any]] = []
        for i in range(table.num_rows):
            row: Dict[str, Any] = {name: column[i].as_py() for name, column in columns.items()}
            if row.get("amplitude") is not None:
                row["samples"], row["rate"] = _samples(row.pop("amplitude")), row.pop("sample_rate", None)
            rows.append(row)
        said = pa.Table.from_pylist(self._rows(rows), schema=SCHEMA)
        kept = [name for name in names if name not in _AUDIO and name not in SCHEMA.names]
        out = table.select(kept)
        for field in SCHEMA:
            out = out.append_column(field, said.column(field.name))
        return out


def _table(batch: Any) -> pa.Table:
    """A batch of any format as a table."""
    if isinstance(batch, pa.Table):
        return batch
    if isinstance(batch, dict):
        return pa.table({name: _column(values) for name, values in batch.items()})
    return pa.Table.from_pandas(batch, preserve_index=False)


def _column(values: Any) -> Any:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    return pa.array([value.tolist() if hasattr(value, "tolist") else value for value in values])


def _samples(amplitude: Any) -> Any:
    import numpy

    return numpy.asarray(amplitude, dtype=numpy.float32)


def remaining(paths: Iterable[str], folder: str) -> List[str]:
    """Those of ``paths`` that no row of the Parquet files in ``folder`` tells of. A folder that is not there tells of none.

    What was broken off goes on where it was: ``transcribe_files(remaining(paths, out), out)``. Rows with an error count as done;
    remove them, or list them anew, to try again.
    """
    done = set()
    if os.path.isdir(folder):
        for name in sorted(os.listdir(folder)):
            if name.endswith(".parquet"):
                table = pa.parquet.read_table(os.path.join(folder, name), columns=["path"])
                done.update(table.column("path").to_pylist())
    return [path for path in paths if path not in done]


def transcribe_files(
    paths: Iterable[str],
    folder: str,
    *,
    actors: Optional[int] = None,
    batch_size: int = 16,
    **options: Any,
) -> int:
    """Transcribes files into Parquet files of ``folder``, leaving out those that are there already; gives the number of new rows.

    ``actors``: one a core of the cluster by default. Each batch of ``batch_size`` files is written when it is done, so that no more
    than the batches in work are done twice after an interruption. All else as for :class:`vivavoce.Recognizer`.
    """
    import ray

    left = remaining(paths, folder)
    if not left:
        return 0
    actors = actors or max(1, int(ray.cluster_resources().get("CPU", 1)))
    actors = min(actors, -(-len(left) // batch_size))
    blocks = -(-len(left) // batch_size)
    dataset = ray.data.from_items([{"path": path} for path in left], override_num_blocks=blocks)
    said = dataset.map_batches(
        Transcribe,
        batch_size=batch_size,
        num_cpus=_CLAIMED,
        compute=ray.data.ActorPoolStrategy(size=actors),
        fn_constructor_kwargs=json.loads(json.dumps(_kwargs(options))),
    )
    said.write_parquet(folder)
    return len(left)


def _kwargs(options: Dict[str, Any]) -> Dict[str, Any]:
    from ._options import resolved

    model, precision = options.pop("model", None), options.pop("precision", None)
    jobs = options.pop("jobs", 1)
    return {"model": model, "precision": precision, "jobs": jobs, **resolved(options)}


__all__ = ["SCHEMA", "Transcribe", "remaining", "transcribe_files"]
