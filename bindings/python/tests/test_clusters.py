"""What the clusters' modules share, without a cluster: each is a function of rows."""

import pickle

import numpy as np
import pytest
import vivavoce
from common import CLIPS, HARBOUR, KITCHEN

ROWS_OF = ["ray", "spark", "dask"]
pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def expected():
    return {str(path): vivavoce.transcribe(path) for path in (KITCHEN, HARBOUR)}


@pytest.fixture
def paths(tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    return [str(KITCHEN), str(broken), str(tmp_path / "gone.wav"), str(HARBOUR)]


def check(rows, paths, expected):
    assert [row["path"] for row in rows] == paths
    for row in rows:
        found = expected.get(row["path"])
        if found is None:
            assert row["text"] is None and row["words"] is None
            assert row["path"] in row["error"]
        else:
            assert (row["text"], row["error"]) == (found.text, None)
            assert [word["word"] for word in row["words"]] == [word.word for word in found.words]
            assert [word["end"] for word in row["words"]] == [word.end for word in found.words]
            assert row["duration"] == pytest.approx(found.duration)


def with_bytes(paths):
    contents = []
    for path in paths:
        try:
            with open(path, "rb") as file:
                contents.append(file.read())
        except FileNotFoundError:
            contents.append(b"")
    return contents


def test_ray_rows_in_are_rows_out_for_every_kind_of_batch(paths, expected):
    import vivavoce.ray

    transcribe = vivavoce.ray.Transcribe()
    contents = with_bytes(paths)
    columns = {"path": paths, "speaker": [1, 2, 3, 4]}
    batches = [
        pa.table(columns),
        pa.table({**columns, "bytes": contents}),
        {"path": np.array(paths, object), "speaker": np.arange(1, 5), "bytes": np.array(contents, object)},
        pd.DataFrame({**columns, "bytes": contents}),
    ]
    for batch in batches:
        table = transcribe(batch)
        assert table.column_names == ["path", "speaker", "text", "words", "duration", "error"]
        assert table.column("speaker").to_pylist() == [1, 2, 3, 4]
        check(table.to_pylist(), paths, expected)
    assert transcribe(pa.table({"path": pa.array([], pa.string())})).num_rows == 0


def test_ray_takes_decoded_audio(expected):
    import vivavoce.ray
    import wave

    with wave.open(str(KITCHEN)) as clip:
        samples, rate = np.frombuffer(clip.readframes(clip.getnframes()), np.int16), clip.getframerate()
    batch = {"amplitude": [(samples / 32768).astype(np.float32)[None].tolist()], "sample_rate": [rate], "path": [str(KITCHEN)]}
    check(vivavoce.ray.Transcribe()(batch).to_pylist(), [str(KITCHEN)], expected)


def test_spark_takes_and_gives_tables(paths, expected):
    from vivavoce.spark import Transcribe

    transcribe = pickle.loads(pickle.dumps(Transcribe()))
    tables = [
        pd.DataFrame({"path": paths[:2], "content": with_bytes(paths[:2]), "length": [1, 2]}, index=[7, 3]),
        pd.DataFrame({"path": paths[2:], "length": [3, 4]}),
        pd.DataFrame({"path": [], "length": []}),
    ]
    out = list(transcribe(iter(tables)))
    assert [len(table) for table in out] == [2, 2, 0]
    assert list(out[0].columns) == ["path", "length", "text", "words", "duration", "error"]
    rows = [row for table in out for row in table.astype(object).where(table.notna(), None).to_dict("records")]
    assert [row["length"] for row in rows] == [1, 2, 3, 4]
    check(rows, paths, expected)


def test_dask_takes_paths_and_rows(paths, expected):
    from vivavoce.dask import Transcribe

    transcribe = pickle.loads(pickle.dumps(Transcribe(jobs=2)))
    check(transcribe(paths), paths, expected)
    rows = [{"path": path, "bytes": contents, "id": i} for i, (path, contents) in enumerate(zip(paths, with_bytes(paths)))]
    out = transcribe(rows)
    check(out, paths, expected)
    assert [row["id"] for row in out] == [0, 1, 2, 3]
    assert "bytes" not in out[0]
    assert transcribe([{"id": 9}])[0]["error"]


def test_choices_reach_the_recogniser_and_what_is_none_is_refused():
    from vivavoce.dask import Transcribe

    assert Transcribe(grammar=["good night"], endpoints=False)([str(KITCHEN)])[0]["text"] == "[unk]"
    with pytest.raises(TypeError, match="beems"):
        Transcribe(beems=3)


def test_addresses_are_read_where_the_row_is(tmp_path, expected):
    from vivavoce.dask import Transcribe

    rows = Transcribe()([KITCHEN.as_uri(), (CLIPS / "gone.wav").as_uri(), "nosuch://x/y"])
    assert rows[0]["text"] == expected[str(KITCHEN)].text
    assert "gone.wav" in rows[1]["error"] and "nosuch" in rows[2]["error"]
