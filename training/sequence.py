"""Stage `sequence`: fewer word errors are expected among the hypotheses of an utterance, beside the cross-entropy of `train`.

Minimum word error rate training (Prabhavalkar et al. 2018, https://arxiv.org/abs/1712.01818): the hypotheses of a list share one probability, by what the network gives their
tokens and what else the search counted (language models, what is taken back, bonuses), and the errors that are so expected become fewer. LISTS is what the program
writes if built with the feature `lists`, whose search found the hypotheses and the blocks of their tokens:

    cargo build --release --features lists --target-dir target/lists
    target/lists/release/vivavoce evaluate DATA/speech --split train --words LISTS
"""

import argparse
import json

import torch
from rapidfuzz.distance import Levenshtein
from torch.nn import functional as F

from data import step_targets
from loop import Loop, arguments
from model import alignment
from train import known_loss, random_geometry


def read_lists(paths, block_s):
    """By set and id: the hypotheses, best first, as tokens, their times in seconds, word errors, and what the score has beside the network's share. Lists whose hypotheses
    have equally many errors teach nothing and are left out."""
    out = {}
    for path in paths:
        for line in map(json.loads, open(path, encoding="utf-8")):
            reference = line["text"].split()
            hypotheses = []
            for found in line["hypotheses"]:
                if found["tokens"]:
                    times = [(block + 0.5) * block_s for block in found["blocks"]]
                    errors = Levenshtein.distance(reference, found["text"].split())
                    hypotheses.append((found["tokens"], times, errors, found["score"] - found["log_prob"]))
            if len({errors for _, _, errors, _ in hypotheses}) > 1:
                out[line["set"], line["id"]] = hypotheses
    return out


def draw(hypotheses, most, rng):
    """The best hypothesis and some of the others."""
    rest = hypotheses[1:]
    return hypotheses[:1] + rng.sample(rest, min(most - 1, len(rest)))


def expected_errors(log_probs, beside, errors, owner, scale):
    """Word errors that are expected of each list, less the mean of its hypotheses, [lists]; all else is by hypothesis, `owner` its list."""
    count = int(owner.max()) + 1
    score = scale * (log_probs + beside)
    top = torch.full((count,), -torch.inf).scatter_reduce(0, owner, score.detach(), "amax")
    weight = (score - top[owner]).exp()
    share = weight / torch.zeros(count).index_add(0, owner, weight)[owner]
    number = torch.zeros(count).index_add(0, owner, torch.ones_like(errors))
    mean = torch.zeros(count).index_add(0, owner, errors) / number
    return torch.zeros(count).index_add(0, owner, share * (errors - mean[owner]))


def main():
    parser = arguments(argparse.ArgumentParser(description=__doc__))
    parser.add_argument("--lists", action="append", required=True, help="hypotheses of training utterances; may be given several times")
    loop = Loop(parser.parse_args(), "train", "sequence")
    model, settings = loop.model, loop.settings
    block_s = loop.geometry().block * loop.frame_s
    lists = read_lists(loop.args.lists, block_s)
    print(f"{len(lists)} utterances with lists", flush=True)

    def errors_of(batch, h, geometry):
        """Errors that are expected of the lists of a batch, less their means; None without lists."""
        rows, aligned, errors, beside = [], [], [], []
        for i, u in enumerate(batch.utterances):
            if (u["set"], u["id"]) not in lists:
                continue
            speed = float(loop.corpus.targets(u)[2][-1] / batch.ends[i][-1])
            for tokens, times, wrong, rest in draw(lists[u["set"], u["id"]], settings["hypotheses"], loop.rng):
                rows.append(i)
                aligned.append(alignment(tokens, [t / speed for t in times], int(batch.lengths[i]), loop.frame_s, geometry))
                errors.append(float(wrong)), beside.append(rest)
        if not rows:
            return None
        previous, target, block = step_targets(batch, geometry, loop.frame_s, aligned=aligned)
        previous, target, block, index = (x.to(h.device) for x in (previous, target, block, torch.tensor(rows)))
        keys, values = model.transducer.attention.project(h)
        state = model.transducer.start(len(rows), h.device)
        logits = model.transducer.run(previous, keys[index], values[index], block, geometry, batch.lengths[index], state)[0]
        log_probs = F.log_softmax(logits, dim=-1).gather(2, target.clamp(min=0)[..., None])[..., 0]
        log_probs = (log_probs * (target >= 0)).sum(dim=1).cpu()
        _, owner = torch.unique_consecutive(torch.tensor(rows), return_inverse=True)
        return expected_errors(log_probs, torch.tensor(beside), torch.tensor(errors), owner, settings["score_scale"])

    def loss_of(batch):
        geometry = random_geometry(loop.rng, settings["geometry"])
        loss, parts, h = known_loss(loop, batch, geometry)
        loss = settings["known_weight"] * loss
        expected = errors_of(batch, h, geometry)
        if expected is not None:
            loss = loss + expected.mean().to(loss.device)
            parts["errors"] = expected.detach().mean()
        return loss, parts

    loop.train(loss_of, lambda average: loop.greedy_error(average, loop.geometry(), limit=24))


if __name__ == "__main__":
    main()
