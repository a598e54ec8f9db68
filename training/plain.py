"""Stage `plain`: raw text with case, marks and numbers becomes sentences for the language model, one a line, as transcripts are written.

Reads text or Markdown files (folders are searched for .txt and .md; `-` is standard input). Paragraphs are joined and cut into sentences; lists, tables,
headings, notes in brackets and sentences with foreign letters are left out; numbers are spelt out as they are said.
"""

import argparse
import lzma
import re
import sys
from pathlib import Path

from num2words import num2words

from progress import progress

SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9])")
ABBREVIATION = re.compile(r"\b(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Jr|Sr|Prof|Gen|Col|Capt|Lt|Sgt|Rev|Hon|vs|etc|No|c|ca|cf|e\.g|i\.e|approx)\.$")
NOTE = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|<[^<>]*>|https?://\S+")
NUMBER = re.compile(r"(?<![\w.,])(\$|£|€)?(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(st|nd|rd|th|s|%)?(?![\w,.]*\d)")
CURRENCY = {"$": "dollars", "£": "pounds", "€": "euros"}
LATIN = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": " ", "—": " ", "-": " ", "/": " ", "&": " and ", "_": " ", "*": " "})
FOREIGN = re.compile(r"[^a-z' ]")
DROPPED = str.maketrans(dict.fromkeys(".,;:!?\"()[]", " "))


def spoken_year(number):
    """1859 -> eighteen fifty nine, 1905 -> nineteen oh five, 2004 -> two thousand and four"""
    return num2words(number, to="year").replace("oh-", "oh ")


def spoken(match):
    """What is said for a number."""
    sign, digits, decimals, ending = match.groups()
    value = int(digits.replace(",", ""))
    if value >= 10**12 or (digits.startswith("0") and len(digits) > 1):
        return match.group()
    if decimals:
        out = num2words(value) + " point " + " ".join(num2words(int(d)) for d in decimals[1:])
    elif ending in ("st", "nd", "rd", "th"):
        out = num2words(value, to="ordinal")
    elif not sign and ending in (None, "s") and "," not in digits and 1100 <= value < 2100:
        out = spoken_year(value)
        if ending:
            out = out[:-1] + "ies" if out.endswith("y") else out + "s"
    elif ending == "s":
        out = num2words(value)
        out = out[:-1] + "ies" if out.endswith("y") else out + "s"
    else:
        out = num2words(value)
    if sign:
        out += " " + CURRENCY[sign]
    elif ending == "%":
        out += " percent"
    return f" {out.replace(',', '')} "


def paragraphs(text):
    """Paragraphs of running text: lines in a row that are no list, table or heading."""
    for block in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in block.splitlines()]
        if lines and not any(re.match(r"[-*+|#=>]|\d+[.)]\s|-{3}", line) for line in lines):
            yield " ".join(lines)


def sentences(paragraph):
    """The sentences of a paragraph, abbreviations respected."""
    while (shorter := NOTE.sub(" ", paragraph)) != paragraph:
        paragraph = shorter
    parts, held = SENTENCE.split(paragraph), ""
    for part in parts:
        held = f"{held} {part}" if held else part
        if not ABBREVIATION.search(held):
            yield held
            held = ""
    if held:
        yield held


def plain(sentence):
    """A sentence as a transcript writes it, or None if that can't be told."""
    if not re.search(r"[.!?][\"')]*\s*$", sentence):
        return None
    text = NUMBER.sub(spoken, sentence.translate(LATIN)).lower().replace("-", " ").replace("%", " percent ")
    text = " ".join(word.strip("'") if word.strip("'") != word and not word.endswith("s'") else word for word in text.translate(DROPPED).split())
    return None if FOREIGN.search(text) else text


def files(paths):
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix in (".txt", ".md"))
        else:
            yield path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path, help="text files and folders")
    parser.add_argument("--out", type=Path, required=True, help="DATA/text/NAME.txt.xz")
    parser.add_argument("--least", type=int, default=3, help="words of the shortest sentence")
    parser.add_argument("--most", type=int, default=30, help="words of the longest sentence")
    args = parser.parse_args()
    lines = words = 0
    with lzma.open(args.out, "wt", encoding="utf-8", preset=1) as out:
        for path in progress(list(files(args.paths)), label="files"):
            text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8", errors="replace")
            for paragraph in paragraphs(text):
                for sentence in sentences(paragraph):
                    if len(sentence) > 12 * args.most:
                        continue
                    line = plain(sentence)
                    if line and args.least <= (n := len(line.split())) <= args.most:
                        out.write(line + "\n")
                        lines, words = lines + 1, words + n
    print(f"{args.out}: {lines} lines, {words} words")


if __name__ == "__main__":
    main()
