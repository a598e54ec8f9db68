import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from golden import tiny_config
from model import Geometry, NeuralTransducer, alignment
from realign import Alignment, best_alignments, limits, moved, spans_around

torch.set_num_threads(1)
GEOMETRY = Geometry(2, 3, 1, 3)


def tiny_model(seed, feeding):
    torch.manual_seed(seed)
    changes = {"transducer": {"input_feeding": feeding}, "encoder": {"frontend": {"type": "linear", "input_dim": 16}, "dim": 12, "num_layers": 1}}
    model = NeuralTransducer(tiny_config(**changes), 8).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(2.0)
    return model


@torch.no_grad()
def log_prob(model, features, frames, tokens, blocks, num_blocks):
    y, owner = Alignment(tokens, list(blocks), num_blocks, 0.0).sequence()
    previous = torch.tensor([[0] + y[:-1]])
    logits, _ = model(features, torch.tensor([frames]), previous, torch.tensor([owner]), GEOMETRY)
    return float(logits[0].log_softmax(dim=-1).double()[torch.arange(len(y)), y].sum())


def all_alignments(count, num_blocks, spans):
    for blocks in itertools.combinations_with_replacement(range(num_blocks), count):
        if all(blocks.count(b) < GEOMETRY.max_tokens for b in blocks) and all(f <= b <= l for b, (f, l) in zip(blocks, spans)):
            yield blocks


@pytest.mark.parametrize("feeding", [False, True])
def test_a_wide_beam_finds_the_best_of_all_alignments(feeding):
    frames, tokens = [9, 6, 4], [[3, 1, 5, 2], [7, 7, 4], [1]]
    torch.manual_seed(0)
    features = torch.randn(3, 9, 16)
    for seed in range(2):
        model = tiny_model(seed, feeding)
        wide = [[(0, 4)] * 4, [(0, 2)] * 3, [(0, 1)]]
        narrow = [[(0, 1), (1, 2), (1, 3), (3, 4)], [(0, 1), (1, 1), (1, 2)], [(1, 1)]]
        for spans in (wide, narrow):
            found = best_alignments(model, features, torch.tensor(frames), tokens, spans, GEOMETRY, keep=1000)
            one = best_alignments(model, features, torch.tensor(frames), tokens, spans, GEOMETRY)
            for u, (n, t) in enumerate(zip(frames, tokens)):
                blocks = -(-n // GEOMETRY.block)
                scores = {a: log_prob(model, features[u : u + 1], n, t, a, blocks) for a in all_alignments(len(t), blocks, spans[u])}
                best = max(scores, key=scores.get)
                assert tuple(found[u].blocks) == best
                assert abs(found[u].log_prob - scores[best]) < 1e-4
                # The paper's rule keeps one history for each position: not always the best, but its score is that of its alignment.
                assert abs(one[u].log_prob - scores[tuple(one[u].blocks)]) < 1e-4
                assert one[u].log_prob <= scores[best] + 1e-4


def test_a_beam_never_loses_an_utterance():
    torch.manual_seed(0)
    features, model = torch.randn(1, 20, 16), tiny_model(1, False)
    tokens = [[1, 2, 3, 4, 5, 6, 7, 1, 2]]
    for beam in (0.0, 1.0, 50.0):
        found = best_alignments(model, features, torch.tensor([20]), tokens, [[(0, 9)] * 9], GEOMETRY, beam=beam)[0]
        assert found is not None and len(found.blocks) == 9 and found.blocks == sorted(found.blocks)


def test_more_tokens_than_the_blocks_hold_give_none():
    assert limits([(0, 1)] * 5, 2, 3) is None
    assert limits([(0, 1)] * 4, 2, 3) == ([2, 4], [2, 4])
    torch.manual_seed(0)
    features, model = torch.randn(2, 4, 16), tiny_model(1, False)
    found = best_alignments(model, features, torch.tensor([4, 4]), [[1, 2, 3, 4, 5], [2, 3]], [[(0, 1)] * 5, [(0, 1)] * 2], GEOMETRY)
    assert found[0] is None and len(found[1].blocks) == 2


def test_moved_times_give_the_chosen_blocks_again():
    rng = np.random.default_rng(0)
    geometry = Geometry(2, 8, 3, 8)
    for _ in range(50):
        frames = int(rng.integers(4, 60))
        ends = np.sort(rng.uniform(0, frames * 0.08, frames // 2)).astype(np.float32)
        y, owner = alignment(range(1, len(ends) + 1), ends, frames, 0.08, geometry)
        given = [b for t, b in zip(y, owner) if t]
        if len(given) < len(ends):
            continue
        spans = spans_around(ends, frames, 0.08, geometry, 0.16, 0.32, given)
        assert all(f <= g <= l for (f, l), g in zip(spans, given))
        blocks = sorted(int(rng.integers(f, l + 1)) for f, l in spans)
        if max(blocks.count(b) for b in blocks) < geometry.max_tokens:
            y, owner = alignment(range(1, len(ends) + 1), moved(ends, blocks, 0.08, geometry).astype(np.float32), frames, 0.08, geometry)
            assert [b for t, b in zip(y, owner) if t] == blocks
