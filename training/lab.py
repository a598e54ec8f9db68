"""The attention laboratory: kinds of attention, block sizes, windows, carried states and layers, on one trained encoder that is shared.

The encoder's frames of a subset of the speech are computed once and kept; a variant is then a transducer trained on them, which takes
minutes. Results go to RUN/results.jsonl, one line a variant; what stands there is not run again. `--report` makes the tables.

    python training/lab.py --experiment attention --config RECIPE --checkpoint LAST.pt --data CACHE --run RUN
"""

import argparse
import copy
import json
import math
import random
import subprocess
import time
from pathlib import Path

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch.utils.flop_counter import FlopCounterMode

from data import Corpus, buckets, make_batch, step_targets
from export import export, read_weights
from lab_alignments import ctc_times, own_times
from loop import choose_precision, dev_rows, load_config
from model import Geometry, NeuralTransducer
from muon import Muon, inner
from train import disturb, transducer_loss

SHIPPED = {"block": 2, "look_back": 8, "look_ahead": 2}
PAPER = {"look_back": 0, "look_ahead": 0}
KINDS = {
    "none (last frame)": {"mix": "last"}, "dot": {"score": "dot"}, "scaled dot": {}, "scaled dot, 1 head": {"num_heads": 1},
    "scaled dot, no position bias": {"max_positions": 0}, "general": {"score": "general"}, "cosine": {"score": "cosine"},
    "additive (MLP)": {"score": "additive"}, "concat": {"score": "concat"}, "location": {"score": "location"}, "latent": {"score": "latent"},
    "hard": {"mix": "hard"}, "area": {"mix": "area"}, "area, deviation, sum": {"mix": "area", "area_key": "mean_std", "area_value": "sum"},
    "predictive (local-p)": {"mix": "predictive"}, "LSTM-attention": {"mix": "recurrent"},
    "LSTM-attention on MLP": {"mix": "recurrent", "score": "additive"}, "2 hops": {"hops": 2}, "3 hops": {"hops": 3},
}
EXPERIMENTS = {
    "attention": {name: {"attention": kind, **SHIPPED} for name, kind in KINDS.items()},
    "blocks": {f"W={w}, {name}": {"attention": kind, "block": w, **PAPER} for w in (4, 8, 15, 25)
               for name, kind in {"none": {"mix": "last"}, "dot": {"score": "dot"}, "MLP": {"score": "additive"}, "LSTM": {"mix": "recurrent"}}.items()},
    "carry": {f"W={w}, {'carried on' if carry else 'anew in every block'}": {"transducer": {"carry_state": carry}, "block": w, **PAPER}
              for w in (2, 4, 8) for carry in (True, False)},
    "window": {f"back {back}, ahead {ahead}": {"block": 2, "look_back": back, "look_ahead": ahead}
               for back, ahead in ((0, 0), (2, 0), (8, 0), (16, 0), (0, 2), (8, 1), (8, 2), (8, 4))}
    | {f"whole utterance, {score}": {"attention": {"score": score, "max_positions": 0}, "block": 160, **PAPER} for score in ("dot", "location")},
    "layers": {f"state {s}, emit {e}": {"transducer": {"state_layers": s, "emit_layers": e}, **SHIPPED} for s in (1, 2) for e in (1, 2)}
    | {"input feeding": {"transducer": {"input_feeding": True}, **SHIPPED}}
    | {f"encoder cut after layer {n}": {"encoder_layers": n, **SHIPPED} for n in (1, 2, 3)},
    "alignments": {name: {"times": times, **PAPER, "block": 4} for name, times in {
        "GMM-HMM": ["given"], "CTC": ["ctc"], "own, from GMM-HMM": ["given", "own"], "own, from CTC": ["ctc", "own"],
        "own twice, from CTC": ["ctc", "own", "own"]}.items()},
}


def variant_config(base, changes):
    """The configuration of a variant, with one latency mode, its geometry."""
    config = copy.deepcopy(base)
    for part in ("attention", "transducer"):
        config[part].update(changes.get(part, {}))
    block = changes["block"]
    if config["attention"]["max_positions"]:
        config["attention"]["max_positions"] = max(config["attention"]["max_positions"], 4 * math.ceil((block + changes["look_back"]) / 3) + 4)
    config["latency_modes"] = {"balanced": {"block_frames": block, "look_back_frames": changes["look_back"],
                                            "look_ahead_frames": changes["look_ahead"], "max_tokens_per_block": 3 * block + 2}}
    config["default_latency"] = "balanced"
    return config


class Frames:
    """Frames of utterances, computed once, in a file of 16-bit numbers: those of the encoder, or those `below` its recurrent layers."""

    def __init__(self, run, corpus, model, rows, tail, autocast, name="frames", below=False, augment=None, seed=1):
        path, index = run / f"{name}.f16", run / f"{name}.json"
        encode = model.encoder.below if below else model.encoder
        self.dim = model.encoder.input.in_features if below else model.config["encoder"]["dim"]
        self.more = model.encoder.lag if below else 0  # frames beyond those that the transducer gets
        if not index.exists():
            generator, at, found = torch.Generator().manual_seed(seed), 0, {}
            with open(path, "wb") as f, torch.no_grad():
                for group in buckets(rows, 320, random.Random(seed)):
                    batch = make_batch(corpus, group, model, tail, augment, generator)
                    with autocast():
                        h = encode(batch.features).float().numpy().astype(np.float16)
                    for u, row, n in zip(group, h, (batch.lengths + self.more).tolist()):
                        f.write(np.ascontiguousarray(row[:n]).tobytes())
                        found[u["id"]] = (at, n)
                        at += n
            index.write_text(json.dumps(found))
        self.index = json.loads(index.read_text())
        self.values = np.memmap(path, np.float16, "r").reshape(-1, self.dim)

    def batch(self, rows):
        """Frames [B, U, D], and the lengths [B] that the transducer counts."""
        spans = [self.index[u["id"]] for u in rows]
        h = torch.zeros(len(rows), max(n for _, n in spans), self.dim)
        for i, (at, n) in enumerate(spans):
            h[i, :n] = torch.from_numpy(self.values[at : at + n].astype(np.float32))
        return h, torch.tensor([n - self.more for _, n in spans])


class Targets:
    """What `step_targets` asks of a batch."""

    def __init__(self, corpus, rows, lengths):
        self.tokens, self.starts, self.ends = zip(*(corpus.targets(u) for u in rows))
        self.lengths = lengths


def subset(corpus, hours, seed):
    """Training utterances drawn at random up to `hours`."""
    rows = corpus.train(drop_worst=0.01)
    random.Random(seed).shuffle(rows)
    out, seconds = [], 0.0
    for u in rows:
        if seconds < hours * 3600 and u["frames"] <= 1200:
            out.append(u)
            seconds += u["frames"] * 0.01
    return out


def products_a_block(attention, geometry, encoder_dim, state_dim, steps=3):
    """Multiplications of the attention in one block of `steps` steps, those of keys and values of its own frames among them."""
    h = torch.zeros(1, geometry.block, encoder_dim)
    seen = torch.zeros(1, geometry.block + geometry.look_back + geometry.look_ahead, encoder_dim)
    keys, values = attention.project(seen)
    inside = Geometry(seen.shape[1], 0, 0, geometry.max_tokens)
    with FlopCounterMode(display=False) as once:
        attention.project(h)
    with FlopCounterMode(display=False) as each:
        attention(torch.zeros(1, steps, state_dim), keys, values, torch.zeros(1, steps, dtype=torch.long), inside, torch.tensor([seen.shape[1]]))
    return (once.get_total_flops() + each.get_total_flops()) // 2


class Lab:
    def __init__(self, args):
        self.args = args
        recipe = load_config(args.config)
        self.base, self.settings = recipe["model"], {**recipe["training"], **recipe["training"]["train"]}
        torch.set_num_threads(args.threads or torch.get_num_threads())
        self.bf16 = choose_precision("auto")
        self.corpus = Corpus(args.data, self.base["features"]["num_mel_bins"], args.targets)
        self.tokens = (Path(args.data) / "tokens.txt").read_text().split()
        self.run = Path(args.run)
        self.run.mkdir(parents=True, exist_ok=True)
        self.encoder_state = self.read(args.checkpoint)
        shared = NeuralTransducer(self.base, len(self.tokens)).eval()
        shared.load_state_dict(self.encoder_state, strict=False)
        self.frame_s = shared.subsampling * self.base["features"]["frame_shift_ms"] / 1000
        tail = int(self.base["streaming"]["tail_padding_ms"] / self.base["features"]["frame_shift_ms"])
        self.rows = subset(self.corpus, args.hours, 1)
        self.dev = {name: dev_rows(self.corpus, name, args.limit) for name in self.settings["dev_sets"]}
        every = self.rows + [u for rows in self.dev.values() for u in rows]
        self.make_frames = lambda model, name: Frames(self.run, self.corpus, model, every, tail, self.autocast, name)
        self.shared, self.whole = shared, self.make_frames(shared, "frames")
        self.frames = self.whole

    @staticmethod
    def read(path):
        if str(path).endswith(".safetensors"):
            state = read_weights(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)["average"]
        return {k: v for k, v in state.items() if k.startswith("encoder.")}

    def autocast(self):
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bf16)

    def train(self, config):
        """A transducer on the frozen frames; also the seconds it took."""
        args, began = self.args, time.time()
        torch.manual_seed(args.seed)
        generator, rng = torch.Generator().manual_seed(args.seed), random.Random(args.seed)
        model = NeuralTransducer(config, len(self.tokens), self.settings["dropout"])
        model.load_state_dict(self.encoder_state, strict=False)
        geometry = Geometry.from_config(config["latency_modes"]["balanced"])
        named = list(model.transducer.named_parameters())
        matrices = [(n, p) for n, p in named if inner(n, p)]
        rest = [p for n, p in named if not inner(n, p)]
        optimizers = [torch.optim.AdamW(rest, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01),
                      Muon(matrices, args.lr, 0.01, dtype=torch.bfloat16 if self.bf16 else torch.float32)]
        groups = [g for _ in range(args.epochs) for g in buckets(self.rows, args.batch_s, rng)]
        for step, rows in enumerate(groups):
            h, lengths = self.frames.batch(rows)
            previous, target, block = step_targets(Targets(self.corpus, rows, lengths), geometry, self.frame_s)
            previous = disturb(previous, self.settings["token_noise"], len(self.tokens), generator)
            rate = args.lr * min(1.0, (step + 1) / 30) * 0.5 * (1 + math.cos(math.pi * step / len(groups)))
            model.train()
            with self.autocast():
                keys, values = model.transducer.attention.project(h)
                logits = model.transducer.run(previous, keys, values, block, geometry, lengths, model.transducer.start(len(h)))[0]
                loss, nll, _ = transducer_loss(logits, target, self.settings["label_smoothing"])
            model.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.transducer.parameters(), self.settings["clip"])
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.step()
            if step % 200 == 0:
                print(f"  step {step} of {len(groups)}, nll {nll:.3f}", flush=True)
        return model.eval(), time.time() - began

    @torch.no_grad()
    def measure(self, model, config):
        """Greedy phone error by set; delay from the end of a right phone to the audio that its block waits for, in milliseconds."""
        geometry = Geometry.from_config(config["latency_modes"]["balanced"])
        errors, delays = {}, []
        for name, rows in self.dev.items():
            wrong = count = 0
            for i in range(0, len(rows), 32):
                part = rows[i : i + 32]
                h, lengths = self.frames.batch(part)
                with self.autocast():
                    found = model.greedy_from(h, lengths, geometry)
                for u, hypothesis in zip(part, found):
                    tokens, _, ends = self.corpus.targets(u)
                    said = [t for t, _ in hypothesis]
                    operations = Levenshtein.opcodes(tokens.tolist(), said)
                    wrong += sum(max(o.src_end - o.src_start, o.dest_end - o.dest_start) for o in operations if o.tag != "equal")
                    count += len(tokens)
                    for o in operations:
                        if o.tag == "equal":
                            for k in range(o.src_end - o.src_start):
                                heard = (hypothesis[o.dest_start + k][1] + 1) * geometry.block + geometry.look_ahead + model.encoder.lag
                                delays.append(1000 * (heard * self.frame_s - ends[o.src_start + k]))
            errors[name] = round(100 * wrong / max(count, 1), 2)
        return errors, {"p50": round(float(np.percentile(delays, 50))), "p90": round(float(np.percentile(delays, 90)))}

    def words(self, model, config, name):
        """Word error by set of the variant as a model folder with the lexicon and language model of `--words-of`."""
        args = self.args
        folder = self.run / "models" / name.replace(" ", "-").replace(",", "")
        stats = json.loads((Path(args.data) / "stats.json").read_text())
        export(config, model.state_dict(), stats, self.tokens, folder, "int8")
        for part in ("lexicon.bin", "lm.bin", "prior.bin"):
            source = Path(args.words_of) / part
            if source.exists():
                (folder / part).write_bytes(source.read_bytes())
        out = {}
        for dev in self.dev:
            command = [args.binary, "evaluate", args.speech, "--model", str(folder), "--set", dev, "--limit", str(args.limit), "--jobs", "1", "--json"]
            report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            out[dev] = round(100 * report[dev]["word"]["rate"], 2)
        return out

    def with_times(self, config, ways):
        """A transducer trained on other times of the tokens: "given", "ctc", and "own" of one trained on those before."""
        given = self.corpus.start, self.corpus.end
        block = config["latency_modes"]["balanced"]["block_frames"]
        for i, way in enumerate(ways):
            if way == "given":
                continue
            path = self.run / f"times-{'-'.join(ways[: i + 1])}-{block}.npz"
            if not path.exists():
                if way == "ctc":
                    start, end = ctc_times(self, self.rows)
                else:  # of a transducer trained on the times so far
                    start, end = own_times(self, self.train(config)[0], Geometry.from_config(config["latency_modes"]["balanced"]), self.rows)
                np.savez(path, start=start, end=end)
            held = np.load(path)
            self.corpus.start, self.corpus.end = held["start"], held["end"]
        model, seconds = self.train(config)
        own = np.concatenate([np.arange(u["token"], u["token"] + u["tokens"]) for u in self.rows])
        shift = self.corpus.end[own] - given[1][own]
        shifts = {"mean_ms": round(1000 * float(shift.mean())), "beyond_80_ms": round(100 * float((np.abs(shift) > 0.08).mean()), 1)}
        self.corpus.start, self.corpus.end = given
        return model, seconds, shifts

    def variant(self, experiment, name, changes):
        config = variant_config(self.base, changes)
        self.frames, shifts = self.whole, None
        if layers := changes.get("encoder_layers"):
            cut = copy.deepcopy(self.shared)
            cut.encoder.layers = cut.encoder.layers[:layers]
            self.frames = self.make_frames(cut, f"frames-{layers}")
        if "times" in changes:
            model, seconds, shifts = self.with_times(config, changes["times"])
        else:
            model, seconds = self.train(config)
        errors, delay = self.measure(model, config)
        attention = model.transducer.attention
        geometry = Geometry.from_config(config["latency_modes"]["balanced"])
        result = {"experiment": experiment, "variant": name, "phone_error": errors, "delay_ms": delay, "seconds": round(seconds),
                  "attention_parameters": sum(p.numel() for p in attention.parameters()),
                  "products_a_block": products_a_block(attention, geometry, config["encoder"]["dim"], config["transducer"]["state_dim"]),
                  "hours": self.args.hours, "epochs": self.args.epochs}
        if shifts:
            result["token_shift"] = shifts
        if self.args.binary:
            result["word_error"] = self.words(model, config, f"{experiment}-{name}")
        return result


def report(path):
    """Markdown tables of all experiments."""
    rows = [json.loads(line) for line in open(path, encoding="utf-8")]
    lines = []
    for experiment in dict.fromkeys(r["experiment"] for r in rows):
        sets = list(rows[0]["phone_error"])
        lines += [f"### {experiment}", "", "| variant | " + " | ".join(f"PER {s}" for s in sets) + " | " + " | ".join(f"WER {s}" for s in sets)
                  + " | delay p50 / p90, ms | parameters | products a block |", "|" + "---|" * (4 + 2 * len(sets))]
        for r in (r for r in rows if r["experiment"] == experiment):
            words = r.get("word_error", {})
            lines.append(f"| {r['variant']} | " + " | ".join(f"{r['phone_error'][s]:.1f}" for s in sets) + " | "
                         + " | ".join(f"{words[s]:.1f}" if s in words else "-" for s in sets)
                         + f" | {r['delay_ms']['p50']} / {r['delay_ms']['p90']} | {r['attention_parameters']:,} | {r['products_a_block']:,} |")
        lines.append("")
    return "\n".join(lines)


def plot(path, folder):
    """One picture an experiment: phone error (mean and each set) of its variants; block sizes as curves."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    rows = [json.loads(line) for line in open(path, encoding="utf-8")]
    folder.mkdir(parents=True, exist_ok=True)
    for experiment in dict.fromkeys(r["experiment"] for r in rows):
        of = [r for r in rows if r["experiment"] == experiment]
        mean = [sum(r["phone_error"].values()) / len(r["phone_error"]) for r in of]
        if all(r["variant"].startswith("W=") for r in of):
            figure, axes = pyplot.subplots(figsize=(7, 4))
            lines = {}
            for r, error in zip(of, mean):
                width, kind = r["variant"][2:].split(", ")
                lines.setdefault(kind, []).append((int(width), error))
            for kind, points in lines.items():
                axes.plot(*zip(*points), "o-", label=kind)
            axes.set_xlabel("block size W, frames of 80 ms")
            axes.set_ylabel("phone error rate, %, mean of the dev sets")
            axes.set_xticks(sorted({w for points in lines.values() for w, _ in points}))
            axes.legend()
        else:
            figure, axes = pyplot.subplots(figsize=(7, 0.3 * len(of) + 1.2))
            axes.barh(range(len(of)), mean, color="#9db8d2")
            for name in of[0]["phone_error"]:
                axes.plot([r["phone_error"][name] for r in of], range(len(of)), "o", markersize=4, label=name)
            axes.set_yticks(range(len(of)), [r["variant"] for r in of])
            axes.invert_yaxis()
            axes.set_xlabel("phone error rate, %; bars: mean of the dev sets")
            axes.set_xlim(0, min(100, axes.get_xlim()[1]))  # what repeats itself has more errors than phones
            axes.legend(fontsize=7)
        figure.tight_layout()
        figure.savefig(folder / f"lab-{experiment}.svg", metadata={"Date": None})
        pyplot.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", choices=EXPERIMENTS, action="append", default=[])
    parser.add_argument("--only", action="append", help="variants by name (default: all of the experiment)")
    parser.add_argument("--config", type=Path, help="recipe file")
    parser.add_argument("--checkpoint", help="checkpoint or model.safetensors with the shared encoder")
    parser.add_argument("--data", help="cache written by prepare")
    parser.add_argument("--targets", help="token times from realign (default: those of the cache)")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--hours", type=float, default=5.0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-s", type=float, default=80, help="seconds of speech a step: small, since a variant sees little")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int, default=60, help="dev utterances a set")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--binary", help="the program, for word errors too; needs --speech and --words-of")
    parser.add_argument("--speech", help="folder of the speech shards")
    parser.add_argument("--words-of", help="model folder whose lexicon and language model to use")
    parser.add_argument("--report", action="store_true", help="print the tables of RUN/results.jsonl")
    parser.add_argument("--plot", type=Path, help="folder for a picture of each experiment")
    args = parser.parse_args()
    results = args.run / "results.jsonl"
    if args.experiment:
        lab = Lab(args)
        done = {(r["experiment"], r["variant"]) for r in map(json.loads, open(results, encoding="utf-8"))} if results.exists() else set()
        for experiment in args.experiment:
            for name, changes in EXPERIMENTS[experiment].items():
                if (experiment, name) in done or (args.only and name not in args.only):
                    continue
                print(f"{experiment}: {name}", flush=True)
                result = lab.variant(experiment, name, changes)
                print(f"  {result['phone_error']} in {result['seconds']} s", flush=True)
                with open(results, "a", encoding="utf-8") as f:
                    f.write(json.dumps(result) + "\n")
    if args.report:
        print(report(results))
    if args.plot:
        plot(results, args.plot)


if __name__ == "__main__":
    main()
