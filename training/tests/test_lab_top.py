"""Recurrent layers in both directions, pieces with times, their n-gram model, and the beam search over them."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ngram
from lab_top import BothWays, PieceNgram, Pieces, Top, beam_search
from model import Geometry

CONFIG = {
    "features": {"num_mel_bins": 8},
    "encoder": {"frontend": {"type": "conv", "channels": [4, 4], "stack": 2}, "dim": 12, "num_layers": 2,
                "context_layers": {"dim": 8, "hidden_dim": 8, "offsets": [[-1, 0, 1], [-1, 0, 1]]}},
    "transducer": {"embedding_dim": 6, "state_dim": 10, "state_layers": 1, "emit_dim": 10, "emit_layers": 1, "input_feeding": False},
    "attention": {"score": "scaled_dot", "dim": 8, "num_heads": 2, "max_positions": 16},
}
GEOMETRY = Geometry(2, 4, 1, 5)
LINES = ["the boat came back", "a boat is back", "the harbour", "she came to the harbour again"] * 10


@pytest.fixture
def small_keys():
    bits, ngram.BITS = ngram.BITS, np.uint64(10)
    yield
    ngram.BITS = bits


def test_backward_layers_start_at_each_recordings_end():
    torch.manual_seed(1)
    both = BothWays(Top(CONFIG, 9, 0.0).net.encoder).eval()
    joined = torch.randn(2, 11, 16)
    lengths = torch.tensor([11, 7])
    with torch.no_grad():
        whole = both(joined, lengths)
        alone = both(joined[1:, :7], torch.tensor([7]))
        later = joined.clone()
        later[0, 10] += 1.0
        moved = both(later, lengths)
    torch.testing.assert_close(whole[1, :7], alone[0])
    assert (moved[0, 0] - whole[0, 0]).abs().max() > 1e-6, "the first frame hears the last one"
    torch.testing.assert_close(moved[1], whole[1])


def test_a_wide_beam_finds_the_likeliest_pieces_over_all_alignments():
    torch.manual_seed(2)
    net = Top(CONFIG, 4, 0.0).net.eval()
    net.transducer.output.weight.data.mul_(20)
    net.transducer.output.bias.data.copy_(torch.tensor([-3.0, 0.0, 0.0, 0.0]))  # so that tokens are said
    geometry = Geometry(2, 4, 1, 2)  # at most one token a block
    likeliest = set()
    for seed in range(6):
        h = torch.randn(1, 4, 12, generator=torch.Generator().manual_seed(seed)) * 3
        keys, values = net.transducer.attention.project(h)
        totals = {}
        for first, second in itertools.product(range(4), repeat=2):  # 0: none
            target = ([first] if first else []) + [0] + ([second] if second else []) + [0]
            blocks = [0] * (2 if first else 1) + [1] * (2 if second else 1)
            previous = torch.tensor([[0, *target[:-1]]])
            with torch.no_grad():
                logits = net.transducer.run(previous, keys, values, torch.tensor([blocks]), geometry, torch.tensor([4]), net.transducer.start(1))[0]
            logp = logits.log_softmax(-1)[0]
            score = sum(float(logp[i, t]) for i, t in enumerate(target))
            tokens = tuple(t for t in (first, second) if t)
            totals[tokens] = np.logaddexp(totals.get(tokens, -np.inf), score)
        best = max(totals, key=totals.get)
        assert beam_search(net.transducer, h, geometry, None, 0.0, 0.0, None, 0.0, beam=64, wide=3) == best
        likeliest.add(best)
    assert len(likeliest) > 1, "the recordings must differ for this to say anything"


def test_pieces_end_with_their_share_of_the_letters(tmp_path):
    ctm = {"set/u": [(0.1, 0.5, "boat"), (0.6, 1.4, "harbour")]}
    pieces = Pieces(tmp_path, 30, None, ctm, LINES)
    tokens, ends = pieces.targets({"set": "set", "id": "u"})
    assert pieces.text(tokens) == "boat harbour"
    count = len(pieces.model.encode("boat"))
    assert ends[count - 1] == pytest.approx(0.5) and ends[-1] == pytest.approx(1.4)
    assert np.all(np.diff(ends) >= 0) and ends[count] > 0.6


def test_the_piece_model_is_a_distribution_and_prefers_what_was_read(tmp_path, small_keys):
    pieces = Pieces(tmp_path, 30, None, {}, LINES)
    lm = PieceNgram({"a": LINES}, {"a": 1.0}, pieces)
    seen = tuple(pieces.model.encode("the harbour"))
    for context in ((), seen[:2], seen, (5, 7, 9, 11, 13, 15)):
        assert 0.99 < np.exp(lm.after(context)).sum() < 1 + 1e-6, "the rest is that of the unknown piece"
    assert lm.after(seen[:-1])[seen[-1]] > lm.after(())[seen[-1]]
