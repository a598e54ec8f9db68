"""Dask on two threads of one worker."""

import pytest
from common import CLIPS, program

bag = pytest.importorskip("dask.bag")
distributed = pytest.importorskip("distributed")


def test_a_local_cluster_says_what_the_program_says(tmp_path):
    import vivavoce.dask

    clips = sorted(path for path in CLIPS.glob("*.wav") if path.stat().st_size < 400_000)
    said = program(*clips)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    paths = [str(path) for path in clips] * 3 + [str(broken)]
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client:
            client.register_plugin(vivavoce.dask.preload())
            rows = vivavoce.dask.transcribe(bag.from_sequence(paths, npartitions=6)).compute()
            frame = vivavoce.dask.transcribe(bag.from_sequence(paths[:2], npartitions=1)).to_dataframe(meta=vivavoce.dask.META)
            table = frame.compute()
    assert [row["path"] for row in rows] == paths
    assert "broken.wav" in rows[-1]["error"]
    for row in rows[:-1]:
        assert (row["text"], row["words"], row["error"]) == (said[row["path"]]["text"], said[row["path"]]["result"], None)
    assert list(table["text"]) == [row["text"] for row in rows[:2]]
