"""Stage `word_lm`: a neural language model of the lexicon's words that search asks at word ends.

    tied word vectors -> one LSTM layer -> projection -> word vectors

Frequent words have vectors of DIM values, the others of TAIL values, widened by a matrix that all share. Sentences are learnt one by
one, from <s> to </s>. exp(logit) is a probability as it is, without a sum over all words: the normaliser, estimated from a sample of words
(all frequent ones, others with a chance that grows with their frequency, weighted by its inverse), is pulled to 1 by a penalty on its squared log.

    python training/word_lm.py prepare --data DATA --model MODEL --run RUN
    python training/word_lm.py train --run RUN --minutes 80
    python training/word_lm.py report --run RUN
    python training/word_lm.py export --run RUN --out MODEL/word_lm.safetensors
"""

import argparse
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F

import ngram
from export import quantize
from lm import fingerprint, read_bin
from lstm import LSTM, kernel
from muon import Muon, inner
from word_texts import Sample, Texts, prepare

HEAD, DIM, TAIL, HIDDEN = 8192, 256, 64, 512  # frequent words, values of their vectors, of the others', cells
PENALTY = 0.2  # weight of the squared log normaliser
ROWS = 256  # words whose logits are in the cache together


class WordLm(nn.Module):
    """Word numbers -> logits. `rank[w]`: place of word w by frequency; the first `head` have vectors of their own, the others share `embedding_widen`."""

    def __init__(self, rank, frequency, head=HEAD, dim=DIM, tail=TAIL, hidden=HIDDEN):
        super().__init__()
        self.register_buffer("rank", torch.as_tensor(rank, dtype=torch.long))
        self.embedding_head = nn.Parameter(torch.randn(head, dim) * 0.05)
        self.embedding_tail = nn.Parameter(torch.randn(len(rank) - head, tail) * 0.05)
        self.embedding_widen = nn.Parameter(torch.randn(tail, dim) * tail**-0.5)
        self.bias = nn.Parameter(torch.as_tensor(frequency, dtype=torch.float32).log())
        self.rnn = LSTM(dim, hidden)
        self.project = nn.Linear(hidden, dim)

    def vectors(self, words):
        """Vectors [n, dim] of distinct words whose ranks rise."""
        rank, head = self.rank[words], len(self.embedding_head)
        cut = int((rank < head).sum())
        tail = F.embedding(rank[cut:] - head, self.embedding_tail)
        return torch.cat([F.embedding(rank[:cut], self.embedding_head), tail @ self.embedding_widen])

    def outputs(self, x, state=None):
        """Input vectors [T, B, dim] -> projected outputs [T, B, dim], states."""
        h, state = self.rnn(x * self.embedding_head.shape[1] ** 0.5, state)
        return self.project(h), state

    def table(self):
        """Vectors of all words in the order of their numbers."""
        return torch.cat([self.embedding_head, self.embedding_tail @ self.embedding_widen])[self.rank]


class SampledLoss(torch.autograd.Function):
    """Outputs p [N, dim], sampled vectors e [S, dim], their biases less the log chance of being drawn [S], logits of the right words [N] and
    where those lie in the sample (rows, columns) -> sum of log z and of its square, with z the estimated normaliser."""

    @staticmethod
    def forward(ctx, p, e, bias, right, rows, columns):
        p, e = p.to(torch.bfloat16), e.to(torch.bfloat16)
        n = len(p)
        log_z, grad_p, grad_e, grad_bias = torch.empty(n), torch.empty_like(p), torch.zeros(e.shape), torch.zeros(len(e))
        wide, narrow = torch.empty(ROWS, len(e)), torch.empty(ROWS, len(e), dtype=torch.bfloat16)
        turned = e.t()
        for at in range(0, n, ROWS):
            part = p[at : at + ROWS]
            w, m = wide[: len(part)], narrow[: len(part)]
            torch.mm(part, turned, out=m)
            torch.add(m, bias, out=w)
            here = slice(*np.searchsorted(rows, (at, at + ROWS)))
            w[torch.from_numpy(rows[here] - at), torch.from_numpy(columns[here])] = -100.0
            w.exp_()
            z = w.sum(1) + right[at : at + ROWS].exp()
            log_z[at : at + ROWS] = z.log()
            w.mul_(((1 + 2 * PENALTY * z.log()) / z)[:, None])
            m.copy_(w)
            torch.mm(m, e, out=grad_p[at : at + ROWS])
            across, total = kernel().transpose(m) if kernel() else (m.t().contiguous(), m.sum(0, dtype=torch.float32))
            grad_e += across @ part
            grad_bias += total
        ctx.mark_non_differentiable(log_z)
        ctx.save_for_backward(grad_p, grad_e, grad_bias, (1 + 2 * PENALTY * log_z) * (right - log_z).exp())
        return log_z.sum() + PENALTY * log_z.square().sum(), log_z

    @staticmethod
    def backward(ctx, grad, _):
        grad_p, grad_e, grad_bias, grad_right = ctx.saved_tensors
        return grad_p * grad, grad_e * grad, grad_bias * grad, grad_right * grad, None, None


def batch_loss(model, batch, sample, rng):
    """(sum of losses, words, log z) of a batch."""
    words, log_chance = sample.draw(rng)
    source, target = batch[:-1], batch[1:]
    valid = np.flatnonzero(target >= 0)
    right = target.reshape(-1)[valid]
    used = np.unique(batch[batch >= 0])
    used = used[np.argsort(sample.rank[used])]
    place = np.zeros(len(sample.rank), np.int64)
    place[used] = np.arange(len(used))
    known = model.vectors(torch.from_numpy(used))
    x = F.embedding(torch.from_numpy(place[np.where(source < 0, used[0], source)]), known)
    with torch.autocast("cpu", torch.bfloat16):
        p, _ = model.outputs(x)
        p = p.flatten(0, 1)[torch.from_numpy(valid)]
    wanted = torch.from_numpy(right)
    logits = (p.float() * F.embedding(torch.from_numpy(place[right]), known)).sum(1) + model.bias[wanted]
    column = np.full(len(sample.rank), -1, np.int64)
    column[words] = np.arange(len(words))
    rows = np.flatnonzero(column[right] >= 0)
    bias = model.bias[torch.from_numpy(words)] - torch.from_numpy(log_chance).float()
    total, log_z = SampledLoss.apply(p, model.vectors(torch.from_numpy(words)), bias, logits, rows, column[right[rows]])
    return total - logits.sum(), len(valid), log_z


@torch.no_grad()
def judge(model, dev, bos, limit=10**9):
    """{dev set: (log-probabilities without the normaliser, log normalisers, whether known) of all words and sentence ends in a row}."""
    model.eval()
    table, out = model.table(), {}
    narrow, unknown = table.to(torch.bfloat16).t(), bos - 1
    possible = model.bias.clone()
    possible[bos] = -100.0
    for name, lines in dev.items():
        logits, log_z, known = [], [], []
        lines = lines[:limit]
        for at in range(0, len(lines), 64):
            part = lines[at : at + 64]
            batch = torch.full((max(map(len, part)), len(part)), -1, dtype=torch.long)
            for j, line in enumerate(part):
                batch[: len(line), j] = torch.from_numpy(line)
            p, _ = model.outputs(table[batch[:-1].clamp(min=0)])
            target = batch[1:].t()
            p, target = p.transpose(0, 1)[target >= 0], target[target >= 0]
            logits.append((p * table[target]).sum(1) + model.bias[target])
            log_z += [torch.logsumexp((q.to(torch.bfloat16) @ narrow).float() + possible, 1) for q in p.split(256)]
            known.append(target != unknown)
        out[name] = tuple(torch.cat(v).numpy() for v in (logits, log_z, known))
    model.train()
    return out


def summary(judged):
    """One line: perplexity, mean and deviation of the log normaliser by dev set."""
    return "; ".join(f"{name} {math.exp(-(a - z)[k].mean()):.1f} (log z {z.mean():+.3f} +- {z.std():.3f})" for name, (a, z, k) in judged.items())


def build(run, hidden=HIDDEN):
    """(model, texts' word frequencies, ranks) as `train` began with."""
    held = np.load(run / "frequency.npz")
    rank = held["rank"]
    return WordLm(rank, held["frequency"], head=min(HEAD, len(rank) // 2), hidden=hidden), held["frequency"], rank


def train(args):
    torch.manual_seed(args.seed)
    texts = Texts(args.run / "texts.npz", args.seed)
    if not (args.run / "frequency.npz").exists():
        frequency = texts.frequency()
        rank = np.empty(len(frequency), np.int64)
        often = frequency + (np.arange(len(frequency)) == texts.bos)  # <s> is never said but often read
        rank[np.argsort(-often, kind="stable")] = np.arange(len(frequency))
        np.savez(args.run / "frequency.npz", frequency=frequency, rank=rank)
    model, frequency, rank = build(args.run, args.hidden)
    sample = Sample(frequency.copy(), rank, args.sample, texts.bos)
    named = list(model.named_parameters())
    rest = [p for n, p in named if not inner(n, p)]
    optimizers = [torch.optim.AdamW(rest, lr=args.lr, betas=(0.9, 0.999), weight_decay=0.0, fused=True),
                  Muon([(n, p) for n, p in named if inner(n, p)], args.lr, 0.01, dtype=torch.bfloat16)]
    step = words = 0
    spent, path = 0.0, args.run / "word_lm.pt"
    if path.exists():
        held = torch.load(path, weights_only=False)
        model.load_state_dict(held["model"])
        for optimizer, state in zip(optimizers, held["optimizers"]):
            optimizer.load_state_dict(state)
        step, words, spent = held["step"], held["words"], held["seconds"]
        texts.rng = np.random.default_rng(args.seed + step)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters; {(sample.chance == 1).sum()} words always in the sample; from step {step}", flush=True)
    began, total, counted, squares, saved = time.time() - spent, 0.0, 0, 0.0, time.time()
    limit = args.minutes * 60
    while (progress := (time.time() - began) / limit) < 1:
        for batch in texts.round(progress):
            progress = min(1.0, (time.time() - began) / limit)
            rate = args.lr * min(1.0, (step + 1) / 100) * min(1.0, (1 - progress) / (1 - args.hold) + 0.002)
            for group in (g for o in optimizers for g in o.param_groups):
                group["lr"] = rate
            loss, n, log_z = batch_loss(model, batch, sample, texts.rng)
            model.zero_grad(set_to_none=True)
            (loss / n).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
            step, words, total, counted, squares = step + 1, words + n, total + float(loss.detach()), counted + n, squares + float(log_z.square().sum())
            if step % args.log_every == 0:
                print(f"step {step}: loss {total / counted:.3f}, log z rms {math.sqrt(squares / counted):.3f}, {words / 1e6:.2f} M words, {(time.time() - began) / 60:.1f} min, rate {rate:.5f}", flush=True)
                total, counted, squares = 0.0, 0, 0.0
            if progress >= 1:
                break
        if time.time() - saved > 240 or progress >= 1:
            held = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers], "step": step, "words": words, "seconds": time.time() - began}
            torch.save(held, path.with_suffix(".part"))
            os.replace(path.with_suffix(".part"), path)
            print(f"saved at {(time.time() - began) / 60:.1f} min; dev {summary(judge(model, texts.dev, texts.bos, args.limit if progress < 1 else 10**9))}", flush=True)
            saved = time.time()


def tensors(model, words, shift=0.0):
    """Arrays of word_lm.safetensors; `shift` is taken from all logits. Vectors stand in the order of the ranks."""
    state = {name: value.detach().float().numpy() for name, value in model.state_dict().items()}
    out = {"places": state["rank"].astype(np.uint16), "bias": (state["bias"] - shift).astype(np.float16), "widen.weight": state["embedding_widen"].astype(np.float16)}
    state["rnn.weight_ih_l0"] = state["rnn.weight_ih_l0"] * np.float32(model.embedding_head.shape[1] ** 0.5)
    state["frequent.weight"], state["rare.weight"] = state["embedding_head"], state["embedding_tail"]
    for name in ("frequent.weight", "rare.weight", "rnn.weight_ih_l0", "rnn.weight_hh_l0", "project.weight"):
        out[name], scale = quantize(state[name])
        out[name + ".scale"] = scale.astype(np.float16)
    out |= {name: state[name] for name in ("rnn.bias_ih_l0", "rnn.bias_hh_l0", "project.bias")}
    return {k: np.ascontiguousarray(v) for k, v in out.items()}, {"lexicon": f"{fingerprint(words):016x}"}


def load(run):
    """The model of the last checkpoint."""
    state = torch.load(run / "word_lm.pt", weights_only=False)["model"]
    model, _, _ = build(run, state["rnn.weight_hh_l0"].shape[1])
    model.load_state_dict(state)
    return model.eval()


def export(args):
    arrays, remarks = tensors(load(args.run), (args.run / "words.txt").read_text().split(), args.shift)
    save_file(arrays, args.out, remarks)
    args.out.chmod(0o644)  # safetensors makes it private
    print(f"{args.out}: {args.out.stat().st_size} bytes")


def report(args):
    """Perplexities of dev, a table row each set: n-gram model, network with its true normaliser, mixtures of both without it."""
    model, vocabulary = load(args.run), ngram.Vocabulary((args.run / "words.txt").read_text().split())
    dev = Texts(args.run / "texts.npz", 0, dev_only=True).dev
    levels, _ = read_bin(args.model / "lm.bin")
    shares = (0.3, 0.5, 0.7)
    print("| dev set | n-gram model | network | without its normaliser | " + " | ".join(f"{mu} of it" for mu in shares) + " | log normaliser, deviation |")
    print("|---" * (5 + len(shares)) + "|")
    for name, (logits, log_z, known) in judge(model, dev, vocabulary.bos).items():
        p, _ = ngram.token_probabilities(levels, np.concatenate(dev[name]), vocabulary)
        raw = np.exp(np.minimum(logits - args.shift, 0))
        figures = [math.exp(-np.log(q[known]).mean()) for q in (p, np.exp(logits - log_z), raw, *((1 - mu) * p + mu * raw for mu in shares))]
        print(f"| {name} | " + " | ".join(f"{x:.1f}" for x in figures) + f" | {log_z.mean():+.3f}, {log_z.std():.3f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("prepare", "train", "report", "export"))
    parser.add_argument("--data", type=Path, help="folder that holds speech/ and text/")
    parser.add_argument("--run", type=Path, required=True, help="folder of texts, checkpoints and figures")
    parser.add_argument("--model", type=Path, default=Path("models/en-small"), help="model folder whose lexicon.bin numbers the words")
    parser.add_argument("--out", type=Path, help="file that export writes")
    parser.add_argument("--shift", type=float, default=0.0, help="mean log normaliser that export takes from all logits")
    parser.add_argument("--minutes", type=float, default=80.0, help="time of the training")
    parser.add_argument("--hold", type=float, default=0.3, help="share of the time before the rate begins to fall")
    parser.add_argument("--sample", type=int, default=2048, help="words of the normaliser, on average")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--log-every", type=int, default=100)
    parser.add_argument("--limit", type=int, default=150, help="dev sentences of a set that are judged while training")
    parser.add_argument("--hidden", type=int, default=HIDDEN, help="cells of the LSTM layer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.run.mkdir(parents=True, exist_ok=True)
    {"prepare": prepare, "train": train, "report": report, "export": export}[args.stage](args)


if __name__ == "__main__":
    main()
