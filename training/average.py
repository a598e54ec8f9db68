"""Stage `average`: the mean of the weights of several checkpoints (their running averages), as one checkpoint for `export` and `decode`."""

import argparse
from pathlib import Path

import torch


def mean_state(states):
    """The mean of each tensor, summed in double precision; all must have the same names and shapes."""
    for other in states[1:]:
        if {k: v.shape for k, v in other.items()} != {k: v.shape for k, v in states[0].items()}:
            raise SystemExit("the checkpoints are of different models")
    return {name: (sum(s[name].double() for s in states) / len(states)).to(value.dtype) for name, value in states[0].items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--raw", action="store_true", help="the last weights instead of their running averages")
    args = parser.parse_args()
    loaded = [torch.load(path, map_location="cpu", weights_only=True) for path in args.checkpoints]
    state = mean_state([c["model" if args.raw else "average"] for c in loaded])
    last = max(loaded, key=lambda c: c["step"])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": state, "average": state, "config": last["config"], **{n: last[n] for n in ("step", "epoch", "hours", "wall")}}, args.out)
    print(f"{args.out}: mean of {len(loaded)} checkpoints, {sum(v.numel() for v in state.values())} values")


if __name__ == "__main__":
    main()
