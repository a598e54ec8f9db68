"""Lets system calls fail one by one, and takes away memory, files and disk: python3 benches/faults.py target/release/vivavoce (Linux, strace).

The program transcribes a folder of short files. Whatever fails, it must end by itself with 0, 1 or 2 and without a panic, each result must be there whole or
not at all, whatever is missing must be told with the name of a file that has to do with it, and a run with --resume must bring the rest.
"""

import argparse
import collections
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
import wave
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "tests/golden/plain"
CLIPS = ["clock-float32-16000-mono", "edges-int16-16000-mono", "kitchen-int16-8000-mono", "window-uint8-8000-mono"]
FAULTS = {
    "openat": ["EACCES", "EMFILE", "ENOENT", "EINTR"],
    "read": ["EIO", "EINTR"],
    "lseek": ["EIO"],
    "statx": ["EIO", "EACCES", "ENOENT"],
    "getdents64": ["EIO"],
    "write": ["ENOSPC", "EIO", "EINTR"],
    "fdatasync": ["EIO", "ENOSPC"],
    "renameat": ["EIO", "EACCES"],
    "renameat2": ["EIO", "EACCES"],
    "mkdir": ["EACCES", "ENOSPC"],
    "flock": ["ENOLCK"],
    "clone3": ["EAGAIN"],
    "mmap": ["ENOMEM"],
    "getrandom": ["ENOSYS"],
}
# What a message names: a file or folder, the thread or signal that cannot be had, or how far the work is.
MESSAGE = re.compile(r"\.wav|\.txt|\.json|\.safetensors|\bin\b|\bout\b|\blong\b|plain|thread|Ctrl-C|stopped:")
# How the runtime ends a program that has no memory left.
NO_MEMORY = re.compile(r"memory allocation of \d+ bytes failed")


def strace(call, error, when):
    """What lets a call fail."""
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}"]


def join(path, to, times):
    with wave.open(str(path)) as one, wave.open(str(to), "wb") as many:
        many.setparams(one.getparams())
        many.writeframes(one.readframes(one.getnframes()) * times)


def is_gone_on_with(results, expected, said):
    """Whether a long file has each segment once: those of before it was broken off as they were, and others up to the end."""
    if results.keys() != expected.keys():
        return False
    found, wanted = (json.loads(*files.values()) for files in (results, expected))
    place = re.search(r"goes on at (\d+):(\d+):(\d+)", said)
    begin = sum(unit * int(part) for unit, part in zip((3600, 60, 1), place.groups())) if place else 0
    kept = [segment for segment in wanted["segments"] if segment["end"] <= begin]
    times = [time for segment in found["segments"] for time in (segment["start"], segment["end"])]
    whole = times == sorted(times) and times[-1] > begin and abs(found["duration"] - wanted["duration"]) < 0.1
    return whole and found["segments"][: len(kept)] == kept


class Matrix:
    def __init__(self, program, place):
        self.program, self.place = program, place
        self.counts, self.bad = collections.defaultdict(collections.Counter), []
        (place / "in").mkdir()
        for clip in CLIPS:
            shutil.copy(ROOT / "audio-samples" / f"{clip}.wav", place / "in")
        self.expected = self.run("expected") and self.results("expected")
        assert len(self.expected) == len(CLIPS), self.expected
        (place / "long").mkdir()
        join(ROOT / "audio-samples/story-int16-16000-mono.wav", place / "long/long.wav", 3)
        self.run("expected-long", source="long")
        self.expected_long = self.results("expected-long")

    def command(self, out, *more, source="in"):
        # Threads come and go in the same order with one job.
        return [self.program, "transcribe", source, "--model", MODEL, "--output-dir", out, "--format", "json", "--jobs", "1", *more]

    def run(self, out, *more, before=(), source="in", **how):
        return subprocess.run([*before, *self.command(out, *more, source=source)], cwd=self.place, capture_output=True, text=True, errors="replace", timeout=60, **how)

    def results(self, out):
        folder = self.place / out
        files = folder.iterdir() if folder.is_dir() else ()
        return {path.name: path.read_bytes() for path in files if not path.name.startswith(".")}

    def check(self, kind, name, ran, out, killed=False, source="in"):
        """What is wrong with a run, if anything."""
        results, wrong = self.results(out), []
        expected = self.expected if source == "in" else self.expected_long
        code, said = ran.returncode, ran.stderr
        if code == -signal.SIGABRT and NO_MEMORY.search(said):
            killed = True
        if not killed:
            if code not in (0, 1, 2):
                wrong.append(f"exit code {code}")
            if "panicked" in said:
                wrong.append("panicked")
            if code == 0 and results != expected:
                wrong.append("success without all results")
            unsaid = kind.startswith("write") and not said  # The message was one of the writes.
            if code != 0 and not unsaid and not MESSAGE.search(said):
                wrong.append("no file is named")
        if any(expected.get(name) != content for name, content in results.items()):
            wrong.append("a result that is not whole")
        again = self.run(out, "--resume", source=source)
        resumed = self.results(out)
        if again.returncode != 0 or not (resumed == expected or source == "long" and is_gone_on_with(resumed, expected, again.stderr)):
            wrong.append(f"not resumed: {again.returncode}, {again.stderr.strip()}")
        left = [path.name for path in (self.place / out).iterdir() if path.name.endswith(".part")]
        if left:
            wrong.append(f"left behind: {left}")
        shutil.rmtree(self.place / out, ignore_errors=True)
        outcome = "failed" if wrong else "killed" if killed else ("whole", "told", "refused")[code]
        self.counts[kind][outcome] += 1
        if wrong:
            self.bad.append(f"{kind}, {name}: {', '.join(wrong)}: {said.strip()[-300:]}")

    def calls(self, source="in"):
        """How often each call is made, and how often before the program itself begins."""
        log = self.place / "calls"
        self.run("calls-out", before=["strace", "-f", "-qq", "-o", log], source=source)
        shutil.rmtree(self.place / "calls-out")
        before, all_calls, begun = collections.Counter(), collections.Counter(), False
        for line in log.read_text(errors="replace").splitlines():
            found = re.match(r"\d+\s+(\w+)\(", line)
            if not found:
                continue
            begun |= f'"{source}' in line and found[1] != "execve"
            all_calls[found[1]] += 1
            before[found[1]] += not begun
        return before, all_calls

    def system_calls(self):
        before, calls = self.calls()
        for call, errors in FAULTS.items():
            for error in errors:
                for at in range(before[call] + 1, calls[call] + 1):
                    ran = self.run("out", before=strace(call, error, at))
                    self.check(f"{call}: {error}", f"call {at}", ran, "out")
                if error not in ("EINTR", "ENOLCK", "ENOSYS") and calls[call] > before[call]:
                    middle = before[call] + (calls[call] - before[call]) // 2
                    ran = self.run("out", before=strace(call, error, f"{middle}+"))
                    self.check(f"{call}: {error}", "from the middle on", ran, "out")

    def long(self):
        """One long file, whose segments are kept beside its result while it is under way."""
        before, calls = self.calls("long")
        for call, errors in FAULTS.items():
            for error in errors if call in ("openat", "read", "write", "fdatasync", "renameat", "statx", "flock") else ():
                step = 1 + calls[call] // 60
                for at in range(before[call] + 1, calls[call] + 1, step):
                    ran = self.run("out", before=strace(call, error, at), source="long")
                    self.check(f"long file, {call}: {error}", f"call {at}", ran, "out", source="long")
        dice = random.Random(2)
        for i in range(30):
            process = subprocess.Popen(self.command("out", source="long"), cwd=self.place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            time.sleep(dice.uniform(0.001, 0.3))
            process.kill()
            said = process.communicate(timeout=60)[1]
            (self.place / "out").mkdir(exist_ok=True)
            ran = subprocess.CompletedProcess([], process.returncode, "", said)
            self.check("long file, SIGKILL", i, ran, "out", killed=process.returncode < 0, source="long")

    def limits(self):
        def limited(what, most):
            return {"preexec_fn": lambda: resource.setrlimit(what, (most, most))}

        for most in range(5, 20):
            self.check("few file handles", most, self.run("out", **limited(resource.RLIMIT_NOFILE, most)), "out")
        for megabytes in range(120, 280):
            ran = self.run("out", **limited(resource.RLIMIT_AS, megabytes << 20))
            # Less, and the system cannot even load the program.
            if ran.returncode != 127 and ran.returncode != -signal.SIGSEGV:
                self.check("little memory", f"{megabytes} MB", ran, "out")

    def disk(self):
        if os.geteuid() != 0:
            print("<!-- a full disk is left out: it takes the right to mount one -->")
            return
        for kilobytes in range(4, 44, 4):
            disk = self.place / "disk"
            disk.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,nr_inodes=20", "none", disk], check=True)
            try:
                ran = self.run("disk/out")
                whole = self.results("disk/out")
                subprocess.run(["mount", "-o", "remount,size=1m", disk], check=True)
                self.check("full disk", f"{kilobytes} kB, {len(whole)} results", ran, "disk/out")
            finally:
                subprocess.run(["umount", disk], check=True)
                disk.rmdir()

    def kills(self, times=30):
        dice = random.Random(1)
        for number in [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]:
            for i in range(times):
                process = subprocess.Popen(self.command("out"), cwd=self.place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                time.sleep(dice.uniform(0.001, 0.05))
                process.send_signal(number)
                said = process.communicate(timeout=60)[1]
                ran = subprocess.CompletedProcess([], process.returncode, "", said)
                (self.place / "out").mkdir(exist_ok=True)
                self.check(signal.Signals(number).name, i, ran, "out", killed=process.returncode == -number)

    def streams(self):
        for name, redirect in [("stdin", "<&-"), ("stdout", ">&-"), ("stderr", "2>&-"), ("all", "<&- >&- 2>&-"), ("full stderr", "2>/dev/full")]:
            ran = subprocess.run(["sh", "-c", f'"$@" {redirect}', "sh", *self.command("out")], cwd=self.place, capture_output=True, text=True, timeout=60)
            self.check("closed streams", name, ran, "out")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--only", help="one of system_calls, long, limits, disk, kills, streams")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        matrix = Matrix(str(Path(arguments.program).resolve()), Path(name))
        for part in ["system_calls", "long", "limits", "disk", "kills", "streams"]:
            if arguments.only in (None, part):
                getattr(matrix, part)()
    outcomes = ["whole", "told", "refused", "killed", "failed"]
    print("| fault | cases | " + " | ".join(outcomes) + " |\n|---|---" + "|---" * len(outcomes) + "|")
    total = collections.Counter()
    for kind, counts in matrix.counts.items():
        total += counts
        print(f"| {kind} | {counts.total()} | " + " | ".join(str(counts[o]) for o in outcomes) + " |")
    print(f"| all | {total.total()} | " + " | ".join(str(total[o]) for o in outcomes) + " |")
    for line in matrix.bad:
        print(f"<!-- {line} -->")
    raise SystemExit(bool(matrix.bad))


if __name__ == "__main__":
    main()
