"""Spark on two cores, where there is a Java for it."""

import os
import shutil
import sys

import pytest
from common import CLIPS, program

sql = pytest.importorskip("pyspark.sql")
pytest.importorskip("pandas")
pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="no Java")


@pytest.fixture(scope="module")
def spark():
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    builder = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "4")
    session = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calls")
    clips = sorted(path for path in CLIPS.glob("*.wav") if path.stat().st_size < 400_000)
    for clip in clips:
        shutil.copy(clip, folder)
    (folder / "broken.wav").write_bytes(b"RIFF")
    said = program(*clips)
    return folder, {os.path.basename(path): found for path, found in said.items()}


def test_files_say_what_the_program_says(spark, calls):
    import vivavoce.spark

    folder, expected = calls
    files = spark.read.format("binaryFile").load(f"{folder}/*.wav").repartition(3)
    said = vivavoce.spark.transcribe(files)
    assert said.columns == ["path", "modificationTime", "length", "text", "words", "duration", "error"]
    rows = {os.path.basename(row.path): row for row in said.collect()}
    assert sorted(rows) == sorted([*expected, "broken.wav"])
    assert rows.pop("broken.wav").error
    for name, row in rows.items():
        assert (row.text, row.error) == (expected[name]["text"], None)
        assert [word.asDict() for word in row.words] == expected[name]["result"]


def test_a_function_of_a_column_says_the_same(spark, calls):
    from vivavoce.spark import transcribe_udf

    folder, expected = calls
    files = spark.read.format("binaryFile").load(f"{folder}/*.wav")
    said = files.select("path", transcribe_udf()("content").alias("said"))
    rows = {os.path.basename(row.path): row.said for row in said.collect()}
    assert rows.pop("broken.wav").error
    assert {name: said.text for name, said in rows.items()} == {name: found["text"] for name, found in expected.items()}
