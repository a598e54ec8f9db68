"""What stands above the context layers, trained from nothing: units of the transducer, and a teacher that hears the whole recording.

The context layers' frames of a subset of the speech are computed once, in several disturbed copies (one an epoch) and clean for dev; a variant
is then the recurrent layers and a transducer trained on them.

- `units`: phones, searched by the program with lexicon and language model, against byte-pair pieces, searched here with an n-gram model of
  pieces (beam search, the pieces' own bigram taken back as the program does with phones). A piece ends where its share of the word's letters ends.
- `teacher`: a network whose recurrent layers run in both directions; then the streaming network that learns, on the same `<e>`-alignment, from
  its probabilities at every step as well.

    python training/lab_top.py --experiment units --data DATA --cache CACHE --lm-report MODEL/lm.json --run RUN
"""

import argparse
import json
import math
import random
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from rapidfuzz.distance import Levenshtein
from torch import nn
from torch.nn import functional as F

import ngram
from data import Augment, Corpus, buckets, step_targets
from export import export, read_weights
from lab import Frames, subset
from loop import choose_precision, dev_rows, load_config
from model import END_OF_BLOCK, EncoderLayer, Geometry, NeuralTransducer
from muon import Muon, inner
from neural_lm import texts
from prepare import read_ctm
from prior import log_probs as prior_log_probs
from train import disturb, transducer_loss

NGRAM_ORDER = 6
PIECE_BITS = 10  # 6 pieces of up to 1,020 kinds in 64 bits


class BothWays(nn.Module):
    """The recurrent layers of an encoder and as many that run backwards, added to each other layer by layer."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.back = nn.ModuleList(EncoderLayer(encoder.input.out_features) for _ in encoder.layers)

    def forward(self, joined, lengths):  # [B, U, W], [B] frames -> [B, U, D]
        e = self.encoder
        x = e.input(joined).transpose(0, 1).contiguous()
        t = torch.arange(len(x))[:, None]
        turned = torch.where(t < lengths, lengths - 1 - t, t)[..., None].expand(-1, -1, x.shape[2])  # [U, B, D]
        for ahead, back in zip(e.layers, self.back):
            y, _ = ahead.lstm(e.dropout(ahead.norm(x)))
            z, _ = back.lstm(e.dropout(back.norm(x.gather(0, turned))))
            x = x + e.dropout(y) + e.dropout(z.gather(0, turned.to(z.device)))
        return e.norm(x).transpose(0, 1)


class Top(nn.Module):
    def __init__(self, config, num_tokens, dropout, both=False):
        super().__init__()
        self.net = NeuralTransducer(config, num_tokens, dropout)
        self.both = BothWays(self.net.encoder) if both else None

    def encode(self, joined, lengths):
        """lengths without the encoder's lag, as the transducer counts."""
        if self.both:
            return self.both(joined, lengths)
        return self.net.encoder.above(joined)

    def forward(self, joined, lengths, previous, block, geometry):
        h = self.encode(joined, lengths)
        net = self.net.transducer
        keys, values = net.attention.project(h)
        return net.run(previous, keys, values, block, geometry, lengths, net.start(len(h)))[0]


class Phones:
    def __init__(self, corpus, count):
        self.corpus, self.count = corpus, count

    def targets(self, u):
        tokens, _, ends = self.corpus.targets(u)
        return tokens, ends


class Pieces:
    """Byte-pair pieces of the training transcripts, with times from the alignment of the words."""

    def __init__(self, run, size, corpus, ctm, lines):
        path = run / f"bpe-{size}"
        if not path.with_suffix(".model").exists():
            sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_prefix=str(path), vocab_size=size, model_type="bpe",
                                                     character_coverage=1.0, minloglevel=2, unk_id=0, bos_id=-1, eos_id=-1)
        self.model = sentencepiece.SentencePieceProcessor(model_file=f"{path}.model")
        self.ctm, self.count = ctm, size  # piece 0, unknown, stands for <e>

    def targets(self, u):
        words = self.ctm[f"{u['set']}/{u['id']}"]
        tokens, ends = [], []
        for start, end, word in words:
            pieces = self.model.encode(word)
            letters = np.cumsum([len(self.model.id_to_piece(p).strip("▁")) for p in pieces])
            tokens += pieces
            ends += list(start + (end - start) * np.maximum(letters, 1) / max(letters[-1], 1))
        return np.array(tokens, np.int64), np.array(ends)

    def text(self, tokens):
        return self.model.decode([int(t) for t in tokens])


class PieceNgram:
    """Natural log-probabilities of every next piece, remembered by context."""

    def __init__(self, sources, weights, pieces):
        self.vocabulary = ngram.Vocabulary([str(i) for i in range(pieces.count)])
        models = []
        for name, lines in sources.items():
            ids = [i for line in pieces.model.encode(lines) for i in (self.vocabulary.bos, *line, self.vocabulary.eos)]
            cutoffs = [2 if len(ids) > 3_000_000 and k > 3 else 1 for k in range(1, NGRAM_ORDER + 1)]
            models.append((weights[name], ngram.estimate(np.array(ids, np.int64), NGRAM_ORDER, self.vocabulary, cutoffs)))
        self.models, self.known = models, {}
        self.all = np.append(np.arange(pieces.count), self.vocabulary.eos).astype(np.uint64)

    def after(self, tokens):
        """[pieces + 1], the last one the end."""
        context = (self.vocabulary.bos, *tokens)[-(NGRAM_ORDER - 1) :]
        if context not in self.known:
            key = np.uint64(0)
            for w in context:
                key = (key << ngram.BITS) | np.uint64(w)
            keys = (key << ngram.BITS) | self.all
            p = sum(weight * ngram.probability(levels, len(context) + 1, keys) for weight, levels in self.models)
            self.known[context] = np.log(np.maximum(p, 1e-12))
        return self.known[context]


def pick(state, index):
    """Rows of a transducer's state."""
    two = lambda pairs: [(h[:, index], c[:, index]) for h, c in pairs]
    return {"state": two(state["state"]), "emit": two(state["emit"]), "context": state["context"][index], "history": state["history"][index], "attention": None}


def join_states(a, b):
    two = lambda p, q: [tuple(torch.cat(v, dim=1) for v in zip(x, y)) for x, y in zip(p, q)]
    return {"state": two(a["state"], b["state"]), "emit": two(a["emit"], b["emit"]), "attention": None,
            **{name: torch.cat([a[name], b[name]]) for name in ("context", "history")}}


@torch.no_grad()
def beam_search(transducer, h, geometry, lm, lm_weight, bonus, prior, prior_weight, beam=16, wide=12):
    """Pieces of one recording h [1, U, D]: time-synchronous beam search; the language model scores pieces, never `<e>`."""
    keys, values = transducer.attention.project(h)
    length = torch.tensor([h.shape[1]])
    held = [((), 0.0, END_OF_BLOCK)]  # pieces, score, previous token
    state = transducer.start(1)
    for b in range(math.ceil(h.shape[1] / geometry.block)):
        ended, ended_state = [], None
        for m in range(geometry.max_tokens):
            n = len(held)
            previous = torch.tensor([[p] for _, _, p in held])
            logits, _, _, new = transducer.run(previous, keys.expand(n, *keys.shape[1:]), values.expand(n, *values.shape[1:]),
                                               torch.full((n, 1), b), geometry, length.expand(n), state)
            logp = F.log_softmax(logits[:, 0], dim=-1).numpy()
            new["attention"] = None
            ended += [(tokens, score + logp[i, END_OF_BLOCK], END_OF_BLOCK) for i, (tokens, score, _) in enumerate(held)]
            ended_state = new if ended_state is None else join_states(ended_state, new)
            if m + 1 == geometry.max_tokens:
                break
            worst = sorted((e[1] for e in ended), reverse=True)[:beam][-1] if len(ended) >= beam else -math.inf
            grown = []
            for i, (tokens, score, _) in enumerate(held):
                order = np.argsort(-logp[i, 1:])[:wide] + 1
                gain = logp[i, order] + bonus
                if lm is not None:
                    gain = gain + lm_weight * lm.after(tokens)[order]
                if prior is not None:
                    gain = gain - prior_weight * prior[(tokens[-1] + 1) if tokens else 0][order]
                grown += [(score + g, i, int(t)) for g, t in zip(gain, order)]
            best = max(e[1] for e in ended)
            grown = [g for g in sorted(grown, reverse=True)[:beam] if g[0] > max(worst, best - 12)]
            if not grown:
                break
            held, state = [(held[i][0] + (t,), s, t) for s, i, t in grown], pick(new, torch.tensor([i for _, i, _ in grown]))
        merged = {}
        for i, (tokens, score, _) in enumerate(ended):
            at = merged.get(tokens)
            if at is None:
                merged[tokens] = [score, i, score]
            else:
                total = float(np.logaddexp(at[0], score))
                merged[tokens] = [total, i if score > at[2] else at[1], max(score, at[2])]
        top = sorted(((s, tokens, i) for tokens, (s, i, _) in merged.items()), reverse=True)[:beam]
        held, state = [(tokens, s, END_OF_BLOCK) for s, tokens, _ in top], pick(ended_state, torch.tensor([i for _, _, i in top]))
    if lm is not None:
        held = [(tokens, s + lm_weight * lm.after(tokens)[-1], p) for tokens, s, p in held]
    return max(held, key=lambda x: x[1])[0]


class Lab:
    def __init__(self, args):
        self.args = args
        recipe = load_config(args.config)
        self.config, self.settings = recipe["model"], {**recipe["training"], **recipe["training"]["train"]}
        torch.set_num_threads(args.threads)
        self.bf16 = choose_precision("auto")
        self.autocast = lambda: torch.autocast("cpu", torch.bfloat16, enabled=self.bf16)
        self.corpus = Corpus(args.cache, self.config["features"]["num_mel_bins"])
        self.tokens = (args.cache / "tokens.txt").read_text().split()
        self.shared = NeuralTransducer(self.config, len(self.tokens)).eval()
        self.below = {k: v for k, v in read_weights(args.checkpoint).items() if k.startswith(("encoder.frontend", "encoder.context"))}
        self.shared.load_state_dict(self.below, strict=False)
        self.frame_s = self.shared.subsampling * self.config["features"]["frame_shift_ms"] / 1000
        self.geometry = Geometry.from_config(self.config["latency_modes"]["balanced"])
        tail = int(self.config["streaming"]["tail_padding_ms"] / self.config["features"]["frame_shift_ms"])
        self.rows = subset(self.corpus, args.hours, 1)
        self.dev = {name: dev_rows(self.corpus, name, args.limit) for name in self.settings["dev_sets"]}
        mild = Augment({**self.settings["augment"], "speed": 0.0}, self.corpus)  # token times stay
        make = lambda name, rows, augment=None, seed=1: Frames(args.run, self.corpus, self.shared, rows, tail, self.autocast, name, True, augment, seed)
        self.copies = [make(f"copy-{i}", self.rows, mild, i) for i in range(args.epochs)]
        self.heard = make("dev", [u for rows in self.dev.values() for u in rows])

    def batch(self, frames, units, rows):
        joined, lengths = frames.batch(rows)
        tokens, ends = zip(*(units.targets(u) for u in rows))
        held = type("Targets", (), {"tokens": tokens, "ends": ends, "lengths": lengths})
        return joined, lengths, step_targets(held, self.geometry, self.frame_s)

    def train(self, units, both=False, teacher=None):
        args, began = self.args, time.time()
        torch.manual_seed(args.seed)
        generator, rng = torch.Generator().manual_seed(args.seed), random.Random(args.seed)
        model = Top(self.config, units.count, args.dropout, both)
        model.net.load_state_dict(self.below, strict=False)
        named = [(n, p) for n, p in model.named_parameters() if "frontend" not in n and "encoder.context" not in n]
        matrices = [(n, p) for n, p in named if inner(n, p)]
        optimizers = [torch.optim.AdamW([p for n, p in named if not inner(n, p)], lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01),
                      Muon(matrices, args.lr, 0.01, dtype=torch.bfloat16 if self.bf16 else torch.float32)]
        groups = [(frames, g) for frames in self.copies for g in buckets(self.rows, args.batch_s, rng)]
        for step, (frames, rows) in enumerate(groups):
            joined, lengths, (previous, target, block) = self.batch(frames, units, rows)
            previous = disturb(previous, self.settings["token_noise"], units.count, generator)
            rate = args.lr * min(1.0, (step + 1) / 30) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / len(groups))))
            for group in (g for o in optimizers for g in o.param_groups):
                group["lr"] = rate
            model.train()
            with self.autocast():
                logits = model(joined, lengths, previous, block, self.geometry)
                loss, nll, _ = transducer_loss(logits, target, self.settings["label_smoothing"])
                if teacher is not None:
                    with torch.no_grad():
                        taught = teacher.eval()(joined, lengths, previous, block, self.geometry).softmax(dim=-1)
                    known = target >= 0
                    from_teacher = -(taught[known] * logits[known].log_softmax(dim=-1)).sum(-1).mean()
                    loss = (1 - args.taught) * loss + args.taught * from_teacher
            model.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.settings["clip"])
            for optimizer in optimizers:
                optimizer.step()
            if step % 50 == 0:
                print(f"  step {step} of {len(groups)}, nll {nll:.3f}, {time.time() - began:.0f} s", flush=True)
        return model.eval(), round(time.time() - began)

    @torch.no_grad()
    def encode(self, model, rows):
        joined, lengths = self.heard.batch(rows)
        with self.autocast():
            return model.encode(joined, lengths), lengths

    def token_errors(self, model, units):
        out = {}
        for name, rows in self.dev.items():
            wrong = count = 0
            for i in range(0, len(rows), 16):
                part = rows[i : i + 16]
                h, lengths = self.encode(model, part)
                with self.autocast():
                    found = model.net.greedy_from(h, lengths, self.geometry)
                for u, hypothesis in zip(part, found):
                    wanted = units.targets(u)[0].tolist()
                    wrong += Levenshtein.distance(wanted, [t for t, _ in hypothesis])
                    count += len(wanted)
            out[name] = round(100 * wrong / count, 2)
        return out

    def program_words(self, model):
        """Word errors of phones: the program with the lexicon, language model and prior of the model folder."""
        args, out = self.args, {}
        with tempfile.TemporaryDirectory() as folder:
            state = {**self.shared.state_dict(), **model.net.state_dict()}
            export(self.config, state, json.loads((args.cache / "stats.json").read_text()), self.tokens, folder, "int8")
            for part in ("lexicon.bin", "lm.bin", "prior.bin"):
                (Path(folder) / part).write_bytes((args.model / part).read_bytes())
            for name in self.dev:
                command = [args.binary, "evaluate", str(args.data / "speech"), "--model", folder, "--set", name, "--limit", str(args.limit), "--jobs", "1", "--json"]
                report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                out[name] = round(100 * report[name]["word"]["rate"], 2)
        return out

    def piece_words(self, model, pieces, lm, prior, settings):
        out = {}
        for name, rows in self.dev.items():
            wrong = count = 0
            for u in rows:
                h, lengths = self.encode(model, [u])
                found = beam_search(model.net.transducer, h[:, : int(lengths[0])].float(), self.geometry, lm, settings[0], settings[1], prior, settings[2])
                wanted = u["text"].split()
                wrong += Levenshtein.distance(wanted, pieces.text(found).split())
                count += len(wanted)
            out[name] = round(100 * wrong / count, 2)
        return out


def phone_student(lab, note):
    """The variant that both experiments measure against, trained once."""
    done, phones = lab.args.run / "phones.done", Phones(lab.corpus, len(lab.tokens))
    if not done.exists():
        model, seconds = lab.train(phones)
        note("phones", seconds=seconds, greedy_tokens=lab.token_errors(model, phones), words=lab.program_words(model))
        done.touch()
    return phones


def units(lab, note):
    args = lab.args
    phone_student(lab, note)
    ctm = read_ctm(args.data / "align" / "words.ctm.xz")
    sources, _ = texts(args.data)
    lines = sources["training_transcripts"]
    ngram.BITS = np.uint64(PIECE_BITS)
    weights = json.loads(args.lm_report.read_text())["sources"]
    for size in args.pieces:
        pieces = Pieces(args.run, size, lab.corpus, ctm, lines)
        model, seconds = lab.train(pieces)
        note(f"{size} pieces", seconds=seconds, greedy_tokens=lab.token_errors(model, pieces), words_alone=lab.piece_words(model, pieces, None, None, (0, 0, 0)))
        lm = PieceNgram(sources, {n: s["weight"] for n, s in weights.items()}, pieces)
        prior = prior_log_probs([pieces.targets(u)[0] for u in lab.rows], [1.0] * len(lab.rows), size, 2)
        for setting in ((0.3, 0.5, 0.0), (0.5, 1.0, 0.0), (0.5, 0.0, 0.3), (0.8, 0.0, 0.5)):
            note(f"{size} pieces", lm_bonus_prior=setting, words=lab.piece_words(model, pieces, lm, prior, setting))


def teacher(lab, note):
    phones = phone_student(lab, note)
    both, seconds = lab.train(phones, both=True)
    note("both ways", seconds=seconds, greedy_tokens=lab.token_errors(both, phones))
    taught, seconds = lab.train(phones, teacher=both)
    note("phones, taught", share=lab.args.taught, seconds=seconds, greedy_tokens=lab.token_errors(taught, phones), words=lab.program_words(taught))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", choices=("units", "teacher"), required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/, text/ and align/")
    parser.add_argument("--cache", type=Path, required=True, help="cache written by prepare")
    parser.add_argument("--config", default="training/configs/en-small.json")
    parser.add_argument("--checkpoint", default="models/en-small/model.safetensors", help="model.safetensors with the context layers")
    parser.add_argument("--model", type=Path, default=Path("models/en-small"), help="model folder whose lexicon, language model and prior phones use")
    parser.add_argument("--lm-report", type=Path, help="lm.json with the weights of the texts (for pieces)")
    parser.add_argument("--binary", default="target/release/vivavoce")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--pieces", type=int, nargs="*", default=[128, 256, 500])
    parser.add_argument("--hours", type=float, default=5.0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-s", type=float, default=120)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--taught", type=float, default=0.7, help="share of the teacher's probabilities in the loss")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int, default=60, help="dev utterances a set")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if args.experiment == "units" and args.lm_report is None:
        parser.error("units needs --lm-report: the lm.json that lm.py writes beside lm.bin")
    args.run.mkdir(parents=True, exist_ok=True)
    lab = Lab(args)

    def note(variant, **values):
        line = {"experiment": args.experiment, "variant": variant, **values, "hours": args.hours, "epochs": args.epochs}
        print(json.dumps(line), flush=True)
        with open(args.run / "results.jsonl", "a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")

    {"units": units, "teacher": teacher}[args.experiment](lab, note)


if __name__ == "__main__":
    main()
