"""Does a small neural language model pay that ranks the n-best list of a Final anew?

`train`: an LSTM over byte-pair pieces learns the texts of the n-gram model (without the lines that overlap with dev), first mostly novels, then
mostly prompts and transcripts. `rescore`: n-best lists of all dev utterances from the program; a hypothesis' score becomes

    search score + a * log P(neural) + b * words

with a and b fitted on every other utterance of the three sets together. Prints perplexities a word and word error rates.

    python training/neural_lm.py train --data DATA --run RUN
    python training/neural_lm.py rescore --data DATA --run RUN
"""

import argparse
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from torch import nn
from torch.nn import functional as F

from gather import normalise
from lexicon import read_manifest
from lm import DEV_SETS, clean_sources
from loop import choose_precision
from lstm import LSTM
from muon import Muon, inner
from prepare import read_manifest as read_rows
from rescore import SETS, choose, errors, n_best

BEGIN, END = 1, 2  # sentencepiece's <s> and </s>


class NeuralLm(nn.Module):
    """Pieces -> LSTM layers -> the embedding of the next piece; embeddings are tied."""

    def __init__(self, pieces, dim=256, hidden=512, layers=1, dropout=0.1):
        super().__init__()
        self.embedding = nn.Embedding(pieces, dim)
        nn.init.normal_(self.embedding.weight, std=dim**-0.5)
        self.rnn = nn.ModuleList(LSTM(dim if i == 0 else hidden, hidden) for i in range(layers))
        self.project = nn.Linear(hidden, dim)
        self.bias = nn.Parameter(torch.zeros(pieces))
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids, states=None):
        """ids [T, B] -> logits [T, B, pieces], states."""
        x, new = self.dropout(self.embedding(ids) * self.embedding.embedding_dim**0.5), []
        for rnn, state in zip(self.rnn, states or [None] * len(self.rnn)):
            x, state = rnn(x, state)
            new.append(tuple(s.detach() for s in state))
            x = self.dropout(x)
        return F.linear(self.project(x), self.embedding.weight, self.bias), new


def texts(data):
    """{source: lines} without what dev holds, and {dev set: lines}."""
    manifest = list(read_manifest(data))
    out = {source: lines for source, lines, _, _ in clean_sources(data, manifest)}
    return out, {name: [text for s, _, split, text in manifest if split == "dev" and s in sets and text] for name, sets in DEV_SETS.items()}


def draw(lines, words, rng):
    """Whole random passes over `lines`, the last one cut short, with about so many words."""
    out = []
    while words > 0:
        for line in rng.sample(lines, len(lines)):
            out.append(line)
            words -= line.count(" ") + 1
            if words <= 0:
                break
    return out


@torch.no_grad()
def log_probs(model, pieces, sentences, bf16=False, batch=64):
    """Natural log-probability of each sentence with its end."""
    model.eval()
    ids = [[BEGIN, *p, END] for p in pieces.encode(sentences)]
    out = np.zeros(len(ids))
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        longest = max(len(ids[i]) for i in chosen)
        x = torch.zeros(longest, len(chosen), dtype=torch.long)
        for j, i in enumerate(chosen):
            x[: len(ids[i]), j] = torch.tensor(ids[i])
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits, _ = model(x[:-1])
        logp = F.log_softmax(logits.float(), dim=-1).gather(2, x[1:, :, None])[..., 0] * (x[1:] != 0)
        out[chosen] = logp.sum(0).numpy()
    return out


def perplexities(model, pieces, dev, bf16):
    """A word and sentence end, as the n-gram model counts."""
    return {name: round(math.exp(-log_probs(model, pieces, lines, bf16).sum() / sum(len(line.split()) + 1 for line in lines)), 1) for name, lines in dev.items()}


def train(args):
    rng, bf16 = random.Random(args.seed), choose_precision("auto")
    torch.manual_seed(args.seed)
    sources, dev = texts(args.data)
    novels, near = sources.pop("novels"), sources
    small = sum(near.values(), [])
    sample = draw(novels, 1_500_000, rng) + small
    prefix = args.run / "pieces"
    if not prefix.with_suffix(".model").exists():
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(sample), model_prefix=str(prefix), vocab_size=args.pieces, model_type="bpe",
                                                 character_coverage=1.0, minloglevel=2, pad_id=0, bos_id=BEGIN, eos_id=END, unk_id=3)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(prefix) + ".model")
    words = {name: sum(line.count(" ") + 1 for line in lines) for name, lines in near.items()}
    print(f"words: {words}; dev: { {n: len(v) for n, v in dev.items()} }", flush=True)
    half = args.million_words * 1e6
    first = draw(novels, half * 0.65, rng) + sum((draw(lines, half * 0.35 * words[n] / sum(words.values()), rng) for n, lines in near.items()), [])
    weights = {n: (4.0 if n == "commonvoice_prompts" else 1.0) * words[n] for n in near}
    second = draw(novels, half * 0.2, rng) + sum((draw(lines, half * 0.8 * weights[n] / sum(weights.values()), rng) for n, lines in near.items()), [])
    stream = []
    for part in (first, second):
        rng.shuffle(part)
        stream += [i for p in pieces.encode(part) for i in (BEGIN, *p, END)]
    length = args.batch * args.steps
    stream = np.array(stream[: len(stream) // length * length], np.int64)
    # Every chunk of the text goes to all rows at once, so that prompts come late for each of them.
    chunks = stream.reshape(-1, args.batch, args.steps)
    model = NeuralLm(args.pieces, args.dim, args.hidden, args.layers, args.dropout)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {len(stream) / 1e6:.1f} M pieces, {len(chunks)} steps", flush=True)
    named = list(model.named_parameters())
    with_muon = [(n, p) for n, p in named if inner(n, p)]
    rest = [p for n, p in named if not inner(n, p)]
    optimizers = [torch.optim.AdamW(rest, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0), Muon(with_muon, args.lr, 0.01, dtype=torch.bfloat16 if bf16 else torch.float32)]
    began, total = time.time(), 0.0
    for step, chunk in enumerate(chunks):
        rate = args.lr * min(1.0, (step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / len(chunks))))
        for group in (g for o in optimizers for g in o.param_groups):
            group["lr"] = rate
        ids = torch.from_numpy(chunk).T.contiguous()
        model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits, _ = model(ids[:-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), ids[1:].flatten())
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        total += float(loss.detach())
        if (step + 1) % args.log_every == 0 or step + 1 == len(chunks):
            torch.save({"model": model.state_dict(), "shape": [args.pieces, args.dim, args.hidden, args.layers]}, args.run / "neural_lm.pt")
            minutes, done = (time.time() - began) / 60, (step + 1) * length
            print(f"step {step + 1}: {total / args.log_every:.3f} nats a piece, {done / minutes / 60:.0f} pieces/s, {minutes:.1f} min, dev {perplexities(model, pieces, dev, bf16)}", flush=True)
            total = 0.0


def load(run):
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(run / "pieces.model"))
    held = torch.load(run / "neural_lm.pt", map_location="cpu", weights_only=True)
    model = NeuralLm(*held["shape"]).eval()
    model.load_state_dict(held["model"])
    return model, pieces


def rescore(args):
    model, pieces = load(args.run)
    path = args.run / "lists.jsonl"
    if not path.exists():
        n_best(args, choose(read_rows(args.data), 0, 10**6, args.seed), path)
    rows = [r for r in map(json.loads, open(path, encoding="utf-8")) if r["hypotheses"] and r["text"]]
    rows.sort(key=lambda r: (r["set"], r["id"]))
    began = time.time()
    flat = log_probs(model, pieces, [text for r in rows for text, _ in r["hypotheses"]])
    print(f"{len(rows)} lists of {len(flat) / len(rows):.1f} hypotheses, ranked in {time.time() - began:.1f} s")
    at = 0
    for r in rows:
        n = len(r["hypotheses"])
        r["features"] = np.array([[score, logp, len(text.split())] for (text, score), logp in zip(r["hypotheses"], flat[at : at + n])])
        r["wrong"] = np.array([errors(normalise(r["text"]), text) for text, _ in r["hypotheses"]])
        r["count"] = len(r["text"].split())
        at += n

    def rate(chosen, weights):
        return 100 * sum(r["wrong"][int((r["features"] @ weights).argmax())] for r in chosen) / sum(r["count"] for r in chosen)

    def table(name, pick):
        figures = [100 * sum(pick(r) for r in rows if r["set"] == s) / sum(r["count"] for r in rows if r["set"] == s) for s in SETS]
        print(f"| {name} | " + " | ".join(f"{x:.2f}" for x in figures) + " |", flush=True)

    print("| ranked by | " + " | ".join(SETS) + " |\n|---|" + "---|" * len(SETS))
    table("search", lambda r: r["wrong"][0])
    table("fewest errors in the list", lambda r: r["wrong"].min())
    grid = [np.array([1.0, a, b]) for a in np.arange(0, 1.01, 0.1) for b in np.arange(-1, 3.01, 0.25)]
    halves = [[r for i, r in enumerate(rows) if i % 2 == k] for k in (0, 1)]

    def fitted(chosen):
        return min(grid, key=lambda w: sum(rate([r for r in chosen if r["set"] == s], w) for s in SETS))

    weights = [fitted(halves[1 - k]) for k in (0, 1)]
    print(f"weights fitted on the other half: {[w.round(2).tolist() for w in weights]}")
    for k in (0, 1):
        for r in halves[k]:
            r["new"] = r["wrong"][int((r["features"] @ weights[k]).argmax())]
    table("search, neural model and words (fitted on the other half)", lambda r: r["new"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("train", "rescore"))
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/ and text/")
    parser.add_argument("--run", type=Path, required=True, help="folder of the pieces, the weights and the lists")
    parser.add_argument("--model", type=Path, default=Path("models/en-small"), help="model folder for the n-best lists")
    parser.add_argument("--binary", default="target/release/vivavoce")
    parser.add_argument("--size", type=int, default=40, help="hypotheses a list")
    parser.add_argument("--pieces", type=int, default=2000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--million-words", type=float, default=3.5, help="words of each half of the training, in millions")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=65, help="pieces a row")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--log-every", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.run.mkdir(parents=True, exist_ok=True)
    {"train": train, "rescore": rescore}[args.stage](args)


if __name__ == "__main__":
    main()
