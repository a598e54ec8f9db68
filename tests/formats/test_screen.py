"""What a terminal shows while files are transcribed, drawn by somebody else's terminal (pyte)."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path

import pyte
import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(os.environ.get("VIVAVOCE", ROOT / "target" / "debug" / "vivavoce")).resolve()
STORY = ROOT / "audio-samples" / "story-int16-16000-mono.wav"
CLOCK = ROOT / "audio-samples" / "clock-float32-16000-mono.wav"
ROWS = 24


def frames(arguments, columns, narrowed=None):
    """(rows that are not blank after each piece of output, those at the end, exit code); results go to a file. The terminal becomes
    `narrowed` columns wide at the first sight of a bar."""
    screen = pyte.Screen(columns, ROWS)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    command = [PROGRAM, "transcribe", "--model", ROOT / "models" / "en-small", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs, env=environment)
    os.close(theirs)
    seen = []
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # nobody holds the other end any more
            break
        if not data:
            break
        stream.feed(data)
        seen.append([row.rstrip() for row in screen.display if row.strip()])
        if narrowed and seen[-1]:
            fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, narrowed, 0, 0))
            screen.resize(ROWS, narrowed)
            screen.reset()
            narrowed = None
    os.close(ours)
    return seen, [row.rstrip() for row in screen.display if row.strip()], process.wait()


def bars(seen):
    return [rows for rows in seen if any(row.endswith(" left") for row in rows)]


@pytest.mark.parametrize("columns", [30, 40, 80, 120])
def test_one_long_file_has_a_bar_of_one_row(columns):
    seen, last, code = frames(["--beam", "256", STORY], columns)
    shown = bars(seen)
    assert code == 0 and shown
    assert all(len(rows) == 1 and len(rows[0]) <= columns for rows in shown), shown
    heard = [" of " in rows[0] for rows in shown]
    assert all(heard) if columns >= 80 else not any(heard)
    # The bar is gone; how long it took stays.
    assert "real time" in " ".join(last) and not bars([last])


@pytest.mark.parametrize("columns", [80, 120])
def test_many_files_are_counted(columns, tmp_path):
    for i in range(12):
        (tmp_path / f"{i}.wav").symlink_to(CLOCK)
    seen, _, code = frames(["--output-dir", tmp_path / "out", tmp_path], columns)
    shown = bars(seen)
    assert code == 0 and shown
    assert all(len(rows) == 1 and "/12 files" in rows[0] for rows in shown), shown
    assert len(list((tmp_path / "out").iterdir())) == 12


def test_the_bar_follows_a_terminal_that_becomes_narrower():
    seen, _, code = frames(["--beam", "256", STORY], 120, narrowed=50)
    narrow = [rows for rows in bars(seen)[1:] if rows]
    assert code == 0 and narrow
    assert all(len(row) <= 50 for rows in narrow for row in rows)
    assert len(narrow[-1]) == 1 and " of " not in narrow[-1][0]
