"""Does attention across hypothesis and audio help as a rescorer of n-best lists?

Two kinds that compare two whole sequences, here the phones of a hypothesis, a_i, and the encoder's frames, b_j, and so cannot stream:

- `decomposable` (Parikh et al. 2016): e_ij = F(a_i).F(b_j); every phone gets the frames it aligns to, every frame its phones; G compares
  each with what it got; the sums over phones and frames give the score.
- `match` (Yin et al. 2016, ABCNN-1): the matrix 1 / (1 + |a_i - b_j|) as a picture that a small convolution looks at.

Either network learns, with a list-wise softmax, to put the hypotheses with the fewest word errors first; the search's own score and the
number of words are part of the sum. Prints word error rates of dev: first best, best of the list, search score and words alone, both kinds.

    python training/rescore.py --data DATA --cache CACHE --checkpoint models/en-small/model.safetensors --run RUN
"""

import argparse
import copy
import io
import json
import math
import random
import subprocess
import tarfile
import tempfile
from pathlib import Path

import soundfile
import torch
from rapidfuzz.distance import Levenshtein
from torch import nn
from torch.nn import functional as F

from data import Corpus, make_batch
from export import read_weights
from gather import normalise
from loop import load_config
from model import NeuralTransducer
from prepare import read_manifest

SETS = ("librispeech_mini", "commonvoice_v1", "commonvoice_delta13")
RATE_HZ = 16000


def choose(manifest, train, dev, seed):
    """Of each set `train` training and `dev` dev utterances."""
    out = []
    for name in SETS:
        for split, count in (("train", train), ("dev", dev)):
            rows = [r for r in manifest if r["set"] == name and r["split"] == split and r["text"] and float(r["seconds"]) < 12]
            rows.sort(key=lambda r: r["id"])
            random.Random(seed).shuffle(rows)
            out += rows[:count]
    return out


def n_best(args, rows, path):
    """[{id, set, split, text, hypotheses: [[text, score]]}] by the program."""
    wanted = {r["id"]: r for r in rows}
    with tempfile.TemporaryDirectory() as folder:
        for name in SETS:
            for shard in sorted((args.data / "speech").glob(f"{name}-[0-9]*.tar")):
                with tarfile.open(shard) as tar:
                    for member in tar:
                        key = Path(member.name).stem
                        if key in wanted and wanted[key]["set"] == name:
                            x, _ = soundfile.read(io.BytesIO(tar.extractfile(member).read()), dtype="float32", always_2d=True)
                            soundfile.write(Path(folder) / f"{name}__{key}.wav", x.mean(axis=1), RATE_HZ, "PCM_16")
        command = [args.binary, "transcribe", "--model", str(args.model), "--alternatives", str(args.size), "--json", "--jobs", "1", folder]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    with open(path, "w", encoding="utf-8") as f:
        for line in map(json.loads, found.splitlines()):
            row = wanted[Path(line["file"]).stem.split("__", 1)[1]]
            hypotheses = [[normalise(a["text"]), a["score"]] for a in line["alternatives"]]
            f.write(json.dumps({k: row[k] for k in ("id", "set", "split", "text")} | {"hypotheses": hypotheses}) + "\n")


def errors(reference, hypothesis):
    return Levenshtein.distance(reference.split(), hypothesis.split())


class Lists:
    """N-best lists as tensors: phones of every hypothesis, frames of the utterance, word errors, search scores."""

    def __init__(self, args, recipe, path):
        corpus = Corpus(args.cache, recipe["model"]["features"]["num_mel_bins"])
        tokens = (args.cache / "tokens.txt").read_text().split()
        model = NeuralTransducer(recipe["model"], len(tokens)).eval()
        model.load_state_dict({k: v for k, v in read_weights(args.checkpoint).items() if k.startswith("encoder.")}, strict=False)
        spoken, place = {}, {t: i for i, t in enumerate(tokens)}
        for line in open(args.lexicon, encoding="utf-8"):
            word, *phones = line.split()
            spoken.setdefault(word, [place[p] for p in phones if p in place])
        held = {u["id"]: u for u in corpus.utterances}
        self.num_tokens, self.dim = len(tokens), recipe["model"]["encoder"]["dim"]
        self.rows = []
        for line in map(json.loads, open(path, encoding="utf-8")):
            u = held.get(line["id"]) or held.get(f"{line['set']}/{line['id']}")
            if u is None or not line["hypotheses"] or not line["text"]:
                continue
            batch = make_batch(corpus, [u], model, 32)
            with torch.no_grad():
                h = model.encoder(batch.features)[0].half()
            phones = [[p for w in text.split() for p in spoken.get(w, [])] or [0] for text, _ in line["hypotheses"]]
            wrong = torch.tensor([errors(line["text"], text) for text, _ in line["hypotheses"]])
            score = torch.tensor([s for _, s in line["hypotheses"]])
            words = torch.tensor([float(len(text.split())) for text, _ in line["hypotheses"]])
            self.rows.append({"set": line["set"], "split": line["split"], "h": h, "phones": phones, "wrong": wrong,
                              "score": score - score[0], "words": words - words[0], "count": len(line["text"].split())})

    def split(self, name, set_name=None):
        return [r for r in self.rows if r["split"] == name and set_name in (None, r["set"])]


class Rescorer(nn.Module):
    """A score for every hypothesis of a list; `kind`: none (search score and words alone), decomposable or match."""

    def __init__(self, kind, num_tokens, encoder_dim, dim=96):
        super().__init__()
        self.kind, self.dim = kind, dim
        self.scale, self.words = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(1))
        if kind == "none":
            return
        self.embedding = nn.Embedding(num_tokens, dim)
        self.around = nn.Conv1d(dim, dim, 3, padding=1)
        self.frame = nn.Linear(encoder_dim, dim)
        self.place = nn.Parameter(torch.tensor(4.0))  # how much a phone far from its share of the time is worth
        if kind == "decomposable":
            self.attend = nn.Linear(dim, dim)
            self.compare = nn.Sequential(nn.Linear(2 * dim, dim), nn.ReLU())
            self.out = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * dim, dim), nn.ReLU(), nn.Linear(dim, 1))
        else:
            self.look = nn.Sequential(nn.Conv2d(1, 16, (3, 5), padding=(1, 2)), nn.ReLU())
            self.out = nn.Linear(16, 1)

    def forward(self, row):  # -> [N]
        total = self.scale * row["score"] + self.words * row["words"]
        if self.kind == "none":
            return total
        n, longest = len(row["phones"]), max(map(len, row["phones"]))
        ids, known = torch.zeros(n, longest, dtype=torch.long), torch.zeros(n, longest, dtype=torch.bool)
        for i, phones in enumerate(row["phones"]):
            ids[i, : len(phones)], known[i, : len(phones)] = torch.tensor(phones), True
        a = self.around((self.embedding(ids) * known[..., None]).mT).mT * known[..., None]  # [N, L, dim]
        b = self.frame(F.dropout(row["h"].float(), 0.2, self.training))  # [U, dim]
        share = (torch.arange(longest)[None] + 0.5) / known.sum(1, keepdim=True)  # [N, L]
        far = (share[..., None] - (torch.arange(len(b)) + 0.5) / len(b)).abs() * self.place.abs()  # [N, L, U]
        if self.kind == "decomposable":
            e = F.relu(self.attend(a)) @ F.relu(self.attend(b)).T / math.sqrt(self.dim) - far
            beta = e.softmax(dim=-1) @ b  # frames of each phone [N, L, dim]
            alpha = e.masked_fill(~known[..., None], -1e4).softmax(dim=1).mT @ a  # phones of each frame [N, U, dim]
            v1 = (self.compare(torch.cat([a, beta], dim=-1)) * known[..., None]).sum(1) / len(b)
            v2 = self.compare(torch.cat([b.expand(n, -1, -1), alpha], dim=-1)).mean(1)
            return total + self.out(torch.cat([v1, v2], dim=-1))[:, 0]
        match = 1 / (1 + torch.cdist(a, b.expand(n, -1, -1))) - 0.1 * far
        match = match * known[..., None]
        seen = self.look(match[:, None]).amax(dim=-1)  # the best frame of each phone [N, 16, L]
        return total + ((self.out(seen.mT)[..., 0]) * known).sum(1)


def loss_of(model, row):
    """Minus the logarithm of the share that hypotheses with the fewest errors get."""
    logp = model(row).log_softmax(dim=0)
    return -logp[row["wrong"] == row["wrong"].min()].logsumexp(dim=0)


@torch.no_grad()
def word_error(rows, choose_one):
    return 100 * sum(int(r["wrong"][choose_one(r)]) for r in rows) / sum(r["count"] for r in rows)


def fit(kind, lists, epochs, seed):
    torch.manual_seed(seed)
    rng = random.Random(seed)
    # A list whose hypotheses are equally wrong teaches nothing.
    rows = [r for r in lists.split("train") if r["wrong"].min() < r["wrong"].max()]
    rng.shuffle(rows)
    held, rows = rows[: len(rows) // 10], rows[len(rows) // 10 :]
    model = Rescorer(kind, lists.num_tokens, lists.dim)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3 if kind != "none" else 1e-2, weight_decay=0.05)
    best, kept = math.inf, None
    for _ in range(epochs):
        model.train()
        rng.shuffle(rows)
        for i in range(0, len(rows), 16):
            loss = sum(loss_of(model, r) for r in rows[i : i + 16]) / 16
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            now = sum(float(loss_of(model, r)) for r in held) / max(len(held), 1)
        if now < best:
            best, kept = now, copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)
    return model.eval(), best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of recordings (with speech/manifest.tsv)")
    parser.add_argument("--cache", type=Path, required=True, help="cache written by prepare")
    parser.add_argument("--config", default="training/configs/en-small.json", help="recipe file of the encoder")
    parser.add_argument("--checkpoint", default="models/en-small/model.safetensors", help="model.safetensors with the encoder")
    parser.add_argument("--model", type=Path, default=Path("models/en-small"), help="model folder for the n-best lists")
    parser.add_argument("--lexicon", type=Path, required=True, help="lexicon.txt of the model: pronunciations of its words")
    parser.add_argument("--binary", default="target/release/vivavoce")
    parser.add_argument("--run", type=Path, required=True, help="folder that keeps the lists")
    parser.add_argument("--size", type=int, default=10, help="hypotheses a list")
    parser.add_argument("--train", type=int, default=500, help="training utterances a set")
    parser.add_argument("--dev", type=int, default=100, help="dev utterances a set")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.run.mkdir(parents=True, exist_ok=True)
    path = args.run / "lists.jsonl"
    if not path.exists():
        n_best(args, choose(read_manifest(args.data), args.train, args.dev, args.seed), path)
    lists = Lists(args, load_config(args.config), path)
    print(f"{len(lists.split('train'))} training lists, {len(lists.split('dev'))} dev lists", flush=True)
    results = {"first best": lambda r: 0, "fewest errors in the list": lambda r: int(r["wrong"].argmin())}
    for kind in ("none", "decomposable", "match"):
        model, loss = fit(kind, lists, args.epochs, args.seed)
        print(f"{kind}: {sum(p.numel() for p in model.parameters())} parameters, held-out loss {loss:.4f}", flush=True)
        results[kind] = lambda r, model=model: int(model(r).argmax())
    print("| ranked by | training lists | " + " | ".join(SETS) + " |\n|---|" + "---|" * (1 + len(SETS)))
    for name, choose_one in results.items():
        figures = [word_error(lists.split("train"), choose_one)] + [word_error(lists.split("dev", s), choose_one) for s in SETS]
        print(f"| {name} | " + " | ".join(f"{x:.2f}" for x in figures) + " |", flush=True)


if __name__ == "__main__":
    main()
