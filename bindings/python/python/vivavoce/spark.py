"""Spark: ``mapInPandas``, a row out for every row in.

>>> import vivavoce.spark
>>> files = spark.read.format("binaryFile").load("s3a://bucket/calls/*.flac")
>>> said = vivavoce.spark.transcribe(files)
>>> said.write.parquet("s3a://bucket/said")

Rows with audio are large: set ``spark.sql.execution.arrow.maxRecordsPerBatch`` to 16 or so. Needs ``pip install vivavoce[spark]``
here and vivavoce on the executors.
"""

from __future__ import annotations

from typing import Any, Iterator, Optional

import pandas as pd

from ._rows import COLUMNS, Rows

#: The columns that are added.
SCHEMA = "text string, words array<struct<word:string,start:double,end:double,conf:double>>, duration double, error string"

_AUDIO = ("content", "bytes")


class Transcribe:
    """The function for ``mapInPandas``: takes an iterator of tables and gives one.

    A row has ``content`` (as Spark's ``binaryFile`` gives it) or ``bytes``, or only ``path``, which the executor reads itself. All
    columns without audio are passed on; :data:`SCHEMA` is added. ``error`` tells what failed and is null otherwise. The model is
    loaded once a process. ``jobs``: threads, 1 unless said. All else as for :class:`vivavoce.Recognizer`.
    """

    def __init__(self, model: Optional[str] = None, *, jobs: int = 1, **options: Any) -> None:
        self._rows = Rows(model, jobs=jobs, **options)

    def __call__(self, tables: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for table in tables:
            audio = next((table[name] for name in _AUDIO if name in table), None)
            paths = table["path"] if "path" in table else None
            rows = [
                {
                    "path": None if paths is None else paths.iloc[i],
                    "bytes": None if audio is None or audio.iloc[i] is None else bytes(audio.iloc[i]),
                }
                for i in range(len(table))
            ]
            said = self._rows(rows)
            out = table.drop(columns=[name for name in (*_AUDIO, *COLUMNS) if name in table])
            for name in COLUMNS:
                out[name] = pd.Series([row[name] for row in said], index=out.index, dtype=_KINDS.get(name, object))
            yield out


_KINDS = {"duration": "float64"}


def transcribe(frame: Any, model: Optional[str] = None, *, jobs: int = 1, **options: Any) -> Any:
    """A table with what is said in each row of ``frame``; see :class:`Transcribe`."""
    kept = [field for field in frame.schema.fields if field.name not in (*_AUDIO, *COLUMNS)]
    columns = "".join(f"`{field.name}` {field.dataType.simpleString()}, " for field in kept)
    return frame.mapInPandas(Transcribe(model, jobs=jobs, **options), columns + SCHEMA)


def transcribe_udf(model: Optional[str] = None, *, jobs: int = 1, **options: Any) -> Any:
    """A pandas UDF over a column of audio or of paths: ``frame.select("path", transcribe_udf()("content").alias("said"))``.

    Its value is a structure with the columns of :data:`SCHEMA`.
    """
    from pyspark.sql.functions import pandas_udf

    rows = Rows(model, jobs=jobs, **options)

    def said(columns: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        for column in columns:
            given = [{"path": value} if isinstance(value, str) else {"bytes": value} for value in column]
            yield pd.DataFrame(rows(given), columns=list(COLUMNS))

    return pandas_udf(said, f"struct<{_nested(SCHEMA)}>")  # type: ignore[call-overload]


def _nested(schema: str) -> str:
    """A schema of columns as the inside of a structure."""
    return ",".join(column.replace(" ", ":", 1) for column in schema.split(", "))


__all__ = ["SCHEMA", "Transcribe", "transcribe", "transcribe_udf"]
