"""The learning curve: greedy phone error rate of the dev sets against hours of training, over several runs in a row.

`collect` writes the figures of runs' log.jsonl, their hours added up, to a table; `draw` makes a picture of such a table.
"""

import argparse
import csv
import json
from pathlib import Path

PREFIX = "per_"


def collect(runs):
    """[(hours since the first run began, set, per cent)] of runs that each started from the one before."""
    rows, before = [], 0.0
    for run in runs:
        last = 0.0
        for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            last = entry["hours"]
            rows += [(round(before + last, 3), name.removeprefix(PREFIX), value) for name, value in entry.items() if name.startswith(PREFIX)]
        before += last
    return rows


def draw(rows, out):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "curve"
    figure, axes = plt.subplots(figsize=(7, 4))
    for name in dict.fromkeys(r[1] for r in rows):
        points = [(float(h), float(v)) for h, n, v in rows if n == name]
        axes.plot(*zip(*points), marker="o", markersize=3, label=name)
    axes.set(xlabel="hours of training (one core)", ylabel="greedy phone error rate of dev, %", ylim=(0, None), xlim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="upper right")
    figure.tight_layout()
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, action="append", default=[], help="RUN folders in the order of training; none: draw TABLE as it is")
    parser.add_argument("--table", type=Path, required=True, help="tab-separated: hours, set, phone error rate")
    parser.add_argument("--out", type=Path, help="picture (.svg or .png)")
    args = parser.parse_args()
    if args.run:
        with open(args.table, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(("hours", "set", "per_percent"))
            writer.writerows(collect(args.run))
    with open(args.table, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    if args.out:
        draw(rows, args.out)
    print(f"{len(rows)} points, {rows[-1][0] if rows else 0} h")


if __name__ == "__main__":
    main()
