"""What Python and Ray cost beside the program, as ratios within one run: python benches/python_figures.py PROGRAM FOLDER

FOLDER has audio files (200 short ones, say). Needs the wheel, built as the program was, and `ray[data]`; nothing else should run.
Prints a table; nothing is asserted but that every text is the program's."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = Path(sys.argv[1]).resolve()
FILES = sorted(str(path.resolve()) for path in Path(sys.argv[2]).iterdir())
ROUNDS = 2


def timed(work):
    """Wall-clock seconds, CPU seconds of this process and its children, and what `work` gave."""
    before, start = os.times(), time.perf_counter()
    result = work()
    wall, after = time.perf_counter() - start, os.times()
    return wall, sum(after[:4]) - sum(before[:4]), result


def program(jobs):
    listed = "".join(path + "\n" for path in FILES)
    command = [str(PROGRAM), "transcribe", "--files-from", "-", "--format", "jsonl", "--jobs", str(jobs)]
    out = subprocess.run(command, input=listed, text=True, capture_output=True, check=True).stdout
    return [json.loads(line)["text"] for line in out.splitlines()]


def python(jobs):
    """In a process of its own, as the program is."""
    code = (
        "import json, sys, vivavoce\n"
        "files = sys.stdin.read().splitlines()\n"
        "said = vivavoce.Recognizer().transcribe_many(files, jobs=int(sys.argv[1]), ordered=True)\n"
        "print(json.dumps([one.text for one in said]))"
    )
    command = [sys.executable, "-c", code, str(jobs)]
    return json.loads(subprocess.run(command, input="\n".join(FILES), text=True, capture_output=True, check=True).stdout)


def by_ray(folder, paths):
    import pyarrow.parquet

    import vivavoce.ray

    vivavoce.ray.transcribe_files(paths, folder, actors=2, batch_size=25)
    table = pyarrow.parquet.read_table(folder, columns=["path", "text"])
    said = dict(zip(table["path"].to_pylist(), table["text"].to_pylist()))
    return [said[path] for path in paths]


def main():
    import ray

    expected = program(2)
    import_s = [timed(lambda: subprocess.run([sys.executable, "-c", "import vivavoce"], check=True))[0] for _ in range(5)]
    empty_s = [timed(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))[0] for _ in range(5)]
    print(f"import vivavoce: {min(import_s) - min(empty_s):.3f} s beside an empty interpreter")
    rows = {"program, 1 job": lambda: program(1), "Python, 1 job": lambda: python(1), "program, 2 jobs": lambda: program(2), "Python, 2 jobs": lambda: python(2)}
    times = {name: [] for name in rows}
    for _ in range(ROUNDS):
        for name, work in rows.items():
            wall, cpu, said = timed(work)
            assert said == expected, name
            times[name].append((wall, cpu))
    for name, pairs in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*pairs))
        print(f"{name}: {wall:.2f} s, {cpu:.2f} s of CPU")
    start = time.perf_counter()
    ray.init(num_cpus=2, logging_level="error", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    print(f"Ray starts in {time.perf_counter() - start:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(ROUNDS):
            wall, _, said = timed(lambda: by_ray(f"{folder}/{round_}", FILES))
            assert said == expected, "Ray"
            print(f"Ray, 2 actors: {wall:.2f} s")


if __name__ == "__main__":
    main()
