"""Ray on two cores: nothing is lost, nothing is doubled."""

import os
import shutil

import pytest
from common import CLIPS, ROOT, program

ray = pytest.importorskip("ray")

pyarrow = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=150_000_000, log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Sixty clips by 60 names, and a broken one in the middle; what the program says of them."""
    folder = tmp_path_factory.mktemp("calls")
    clips = sorted(path for path in CLIPS.glob("*.wav") if path.stat().st_size < 400_000)
    assert len(clips) > 4
    paths = []
    for i in range(60):
        clip = clips[i % len(clips)]
        paths.append(str(shutil.copy(clip, folder / f"{i:02}-{clip.name}")))
    said = program(*clips)
    expected = {path: said[str(clips[i % len(clips)])] for i, path in enumerate(paths)}
    broken = folder / "30-broken.wav"
    broken.write_bytes(b"RIFF no more")
    paths.insert(30, str(broken))
    return paths, expected, str(broken)


def check(rows, files):
    paths, expected, broken = files
    assert sorted(row["path"] for row in rows) == sorted(paths)
    for row in rows:
        if row["path"] == broken:
            assert row["text"] is None and broken in row["error"]
        else:
            found = expected[row["path"]]
            assert row["text"] == found["text"]
            assert row["words"] == found["result"]
            assert row["error"] is None


def test_sixty_files_say_what_the_program_says(cluster, files):
    import vivavoce.ray

    calls = ray.data.read_binary_files(files[0], include_paths=True)
    said = calls.map_batches(vivavoce.ray.Transcribe, batch_size=4, num_cpus=0.5, compute=ray.data.ActorPoolStrategy(size=2))
    rows = said.take_all()
    assert "bytes" not in rows[0]
    check(rows, files)


def killed_once(mark):
    """A transcriber whose actor dies in the middle of its work, the first time."""
    import vivavoce.ray

    class Killed(vivavoce.ray.Transcribe):
        def __call__(self, batch):
            table = super().__call__(batch)
            if any("20-" in path for path in table.column("path").to_pylist()) and not os.path.exists(mark):
                open(mark, "w").close()
                os._exit(1)
            return table

    return Killed


def test_an_actor_that_is_killed_loses_and_doubles_nothing(cluster, files, tmp_path):
    mark, out = str(tmp_path / "killed"), str(tmp_path / "out")
    calls = ray.data.from_items([{"path": path} for path in files[0]], override_num_blocks=12)
    said = calls.map_batches(killed_once(mark), batch_size=4, num_cpus=0.5, compute=ray.data.ActorPoolStrategy(size=2))
    said.write_parquet(out)
    assert os.path.exists(mark)
    check(pyarrow.read_table(out).to_pylist(), files)


def test_what_is_written_is_not_done_again(cluster, files, tmp_path):
    from vivavoce.ray import remaining, transcribe_files

    out = str(tmp_path / "out")
    paths = files[0]
    assert remaining(paths, out) == paths
    assert transcribe_files(paths[:20], out, batch_size=5) == 20
    assert remaining(paths, out) == paths[20:]
    assert transcribe_files(paths, out, batch_size=8, latency="balanced") == 41
    assert transcribe_files(paths, out) == 0
    check(pyarrow.read_table(out).to_pylist(), files)
    assert str(ROOT) not in out
