import lzma
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from plain import paragraphs, plain, sentences

PAGE = """The Dutch fleet

Dr. Smith (born 1859) joined the fleet on 12 May 1901.[3] It had 1,250 men, 3.5% of them Scots! Was it, in the 1890s, the 2nd largest? And what no mark ends

-   a list. It is left out.

| a table. | of cells. |

A café is no English word. It cost £20 in 2004 and he'd paid."""

LINES = [
    "dr smith joined the fleet on twelve may nineteen oh one",
    "it had one thousand two hundred and fifty men three point five percent of them scots",
    "was it in the eighteen nineties the second largest",
    "it cost twenty pounds in two thousand and four and he'd paid",
]


def test_pages_become_sentences_as_transcripts_write_them(tmp_path):
    found = [plain(s) for p in paragraphs(PAGE) for s in sentences(p)]
    # A heading and what no mark ends are no sentences; foreign letters can't be read.
    assert [line for line in found if line] == LINES
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    (tmp_path / "notes.pdf").write_text("Not read at all.")
    out = tmp_path / "page.txt.xz"
    script = Path(__file__).parent.parent / "plain.py"
    subprocess.run([sys.executable, script, tmp_path, "--out", out, "--least", "9"], check=True, capture_output=True)
    assert lzma.open(out, "rt", encoding="utf-8").read().splitlines() == [line for line in LINES if len(line.split()) >= 9]


@pytest.mark.parametrize("text, said", [
    ("It is 0.05 now.", "it is zero point zero five now"),
    ("Flight 007 left.", None),
    ("In the 60s it rose to $1,000,000.", "in the sixties it rose to one million dollars"),
    ("Nelson's men, the sailors' friends.", "nelson's men the sailors' friends"),
])
def test_numbers_are_said_as_people_say_them(text, said):
    assert plain(text) == said
