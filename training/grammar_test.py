"""How well the phrases of a grammar are found, and other speech turned away.

The grammar is the list of distinct texts of one set. Prints the share of its clips that are right, refused as [unk], empty or wrong, the
same for the most frequent phrases, and the share of other speech that is turned away.
"""

import argparse
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from lexicon import read_manifest


def recognised(args, grammar, sets, split, limit):
    """[(reference, hypothesis)]; [unk] is `unk`."""
    command = [str(args.binary), "evaluate", str(args.data / "speech"), "--show", "--jobs", "1", "--split", split, "--grammar", str(grammar)]
    command += ["--unknown-cost", str(args.unknown_cost)] if args.unknown_cost else []
    command += ["--model", str(args.model)] if args.model else []
    command += ["--limit", str(limit)] if limit else []
    for name in sets:
        command += ["--set", name]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    return [(reference, hypothesis) for _, reference, hypothesis in re.findall(r"^(\S.*)\n  ref (.*)\n  hyp ?(.*)$", shown, re.M)]


def report(name, rows):
    right = sum(r == h for r, h in rows)
    refused, empty = sum(h == "unk" for _, h in rows), sum(h == "" for _, h in rows)
    n = max(1, len(rows))
    print(f"{name}: {len(rows)} clips, right {100 * right / n:.1f} %, [unk] {100 * refused / n:.1f} %, empty {100 * empty / n:.1f} %, "
          f"wrong {100 * (len(rows) - right - refused - empty) / n:.1f} %", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, default=Path("target/release/vivavoce"))
    parser.add_argument("--model", type=Path, help="model folder (default: the program's)")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/")
    parser.add_argument("--set", default="words")
    parser.add_argument("--split", default="train")
    parser.add_argument("--limit", type=int, help="clips of the set")
    parser.add_argument("--unknown-cost", type=float, help="of speech that is no phrase (default: the program's)")
    parser.add_argument("--others-limit", type=int, help="utterances of each other set")
    parser.add_argument("--top", type=int, default=22, help="size of the second grammar: the most frequent phrases")
    parser.add_argument("--others", nargs="*", default=["librispeech_mini", "commonvoice_v1", "commonvoice_delta13", "speechocean762"])
    parser.add_argument("--show", action="store_true", help="confusions")
    args = parser.parse_args()
    texts = Counter(text for name, _, split, text in read_manifest(args.data) if (name, split) == (args.set, args.split))
    with tempfile.TemporaryDirectory() as folder:
        for label, phrases in ((f"all {len(texts)} phrases", sorted(texts)), (f"top {args.top}", [t for t, _ in texts.most_common(args.top)])):
            grammar = Path(folder) / "grammar.txt"
            grammar.write_text("\n".join(phrases) + "\n")
            rows = recognised(args, grammar, [args.set], args.split, args.limit)
            inside = [(r, h) for r, h in rows if r in phrases]
            report(f"{label}, clips of them", inside)
            report(f"{label}, other clips of the set", [(r, h) for r, h in rows if r not in phrases])
            if args.show:
                print(Counter((r, h) for r, h in inside if r != h).most_common(25))
            report(f"{label}, other speech", recognised(args, grammar, args.others, "dev", args.others_limit))


if __name__ == "__main__":
    main()
