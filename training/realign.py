"""Stage `realign`: better token times by the paper's dynamic programme (Jaitly et al. 2016, section 2.3.1).

A beam over (block b, position j): the best way to have said the first j tokens by the end of block b. Every hypothesis carries the
transducer's own states; in each block it is extended by 0 .. M-1 of the next tokens and closed with `<e>`; of those that end in
the same (b, j) the best is kept. All hypotheses of all utterances of a batch take each step together. Where a token may go is limited to a
band around the given times.

Writes a targets file that `train --targets` reads. A token that stays in its block keeps its times; one that moves ends just inside its
new block.
"""

import argparse
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import distributed

from data import Corpus, buckets, make_batch
from loop import choose_precision, end_workers, start_workers
from model import END_OF_BLOCK, Geometry, NeuralTransducer, alignment
from progress import progress

INSIDE_S = 0.001  # how far behind its block's begin a moved token ends


@dataclass
class Alignment:
    tokens: list
    blocks: list  # block of each token
    num_blocks: int
    log_prob: float  # of tokens and `<e>` together

    def sequence(self):
        """y with its `<e>` and the block of each entry, as `model.alignment` gives them."""
        y, owner, i = [], [], 0
        for b in range(self.num_blocks):
            while i < len(self.tokens) and self.blocks[i] == b:
                y.append(int(self.tokens[i])), owner.append(b)
                i += 1
            y.append(END_OF_BLOCK), owner.append(b)
        return y, owner


def limits(spans, num_blocks, max_tokens):
    """Fewest and most tokens said by the end of each block, from each token's (first, last) block; None if they can not be met."""
    count, most_a_block = len(spans), max_tokens - 1
    fewest = [sum(last <= b for _, last in spans) for b in range(num_blocks)]
    most = [sum(first <= b for first, _ in spans) for b in range(num_blocks)]
    fewest[-1], most[-1] = count, count
    for b in range(num_blocks - 2, -1, -1):
        fewest[b] = max(fewest[b], fewest[b + 1] - most_a_block)
    most[0] = min(most[0], most_a_block)
    for b in range(1, num_blocks):
        most[b] = min(most[b], most[b - 1] + most_a_block)
    return (fewest, most) if all(f <= m for f, m in zip(fewest, most)) and fewest[0] <= most_a_block else None


def rows_of(state, index):
    """The chosen rows of a transducer state."""
    return {"state": [(h[:, index], c[:, index]) for h, c in state["state"]], "emit": [(h[:, index], c[:, index]) for h, c in state["emit"]],
            "context": state["context"][index], "history": state["history"][index]}


def joined(states):
    join = lambda name, i, part: torch.cat([s[name][i][part] for s in states], dim=1)
    pairs = lambda name: [(join(name, i, 0), join(name, i, 1)) for i in range(len(states[0][name]))]
    return {"state": pairs("state"), "emit": pairs("emit"), **{name: torch.cat([s[name] for s in states]) for name in ("context", "history")}}


@torch.no_grad()
def best_alignments(model, features, lengths, tokens, spans, geometry, beam=float("inf"), keep=1):
    """The most probable alignment of each utterance, or None where the limits can not be met.

    features [B, T, mel]; lengths [B] encoder frames; tokens and spans by utterance: ids, and the (first, last) block of each.
    Hypotheses further than `beam` nats behind the best of their utterance are dropped; `keep` are kept for each (block, position): 1 is
    the paper's rule, more is nearer to a full search.
    """
    return best_alignments_of(model, model.encoder(features), lengths, tokens, spans, geometry, beam, keep)


@torch.no_grad()
def best_alignments_of(model, h, lengths, tokens, spans, geometry, beam=float("inf"), keep=1):
    """The same of encoder frames h [B, U, D]."""
    keys, values = model.transducer.attention.project(h)  # [B, heads, U, A/heads]
    device, (w, m) = h.device, (geometry.block, geometry.max_tokens)
    num_blocks = [max(1, -(-int(n) // w)) for n in lengths]
    bounds = [limits(s, n, m) for s, n in zip(spans, num_blocks)]
    alive = torch.tensor([b is not None for b in bounds], device=device)
    total, longest = max(num_blocks), max(1, max(len(t) for t in tokens))
    label = torch.zeros(len(tokens), longest, dtype=torch.long, device=device)
    fewest, most = torch.zeros(len(tokens), total, dtype=torch.long), torch.zeros(len(tokens), total, dtype=torch.long)
    for u, (t, bound) in enumerate(zip(tokens, bounds)):
        label[u, : len(t)] = torch.tensor([int(x) for x in t], device=device)
        if bound:
            fewest[u, : num_blocks[u]], most[u, : num_blocks[u]] = torch.tensor(bound[0]), torch.tensor(bound[1])
    fewest, most, ends = fewest.to(device), most.to(device), torch.tensor(num_blocks, device=device)
    lengths = lengths.to(device)

    owner = torch.nonzero(alive).flatten()  # [R] utterance of each hypothesis
    position = torch.zeros_like(owner)  # [R] tokens said
    score = torch.zeros(len(owner), dtype=torch.float64, device=device)
    state = model.transducer.start(len(owner), device)
    previous = torch.full((len(owner), 1), END_OF_BLOCK, dtype=torch.long, device=device)
    history, results = [], [None] * len(tokens)
    for b in range(total):
        base = max(0, (b * w - geometry.look_back) // w)  # the first block whose frames are seen
        seen = slice(base * w, (b + 1) * w + geometry.look_ahead)
        block_keys, block_values = keys[:, :, seen], values[:, :, seen]
        rows = torch.arange(len(owner), device=device)  # hypothesis at the block's begin that each row comes from
        at, logp = position, score
        best = torch.full((len(tokens),), float("-inf"), dtype=torch.float64, device=device)  # of the closed ones, by utterance
        closed = []
        for step in range(m):
            logits, _, _, state = model.transducer.run(
                previous, block_keys[owner[rows]], block_values[owner[rows]], torch.full((len(rows), 1), b - base, device=device),
                geometry, lengths[owner[rows]] - base * w, state)
            log_probs = logits[:, 0].log_softmax(dim=-1).double()
            fits = torch.nonzero(at >= fewest[owner[rows], b]).flatten()
            done = (logp + log_probs[:, END_OF_BLOCK])[fits]
            best.scatter_reduce_(0, owner[rows[fits]], done, "amax")
            closed.append((rows[fits], at[fits], done, rows_of(state, fits)))
            following = label[owner[rows], at.clamp(max=longest - 1)]
            logp = logp + log_probs.gather(1, following[:, None])[:, 0]
            goes_on = torch.nonzero((at < most[owner[rows], b]) & (logp >= best[owner[rows]] - beam)).flatten()
            if step + 1 == m or len(goes_on) == 0:
                break
            previous, logp = following[goes_on][:, None], logp[goes_on]
            rows, at, state = rows[goes_on], at[goes_on] + 1, rows_of(state, goes_on)
        parent, at, logp = (torch.cat([c[i] for c in closed]) for i in range(3))
        state = joined([c[3] for c in closed])
        order = torch.argsort(logp, descending=True, stable=True)
        slot = (owner[parent] * (longest + 1) + at)[order]
        order = order[torch.argsort(slot, stable=True)]  # by utterance and position, the best first
        slot = (owner[parent] * (longest + 1) + at)[order]
        begins = torch.searchsorted(slot, slot)
        order = order[(torch.arange(len(slot), device=device) - begins < keep) & (logp[order] >= best[owner[parent[order]]] - beam)]
        parent, at, logp, state = parent[order], at[order], logp[order], rows_of(state, order)
        history.append((parent.tolist(), at.tolist()))
        finished = ends[owner[parent]] == b + 1
        who = owner[parent]
        for i in torch.nonzero(finished).flatten().tolist():
            u = int(who[i])
            if results[u] is None or float(logp[i]) > results[u][0]:
                results[u] = (float(logp[i]), i)
        # Finished hypotheses stay in `history`, which the traces below start from, but take no more steps.
        going = torch.nonzero(~finished).flatten()
        history[-1] = (*history[-1], going.tolist())
        owner, position, score, state = who[going], at[going], logp[going], rows_of(state, going)
        previous = torch.full((len(going), 1), END_OF_BLOCK, dtype=torch.long, device=device)
        if len(going) == 0:
            break

    out = []
    for u, result in enumerate(results):
        if result is None:
            out.append(None)
            continue
        log_prob, i = result
        blocks = [0] * len(tokens[u])
        for b in range(num_blocks[u] - 1, -1, -1):
            parents, positions, _ = history[b]
            said, before = positions[i], 0
            if b:
                i = history[b - 1][2][parents[i]]
                before = history[b - 1][1][i]
            blocks[before:said] = [b] * (said - before)
        out.append(Alignment(list(tokens[u]), blocks, num_blocks[u], log_prob))
    return out


def spans_around(ends_s, num_frames, frame_s, geometry, earlier_s, later_s, given):
    """(first, last) block of each token: those within the times around its end, and the one of the given alignment."""
    last = max(1, -(-num_frames // geometry.block)) - 1
    block = lambda t: min(last, int(max(t - 1e-4, 0.0) / frame_s) // geometry.block)
    return [(min(block(e - earlier_s), g), max(block(e + later_s), g)) for e, g in zip(ends_s, given)]


def moved(ends_s, blocks, frame_s, geometry):
    """End times that lie in the chosen blocks, changed as little as possible."""
    width = geometry.block * frame_s
    b = np.asarray(blocks, np.float64)
    return np.clip(np.asarray(ends_s, np.float64), b * width + INSIDE_S, (b + 1) * width)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="cache written by prepare")
    parser.add_argument("--out", type=Path, required=True, help="targets file to write, such as RUN/targets.npz")
    parser.add_argument("--targets", type=Path, help="times to start from (default: those of the cache)")
    parser.add_argument("--latency", help="latency mode whose blocks are used (default: the model's)")
    parser.add_argument("--earlier-s", type=float, default=0.16, help="how much earlier than given a token may come")
    parser.add_argument("--later-s", type=float, default=0.32, help="how much later than given a token may come")
    parser.add_argument("--beam", type=float, default=12.0, help="nats behind the best hypothesis of an utterance")
    parser.add_argument("--token-delay-s", type=float, default=0.0, help="the recipe's token_delay_s")
    parser.add_argument("--batch-s", type=float, default=160.0)
    parser.add_argument("--limit", type=int, default=0, help="only so many utterances (0: all); the others keep their times")
    parser.add_argument("--precision", choices=["auto", "f32", "bf16"], default="auto")
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    rank, world = start_workers()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bf16 = choose_precision(args.precision)
    checkpoint = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
    config = checkpoint["config"]
    corpus = Corpus(args.data, config["features"]["num_mel_bins"], args.targets)
    num_tokens = len((args.data / "tokens.txt").read_text().split())
    model = NeuralTransducer(config, num_tokens)
    model.load_state_dict(checkpoint["average"], strict=False)  # the checkpoint also holds heads that only training needs
    model.to(device).eval()
    geometry = Geometry.from_config(config["latency_modes"][args.latency or config["default_latency"]])
    shift_s = config["features"]["frame_shift_ms"] / 1000
    frame_s = model.subsampling * shift_s
    tail = int(config["streaming"]["tail_padding_ms"] / config["features"]["frame_shift_ms"])

    start, end = corpus.start.copy(), corpus.end.copy()
    rows = corpus.split("train")
    random.Random(1).shuffle(rows)
    rows = rows[: args.limit or None]
    began, audio, counts = time.time(), 0.0, {"utterances": 0, "failed": 0, "tokens": 0, "earlier": 0, "later": 0}
    after, shift = 0.0, 0.0
    batches = buckets(rows, args.batch_s, random.Random(1), frame_s=shift_s)
    batches = batches[rank::world]
    changed = []  # (first target, times) of each utterance, for the other processes' shares
    for group in progress(batches, total=len(batches), label="realign"):
        batch = make_batch(corpus, group, model, tail)
        given, spans = [], []
        for tokens, ends, n in zip(batch.tokens, batch.ends, batch.lengths.tolist()):
            y, owner = alignment(tokens, ends + args.token_delay_s, n, frame_s, geometry)
            blocks = [b for t, b in zip(y, owner) if t != END_OF_BLOCK]
            given.append((y, owner) if len(blocks) == len(tokens) else None)
            blocks += [owner[-1]] * (len(tokens) - len(blocks))
            spans.append(spans_around(ends + args.token_delay_s, n, frame_s, geometry, args.earlier_s, args.later_s, blocks))
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            found = best_alignments(model, batch.features.to(device), batch.lengths, batch.tokens, spans, geometry, args.beam)
        audio += batch.audio_s
        for u, tokens, ends, alignment_, old in zip(group, batch.tokens, batch.ends, found, given):
            counts["utterances"] += 1
            if alignment_ is None or old is None:
                counts["failed"] += 1
                continue
            old_blocks = [b for t, b in zip(*old) if t != END_OF_BLOCK]
            new = moved(ends + args.token_delay_s, alignment_.blocks, frame_s, geometry) - args.token_delay_s
            span = slice(u["token"], u["token"] + u["tokens"])
            changed.append((span, new))
            counts["tokens"] += len(tokens)
            counts["earlier"] += sum(n < o for n, o in zip(alignment_.blocks, old_blocks))
            counts["later"] += sum(n > o for n, o in zip(alignment_.blocks, old_blocks))
            shift += float((new - ends).sum())
            after += alignment_.log_prob
    if world > 1:
        shares = [None] * world
        distributed.all_gather_object(shares, (changed, counts, shift, after, audio))
        end_workers()
        if rank:
            return
        changed = [c for share in shares for c in share[0]]
        counts = {k: sum(share[1][k] for share in shares) for k in counts}
        shift, after, audio = (sum(share[i] for share in shares) for i in (2, 3, 4))
    for span, new in changed:
        end[span] = new
        start[span] = np.minimum(start[span], end[span])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(args.out, token=corpus.token, start=start, end=end)
    seconds = time.time() - began
    print(json.dumps({**counts, "log_prob_a_token": round(after / max(1, counts["tokens"]), 4),
                      "mean_shift_ms": round(1000 * shift / max(1, counts["tokens"]), 1), "audio_hours": round(audio / 3600, 3),
                      "seconds": round(seconds, 1), "times_real_time": round(audio / seconds, 1)}))


if __name__ == "__main__":
    main()
