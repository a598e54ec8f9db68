"""What `pretrain` and `train` share: configuration, precision, optimiser, schedule, checkpoints, progress lines, dev greedy error."""

import copy
import json
import math
import os
import random
import signal
import time
from pathlib import Path

import torch
from torch import distributed
from rapidfuzz.distance import Levenshtein

from data import FRAME_S, Augment, Corpus, buckets, make_batch
from encoded import Encoded
from export import read_weights
from model import Geometry, NeuralTransducer
from muon import Muon, inner


def load_config(path):
    """A recipe file: {"model": config.json content, "training": settings}."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def choose_precision(wanted):
    """bf16 where a timed product shows that it pays, else f32."""
    if wanted != "auto":
        return wanted == "bf16"
    if torch.cuda.is_available():
        return True
    a = torch.randn(512, 1024)
    b = torch.randn(1024, 2048)

    def timed(a, b):
        """Of the second and third product: where there is no such arithmetic each takes seconds."""
        times = []
        for _ in range(3):
            start = time.perf_counter()
            a @ b
            times.append(time.perf_counter() - start)
        return min(times[1:])

    single = timed(a, b)
    half = timed(a.bfloat16(), b.bfloat16())
    print(f"precision: f32 {1000 * single:.2f} ms, bf16 {1000 * half:.2f} ms a product", flush=True)
    return half < single


@torch.no_grad()
def strengthen(model, gain):
    """Larger first weights on the way from the encoder to the tokens: the network listens sooner."""
    model.transducer.attention.value.weight.mul_(gain)
    for rnn in model.transducer.emit_rnn:
        rnn.weight_ih_l0.mul_(gain)
    if model.transducer.history:
        model.transducer.emit_net.weight.mul_(gain)


def dev_rows(corpus, set_name, limit=0):
    """The aligned dev utterances of a set, the first `limit` by id (0: all), from short to long."""
    rows = sorted((u for u in corpus.split("dev") if u["set"] == set_name), key=lambda u: u["id"])[: limit or None]
    return sorted(rows, key=lambda u: u["frames"])


@torch.no_grad()
def greedy_errors(model, corpus, rows, geometry, tail, autocast, bias=0.0, batch=32, watch=lambda items: items):
    """Counts of tokens, substitutions, deletions and insertions of greedy search, and the error rate in per cent."""
    model.eval()
    device = next(model.parameters()).device
    counts = {"utterances": len(rows), "tokens": 0, "replace": 0, "delete": 0, "insert": 0}
    for i in watch(range(0, len(rows), batch)):
        data = make_batch(corpus, rows[i : i + batch], model, tail)
        with autocast():
            found = model.greedy(data.features.to(device), data.lengths.to(device), geometry, bias)
        for hypothesis, reference in zip(found, data.tokens):
            for edit in Levenshtein.editops(reference.tolist(), [t for t, _ in hypothesis]):
                counts[edit.tag] += 1
            counts["tokens"] += len(reference)
    errors = counts["replace"] + counts["delete"] + counts["insert"]
    return {**counts, "percent": round(100 * errors / max(counts["tokens"], 1), 2)}


def start_workers():
    """(rank, number of processes) under torchrun, which each take a share of every step's batches; (0, 1) without."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1 and not distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return int(os.environ.get("RANK", "0")), world


def end_workers():
    """Waits for the other processes and leaves their group; a process that just ends may abort while its connections still listen."""
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


class Loop:
    def __init__(self, args, *stages):
        """The last of `stages` is what runs; settings of the recipe for the later ones go before those for the earlier."""
        self.args = args
        self.recipe = load_config(args.config)
        self.settings = dict(self.recipe["training"])
        for self.stage in stages:
            self.settings |= self.recipe["training"].get(self.stage, {})
        self.rank, self.world = start_workers()
        self.run = Path(args.run)
        self.run.mkdir(parents=True, exist_ok=True)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(self.settings["seed"])
        if self.device.type == "cpu":
            torch.set_num_threads(args.threads or max(1, os.cpu_count() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
        self.bf16 = choose_precision(self.settings.get("precision", "auto"))
        self.corpus = Corpus(args.data, self.recipe["model"]["features"]["num_mel_bins"], args.targets)
        config = self.recipe["model"]
        self.num_tokens = len((Path(args.data) / "tokens.txt").read_text().split())
        self.model = NeuralTransducer(config, self.num_tokens, self.settings["dropout"], self.settings["aux_targets"],
                                      self.settings.get("transducer_dropout")).to(self.device)
        for name, parameter in self.model.named_parameters():
            frozen = not name.startswith("transducer.") if args.frames else name.startswith(tuple(self.settings.get("frozen", ())))
            parameter.requires_grad_(not frozen)
        if self.settings.get("transducer_gain", 1.0) != 1.0:
            strengthen(self.model, self.settings["transducer_gain"])
        self.frame_s = self.model.subsampling * config["features"]["frame_shift_ms"] / 1000
        self.tail = int(config["streaming"]["tail_padding_ms"] / config["features"]["frame_shift_ms"])
        self.augment = Augment(self.settings["augment"], self.corpus)
        self.generator = torch.Generator().manual_seed(self.settings["seed"])
        self.rng = random.Random(self.settings["seed"])
        self.rows, row_s = self.corpus.train(drop_worst=self.settings.get("drop_worst", 0.0)), FRAME_S
        if args.labels:
            self.rows += self.corpus.labelled(args.labels, self.settings.get("drop_unsure", 0.0))
        if args.frames:
            self.encoded = Encoded(args.frames, config["encoder"]["dim"], self.frame_s)
            self.rows, row_s = self.encoded.rows, self.frame_s
            self.settings.update(set_weights={}, join_share=0.0)  # done when they were encoded
        self.row_s = row_s
        self.epoch_s = sum(u["frames"] * self.settings.get("set_weights", {}).get(u["set"], 1.0) for u in self.rows) * row_s
        steps_an_epoch = self.epoch_s / (self.settings["batch_s"] * self.world) * 1.05
        self.total_steps = int(self.settings["epochs"] * steps_an_epoch)
        self.optimizers = self.make_optimizers()
        self.step, self.epoch, self.hours, self.wall = 0, 0, 0.0, 0.0
        self.average = copy.deepcopy(self.model).eval()
        for p in self.average.parameters():
            p.requires_grad_(False)
        if args.init:
            if str(args.init).endswith(".safetensors"):
                state = {"average": read_weights(args.init)}
            else:
                state = torch.load(args.init, map_location="cpu", weights_only=True)
            own = self.model.state_dict()
            known = {k: v for k, v in state.get("average", state.get("model")).items() if k in own and own[k].shape == v.shape}
            missing, _ = self.model.load_state_dict(known, strict=False)
            print(f"initialised from {args.init}; new: {sorted({'.'.join(m.split('.')[:2]) for m in missing})}", flush=True)
            self.average.load_state_dict(self.model.state_dict())
        self.generator.manual_seed(self.settings["seed"] + 1009 * self.rank)
        torch.manual_seed(self.settings["seed"] + 1009 * self.rank)
        if args.resume and (self.run / "last.pt").exists():
            state = torch.load(self.run / "last.pt", map_location="cpu", weights_only=True)
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            for optimizer, held in zip(self.optimizers, state["optimizers"]):
                optimizer.load_state_dict(held)
            for name in ("step", "epoch", "hours", "wall"):
                setattr(self, name, state[name])
            self.generator.manual_seed(self.settings["seed"] + self.step + 1009 * self.rank)
            self.rng.seed(self.settings["seed"] + self.step)
            print(f"resumed at step {self.step}", flush=True)

    def batch(self, rows):
        if self.args.frames:
            return self.encoded.batch(rows)
        return make_batch(self.corpus, rows, self.model, self.tail, self.augment, self.generator)

    def make_optimizers(self):
        """AdamW for all, or Muon for the matrices between hidden layers and AdamW for the rest."""
        c = self.settings
        named = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        with_muon = [(n, p) for n, p in named if c.get("optimizer", "adamw") == "muon" and inner(n, p)]
        taken = {n for n, _ in with_muon}
        rest = [p for n, p in named if n not in taken]
        decay, plain = [p for p in rest if p.ndim > 1], [p for p in rest if p.ndim <= 1]
        adamw = torch.optim.AdamW(
            [{"params": decay, "weight_decay": c["weight_decay"]}, {"params": plain, "weight_decay": 0.0}], lr=c["lr"], betas=(0.9, 0.98), eps=1e-8)
        dtype = torch.bfloat16 if self.bf16 else torch.float32
        return [adamw] + ([Muon(with_muon, c["lr"], c["weight_decay"], dtype=dtype)] if with_muon else [])

    def rate(self):
        """Linear warm-up, then half a cosine to `lr_end`."""
        c = self.settings
        if self.step < c["warmup"]:
            return c["lr"] * (self.step + 1) / c["warmup"]
        share = min(1.0, (self.step - c["warmup"]) / max(1, self.total_steps - c["warmup"]))
        return c["lr_end"] + (c["lr"] - c["lr_end"]) * 0.5 * (1 + math.cos(math.pi * share))

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def share_gradients(self):
        """The mean of the processes' gradients, in one exchange; parameters that a loss leaves out count as zero."""
        if self.world == 1:
            return
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])
        distributed.all_reduce(flat)
        for p, g in zip(parameters, flat.div_(self.world).split([p.numel() for p in parameters])):
            p.grad = g.view_as(p)

    def agreed(self, flag):
        """Whether any process says so."""
        if self.world == 1:
            return bool(flag)
        votes = torch.tensor([float(bool(flag))], device=self.device)
        distributed.all_reduce(votes)
        return bool(votes > 0)

    def save(self):
        if self.rank:
            return
        state = {"model": self.model.state_dict(), "average": self.average.state_dict(), "optimizers": [o.state_dict() for o in self.optimizers],
                 "step": self.step, "epoch": self.epoch, "hours": self.hours, "wall": self.wall, "config": self.recipe["model"]}
        torch.save(state, self.run / "partial.pt")
        os.replace(self.run / "partial.pt", self.run / "last.pt")

    def log(self, **values):
        if self.rank:
            return
        line = {"stage": self.stage, "step": self.step, "epoch": round(self.epoch, 2), "hours": round(self.wall / 3600, 3), **values}
        with open(self.run / "log.jsonl", "a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")
        print(" ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in line.items()), flush=True)

    def train(self, loss_of, evaluate=None):
        """`loss_of(batch) -> (loss, {name: value})`. Runs until the schedule ends or `--minutes` are over."""
        began = last_save = time.time()
        wall_before, sums, seen, count = self.wall, {}, 0.0, 0
        since = time.time()
        done = self.step >= self.total_steps
        stopped = []
        for number in (signal.SIGTERM, signal.SIGINT):  # saves first, so that nothing is lost
            signal.signal(number, lambda *_: stopped.append(True))
        while not done:
            groups = buckets(self.rows, self.settings["batch_s"], self.rng, self.settings.get("set_weights"),
                             join_share=self.settings.get("join_share", 0.0), frame_s=self.row_s)
            if len(groups) < self.world:
                raise SystemExit(f"an epoch has {len(groups)} batches, fewer than the {self.world} processes: lower batch_s")
            for rows in groups[self.rank : len(groups) // self.world * self.world : self.world]:
                batch = self.batch(rows)
                batch.features, batch.lengths = batch.features.to(self.device), batch.lengths.to(self.device)
                for group in (g for optimizer in self.optimizers for g in optimizer.param_groups):
                    group["lr"] = self.rate()
                self.model.train()
                with self.autocast():
                    loss, parts = loss_of(batch)
                self.model.zero_grad(set_to_none=True)
                loss.backward()
                self.share_gradients()
                norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings["clip"])
                if torch.isfinite(norm):
                    for optimizer in self.optimizers:
                        optimizer.step()
                decay = min(self.settings["average_decay"], (1 + self.step) / (10 + self.step))
                with torch.no_grad():
                    for a, p in zip(self.average.parameters(), self.model.parameters()):
                        a.lerp_(p, 1 - decay)
                self.step += 1
                self.epoch += self.world * batch.audio_s / self.epoch_s
                seen += self.world * batch.audio_s
                count += 1
                self.wall = wall_before + time.time() - began
                for k, v in {"loss": float(loss.detach()), "norm": float(norm), **parts}.items():
                    sums[k] = sums.get(k, 0.0) + float(v)
                if self.step % self.settings["log_every"] == 0:
                    self.log(**{k: v / count for k, v in sums.items()}, lr=self.rate(), speed=seen / (time.time() - since))
                    sums, seen, count, since = {}, 0.0, 0, time.time()
                over = self.args.minutes and time.time() - began > self.args.minutes * 60
                done = self.step >= self.total_steps or self.agreed(over or stopped)
                if time.time() - last_save > 240 or done:
                    self.save()
                    last_save = time.time()
                if evaluate and not stopped and not self.rank and (done or self.step % self.settings["eval_every"] == 0):
                    self.log(**evaluate(self.average))
                    since, seen = time.time(), 0.0
                if done:
                    break
        self.save()
        end_workers()

    def greedy_error(self, model, geometry, limit=64, bias=0.0):
        """Greedy token error rate in per cent of each dev set (first `limit` utterances by id)."""
        out = {}
        for name in self.settings["dev_sets"]:
            errors = greedy_errors(model, self.corpus, dev_rows(self.corpus, name, limit), geometry, self.tail, self.autocast, bias=bias)
            out["per_" + name] = errors["percent"]
        return out

    def geometry(self, name=None):
        modes = self.recipe["model"]["latency_modes"]
        return Geometry.from_config(modes[name or self.recipe["model"]["default_latency"]])


def arguments(parser):
    parser.add_argument("--config", required=True, help="recipe file, such as training/configs/en-small.json")
    parser.add_argument("--data", required=True, help="cache written by prepare")
    parser.add_argument("--targets", help="token times from realign (default: those of the cache)")
    parser.add_argument("--labels", help="texts and token times of speech without text, as `label` writes them, to be learnt from too")
    parser.add_argument("--run", required=True, help="folder for checkpoints and log.jsonl")
    parser.add_argument("--init", help="checkpoint, or model.safetensors of a model folder, whose weights to start from")
    parser.add_argument("--frames", action="append", help="folder written by encode; may be given several times (the transducer alone is trained)")
    parser.add_argument("--resume", action="store_true", help="go on from RUN/last.pt where it exists")
    parser.add_argument("--minutes", type=float, default=0, help="stop after this long (0: at the end of the schedule)")
    parser.add_argument("--threads", type=int, default=0)
    return parser
