"""Stage `tune`: search settings of a model folder by coordinate search on the dev sets, with the Rust program; best ones go to config.json."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

STEPS = {"lm_weight": 0.1, "word_bonus": 0.4, "prior_weight": 0.1, "internal_lm_weight": 0.1, "end_of_block_bias": 0.5}
LIMITS = {"lm_weight": (0.0, 3.0), "word_bonus": (-5.0, 12.0), "prior_weight": (0.0, 2.0), "internal_lm_weight": (0.0, 2.0),
          "end_of_block_bias": (-10.0, 10.0)}


class Tuner:
    def __init__(self, args):
        self.args = args
        self.known = {}

    def error(self, settings):
        """Mean word error rate of the sets in per cent."""
        key = tuple(round(settings[k], 4) for k in STEPS)
        if key not in self.known:
            command = [str(self.args.binary), "evaluate", str(self.args.speech), "--model", str(self.args.model), "--json",
                       "--limit", str(self.args.limit), "--jobs", str(self.args.jobs)]
            for name in self.args.set:
                command += ["--set", name]
            if self.args.latency:
                command += ["--latency", self.args.latency]
            if self.args.beam:
                command += ["--beam", str(self.args.beam)]
            for name, value in settings.items():
                command += [f"--{name.replace('_', '-')}", str(value)]
            sets = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rates = {name: 100 * figures["word"]["rate"] for name, figures in sets.items()}
            self.known[key] = sum(rates.values()) / len(rates)
            deletions = sum(f["word"]["deletions"] for f in sets.values())
            insertions = sum(f["word"]["insertions"] for f in sets.values())
            print(f"{dict(settings)} mean {self.known[key]:.2f} " + " ".join(f"{n} {r:.1f}" for n, r in rates.items())
                  + f" del {deletions} ins {insertions}", file=sys.stderr, flush=True)
        return self.known[key]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, default=Path("target/release/vivavoce"))
    parser.add_argument("--speech", type=Path, required=True, help="folder with manifest.tsv and tar shards")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], help="dev set (may be repeated; default: all)")
    parser.add_argument("--limit", type=int, default=30, help="utterances a set")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--latency")
    parser.add_argument("--beam", type=int)
    args = parser.parse_args()
    path = args.model / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    tuner = Tuner(args)
    best = {k: config["search"].get(k, 0.0) for k in STEPS}
    steps = dict(STEPS)
    for _ in range(args.rounds):
        for name in STEPS:
            for sign in (1, -1):
                while True:
                    trial = {**best, name: round(best[name] + sign * steps[name], 4)}
                    low, high = LIMITS[name]
                    if not low <= trial[name] <= high or tuner.error(trial) >= tuner.error(best) - 1e-9:
                        break
                    best = trial
        steps = {k: v / 2 for k, v in steps.items()}
    config["search"].update(best)
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({"search": config["search"], "mean_wer": round(tuner.error(best), 2)}))


if __name__ == "__main__":
    main()
