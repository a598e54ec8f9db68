"""Stage `decode`: greedy token (phone) error rate of a checkpoint on the dev sets, in each latency mode.

One line a set and mode: error rate, substitutions, deletions and insertions in per cent of the reference tokens.
"""

import argparse
import json
from pathlib import Path

import torch

from data import Corpus
from loop import choose_precision, dev_rows, greedy_errors
from model import Geometry, NeuralTransducer
from progress import progress


def load_model(path, raw=False):
    """(model without its training-only heads, checkpoint)."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    state = checkpoint["model" if raw else "average"]
    model = NeuralTransducer(checkpoint["config"], len(state["transducer.embedding.weight"]))
    wrong = model.load_state_dict(state, strict=False).missing_keys
    if wrong:
        raise SystemExit(f"{path} lacks {', '.join(wrong)}")
    return model.eval(), checkpoint


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="cache written by prepare")
    parser.add_argument("--sets", help="dev sets, separated by commas (default: all)")
    parser.add_argument("--latency", help="latency modes, separated by commas (default: all)")
    parser.add_argument("--limit", type=int, default=0, help="utterances of each set, the first by id (0: all)")
    parser.add_argument("--bias", type=float, default=0.0, help="added to the logit of <e>")
    parser.add_argument("--raw", action="store_true", help="the last weights instead of their running average")
    parser.add_argument("--precision", choices=["auto", "f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, checkpoint = load_model(args.checkpoint, args.raw)
    model.to(device)
    config = checkpoint["config"]
    corpus = Corpus(args.data, config["features"]["num_mel_bins"])
    tail = int(config["streaming"]["tail_padding_ms"] / config["features"]["frame_shift_ms"])
    bf16 = choose_precision(args.precision)
    autocast = lambda: torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    sets = args.sets.split(",") if args.sets else sorted({u["set"] for u in corpus.split("dev")})
    modes = args.latency.split(",") if args.latency else list(config["latency_modes"])
    results = []
    for mode in modes:
        geometry = Geometry.from_config(config["latency_modes"][mode])
        for name in sets:
            rows = dev_rows(corpus, name, args.limit)
            if not rows:
                raise SystemExit(f"no aligned dev utterance of {name}")
            watch = lambda items: progress(items, total=len(items), label=f"{mode} {name}")
            counts = greedy_errors(model, corpus, rows, geometry, tail, autocast, args.bias, watch=watch)
            results.append({"latency": mode, "set": name, **counts})
    if args.json:
        print(json.dumps({"checkpoint": str(args.checkpoint), "step": checkpoint["step"], "results": results}))
        return
    print(f"{'latency':<10} {'set':<22} {'utts':>5} {'tokens':>7} {'error':>7} {'sub':>6} {'del':>6} {'ins':>6}")
    for r in results:
        shares = " ".join(f"{100 * r[k] / max(1, r['tokens']):6.2f}" for k in ("replace", "delete", "insert"))
        print(f"{r['latency']:<10} {r['set']:<22} {r['utterances']:>5} {r['tokens']:>7} {r['percent']:>6.2f}% {shares}")


if __name__ == "__main__":
    main()
