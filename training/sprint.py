"""Stage `sprint`: the whole training in one schedule set by the clock, for a GPU that is there for minutes.

Frame phones alone at first, then the transducer beside them. At `--label-at` minutes the program itself writes down the utterances of split
`unlabelled` with the weights so far (`label.py`, on the host's cores, while training goes on), and from then on they are learnt from too.
"""

import argparse
import copy
import json
import os
import shlex
import subprocess
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from data import Augment, Corpus, make_batch, step_targets, frame_targets
from feed import Feed, Shape
from loop import dev_rows, load_config, strengthen
from model import Geometry, NeuralTransducer
from muon import Muon, inner
from train import transducer_loss


def rate(share, peak, end, warm):
    """Linear warm-up over `warm` of the time, level until 0.3 of it, then half a cosine down to `end`."""
    if share < warm:
        return peak * (share + 1e-3) / (warm + 1e-3)
    down = min(1.0, max(0.0, share - 0.3) / 0.7)
    return end + (peak - end) * 0.5 * (1 + np.cos(np.pi * down))


class Sprint:
    def __init__(self, args):
        self.args, self.recipe = args, load_config(args.config)
        self.c = {**self.recipe["training"], **self.recipe["training"].get("sprint", {})}
        self.run = Path(args.run)
        self.run.mkdir(parents=True, exist_ok=True)
        config = self.recipe["model"]
        self.corpus = Corpus(args.data, config["features"]["num_mel_bins"])
        self.labelled = self.corpus.train(drop_worst=self.c.get("drop_worst", 0.0))
        num_tokens = len((Path(args.data) / "tokens.txt").read_text().split())
        torch.manual_seed(self.c["seed"])
        model = NeuralTransducer(config, num_tokens, self.c["dropout"], self.c["aux_targets"], self.c.get("transducer_dropout"))
        strengthen(model, self.c.get("transducer_gain", 1.0))
        if args.init:
            state = torch.load(args.init, map_location="cpu", weights_only=True)
            model.load_state_dict({k: v.float() for k, v in state["average"].items()}, strict=False)
        self.tail = int(config["streaming"]["tail_padding_ms"] / config["features"]["frame_shift_ms"])
        frame_s = model.subsampling * config["features"]["frame_shift_ms"] / 1000
        shape = Shape(frame_s, model.subsampling, model.encoder.lag, self.tail, num_tokens, self.c)
        self.device = torch.device("cuda" if torch.cuda.is_available() and not args.cpu else "cpu")
        augment = Augment(self.c["augment"], self.corpus)
        self.feed = Feed(self.corpus, self.labelled, augment, shape, self.device, args.workers, self.c["seed"])
        torch.set_num_threads(1 if self.device.type == "cuda" else os.cpu_count())
        torch.set_float32_matmul_precision("high")
        self.dev = self.dev_batches(model, frame_s, config)
        self.feed.to_device()
        self.model = model.to(self.device)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        named = [(n, p) for n, p in self.model.named_parameters()]
        matrices = [(n, p) for n, p in named if inner(n, p)]
        taken = {n for n, _ in matrices}
        rest = [p for n, p in named if n not in taken]
        groups = [{"params": [p for p in rest if p.ndim > 1], "weight_decay": self.c["weight_decay"]},
                  {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0}]
        adamw = torch.optim.AdamW(groups, lr=self.c["lr"], betas=(0.9, 0.98), eps=1e-8, fused=self.device.type == "cuda")
        self.optimizers = [adamw, Muon(matrices, self.c["lr"], self.c["weight_decay"], dtype=torch.bfloat16)]
        self.step, self.heard, self.labelling, self.rounds = 0, 0.0, None, [float(m) for m in args.label_at.split(",") if m]
        self.began = time.time()

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.c.get("precision", "auto") != "f32")

    def dev_batches(self, model, frame_s, config):
        """Two batches of each dev set with their targets, made once."""
        geometry, out = Geometry.from_config(config["latency_modes"][config["default_latency"]]), {}
        for name in self.c["dev_sets"]:
            rows = dev_rows(self.corpus, name, 64)
            if rows:
                batch = make_batch(self.corpus, rows, model, self.tail)
                targets = step_targets(batch, geometry, frame_s, self.c["token_delay_s"])
                out[name] = (batch, targets, frame_targets(batch, self.c["aux_targets"], frame_s, self.c["aux_delay_s"]), geometry)
        return out

    def losses(self, model, features, lengths, previous, target, block, phones, geometry, transduce=True):
        if transduce:
            logits, h = model(features, lengths, previous, block, geometry)
            loss, nll, right = transducer_loss(logits, target, self.c["label_smoothing"])
        else:
            h, loss, nll, right = model.encoder(features), 0.0, None, None
        said = model.head(model.phone_head, h)[:, : phones.shape[1]]
        aux = F.cross_entropy(said.flatten(0, 1), phones.flatten(), ignore_index=-100)
        known = phones >= 0
        parts = {"phone": aux.detach(), "frames_right": ((said.argmax(dim=-1) == phones) & known).sum() / known.sum()}
        if transduce:
            parts |= {"nll": nll, "right": right}
        return loss + (self.c["phone_weight"] if transduce else 1.0) * aux, parts

    def share(self):
        return (time.time() - self.began) / (60 * self.args.minutes)

    def log(self, **values):
        line = {"step": self.step, "epoch": self.feed.epoch, "minutes": round((time.time() - self.began) / 60, 2), "hours_heard": round(self.heard / 3600, 1), **values}
        with open(self.run / "log.jsonl", "a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")
        print(" ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in line.items()), flush=True)

    @torch.no_grad()
    def evaluate(self):
        out = {}
        for name, (batch, targets, phones, geometry) in self.dev.items():
            put = lambda x: x.to(self.device)
            with self.autocast():
                _, parts = self.losses(self.average, put(batch.features), put(batch.lengths), *map(put, targets), put(phones), geometry)
            out |= {f"{k}_{name}": float(parts[k]) for k in ("nll", "right", "frames_right")}
        self.log(**out)

    def save(self, name):
        half = {k: v.half() for k, v in self.average.state_dict().items()}
        torch.save({"average": half, "config": self.recipe["model"], "step": self.step, "epoch": self.feed.epoch, "hours": 0.0,
                    "wall": time.time() - self.began}, self.run / "partial.pt")
        os.replace(self.run / "partial.pt", self.run / name)

    def label(self):
        """Starts a round of labelling when its time has come, and takes its result when it is there."""
        if self.labelling is None and self.rounds and time.time() - self.began > 60 * self.rounds[0]:
            number = self.rounds.pop(0)
            self.save(f"label-{number:g}.pt")
            out = self.run / f"labels-{number:g}.npz"
            command = [*shlex.split(self.args.label_command), "--checkpoint", str(self.run / f"label-{number:g}.pt"), "--out", str(out)]
            log = open(self.run / f"label-{number:g}.log", "w")
            self.labelling = subprocess.Popen(command, stdout=log, stderr=log), out
        elif self.labelling and self.labelling[0].poll() is not None:
            process, out = self.labelling
            self.labelling = None
            if process.returncode or not out.exists():
                return self.log(labelling=f"failed with {process.returncode}")
            rows = self.corpus.labelled(out, self.c["drop_unsure"])
            self.feed.rows = self.labelled + rows
            self.log(labelled_by_itself=len(rows))

    def learn(self):
        c, sums, count, since, seen = self.c, {}, 0, time.time(), 0.0
        parameters = list(self.model.parameters())
        averages = list(self.average.parameters())
        saved = time.time()
        for batch in self.feed:
            share = self.share()
            if share >= 1:
                break
            lr = rate(share, c["lr"], c["lr_end"], c["warm_share"])
            for optimizer in self.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = lr
            self.model.train()
            with self.autocast():
                loss, parts = self.losses(self.model, batch.features, batch.lengths, batch.previous, batch.target, batch.block, batch.phones,
                                          batch.geometry, share >= c["phones_share"])
            self.model.zero_grad(set_to_none=True)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(parameters, c["clip"])
            for optimizer in self.optimizers:
                optimizer.step()
            torch._foreach_lerp_(averages, parameters, 1 - min(c["average_decay"], (1 + self.step) / (10 + self.step)))
            self.step += 1
            count += 1
            seen += batch.audio_s
            self.heard += batch.audio_s
            for k, v in {**parts, "norm": norm.detach()}.items():
                sums[k] = sums.get(k, 0.0) + v.float()
            if self.step % c["log_every"] == 0:
                spent = time.time() - since
                self.log(**{k: float(v) / count for k, v in sums.items()}, lr=float(lr), speed=seen / spent, ms=1000 * spent / count)
                sums, count, seen, since = {}, 0, 0.0, time.time()
                self.label()
            if self.step % c["eval_every"] == 0:
                self.evaluate()
            if time.time() - saved > 60:
                self.save("last.pt")
                saved = time.time()
        self.evaluate()
        self.save("last.pt")
        if self.labelling:
            self.labelling[0].terminate()
        self.feed.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="recipe file with a `sprint` part, such as training/configs/en-medium.json")
    parser.add_argument("--data", required=True, help="cache written by prepare")
    parser.add_argument("--run", required=True, help="folder for checkpoints and log.jsonl")
    parser.add_argument("--minutes", type=float, required=True, help="length of the schedule")
    parser.add_argument("--workers", type=int, default=8, help="processes that choose targets (0: none)")
    parser.add_argument("--init", help="checkpoint whose weights to start from")
    parser.add_argument("--label-at", default="", help="minutes after which the unlabelled speech is written down, such as 4,7")
    parser.add_argument("--label-command", default="", help="the command of label.py without --checkpoint and --out")
    parser.add_argument("--cpu", action="store_true")
    Sprint(parser.parse_args()).learn()


if __name__ == "__main__":
    main()
