import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from attention import PlaceBias
from data import Augment, buckets, frame_targets, make_batch, step_targets
from feed import Feed, Shape
from label import phones_heard, tokens_of
from model import Geometry
from muon import orthogonal
from sprint import rate
from test_training import PLAIN, STILL, small_corpus

SETTINGS = {"augment": STILL, "geometry": {"block": [2], "look_back": [8], "look_ahead": [1]}, "token_delay_s": 0.0, "token_noise": 0.0,
            "aux_targets": 4, "aux_delay_s": 0.0, "batch_s": 30}
SHAPE = Shape(0.08, PLAIN.subsampling, PLAIN.encoder.lag, 32, 9, SETTINGS)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_feed_gives_the_batches_of_make_batch(tmp_path, workers):
    corpus = small_corpus(tmp_path, count=12)
    feed = Feed(corpus, corpus.utterances, Augment(STILL, corpus), SHAPE, torch.device("cpu"), workers, seed=3)
    groups = []
    inner = feed.render
    feed.render = lambda group, *rest: (groups.append(group), inner(group, *rest))[1]
    feed.to_device()
    ready = next(iter(feed))
    feed.close()
    batch = make_batch(corpus, groups[0], PLAIN, 32)
    previous, target, block = step_targets(batch, Geometry(2, 8, 1, 8), 0.08)
    assert torch.equal(ready.lengths, batch.lengths) and ready.geometry == Geometry(2, 8, 1, 8)
    assert torch.equal(ready.previous, previous) and torch.equal(ready.target, target) and torch.equal(ready.block, block)
    assert torch.equal(ready.phones, frame_targets(batch, 4, 0.08, 0.0))
    for i, u in enumerate(groups[0]):
        assert torch.allclose(ready.features[i, : u["frames"]], batch.features[i, : u["frames"]], atol=1e-3)


def test_batches_hold_whole_multiples_of_utterances():
    import random

    rows = [{"set": "s", "frames": 300 + i} for i in range(100)]
    sizes = [len(g) for g in buckets(rows, 30, random.Random(1), multiple=8)]
    assert sum(sizes) == 100 and sum(n % 8 != 0 for n in sizes) <= 1 and max(sizes) == 16


def test_place_bias_is_indexing_with_its_gradient():
    bias = torch.randn(3, 5, requires_grad=True)
    place, upstream = torch.randint(0, 5, (2, 4, 6)), torch.randn(2, 3, 4, 6)
    wanted = bias[:, place].transpose(0, 1)
    gradient = torch.autograd.grad((wanted * upstream).sum(), bias)[0]
    got = PlaceBias.apply(bias, place)
    assert torch.equal(got, wanted)
    assert torch.allclose(torch.autograd.grad((got * upstream).sum(), bias)[0], gradient, atol=1e-5)


def test_disturbances_of_the_batch_keep_its_shape_and_change_it(tmp_path):
    corpus = small_corpus(tmp_path)
    loud = {**STILL, "babble_share": 1.0, "babble_db": [0, 5], "telephone_share": 1.0}
    changed = make_batch(corpus, corpus.utterances, PLAIN, 32, Augment(loud, corpus), torch.Generator().manual_seed(1)).features
    still = make_batch(corpus, corpus.utterances, PLAIN, 32, Augment(STILL, corpus), torch.Generator().manual_seed(1)).features
    assert changed.shape == still.shape and torch.isfinite(changed).all()
    assert float((changed - still)[..., 0].mean()) < -2 and float((changed - still)[:, 30:60, 6].mean()) > -1  # the lowest bin lies outside the band


def test_tokens_of_a_text_end_words_and_what_is_heard_is_counted():
    ids = tokens_of("a be", {"a": ["AH"], "be": ["B", "IY"]})
    names = Path(__file__).parents[2] / "models" / "en-small" / "tokens.txt"
    if names.exists():
        names = names.read_text().split()
        assert [names[i] for i in ids] == ["AH_E", "B", "IY_E"]
    assert phones_heard(np.array([[0, 3, 3, 0, 4, 5, 5], [1, 1, 2, 0, 0, 9, 9]]), [7, 5]).tolist() == [3, 2]


def test_of_what_was_labelled_the_least_sure_is_left_out(tmp_path):
    corpus = small_corpus(tmp_path)
    for u in corpus.utterances[:3]:
        u.update(split="unlabelled", tokens=0)
    names = [u["id"] for u in corpus.utterances[:3]]
    np.savez(tmp_path / "labels.npz", id=[*names, "nobody"], confidence=[0.5, 0.9, 0.1, 0.8], count=[2, 1, 3, 1], token=np.arange(7), start=np.arange(7) / 10, end=np.arange(7) / 10 + 0.05)
    rows = corpus.labelled(tmp_path / "labels.npz", drop_unsure=0.25)
    assert [u["id"] for u in rows] == names[:2]
    assert [corpus.targets(u)[0].tolist() for u in rows] == [[0, 1], [2]]
    assert corpus.targets(rows[1])[1].tolist() == [0.2]
    assert len(corpus.labelled(tmp_path / "labels.npz")) == 3


def test_the_rate_warms_up_stays_and_falls():
    at = [rate(s, 1.0, 0.01, 0.05) for s in (0.0, 0.05, 0.3, 0.65, 1.0)]
    assert at[0] < 0.05 and at[1] == at[2] == 1.0 and 0.4 < at[3] < 0.6 and at[4] == pytest.approx(0.01)


def test_matrices_of_one_shape_are_made_orthogonal_as_alone():
    x = torch.randn(3, 64, 96)
    together = orthogonal(x)
    assert torch.allclose(together, torch.cat([orthogonal(m[None]) for m in x]), atol=1e-5)
    spectrum = torch.linalg.svdvals(together)
    assert spectrum.min() > 0.5 and spectrum.max() < 1.5


def test_after_missed_tokens_the_next_ones_are_taught_again():
    from data import Batch

    batch = Batch(None, torch.tensor([6]), [[3, 4, 5, 6, 7]], [np.array([0.1, 0.15, 0.2, 0.3, 0.4])], [], [], 0.0)
    whole = step_targets(batch, Geometry(2, 0, 0, 8), 0.08)
    assert whole[1].tolist() == [[3, 4, 0, 5, 6, 0, 7, 0]]
    previous, target, block = step_targets(batch, Geometry(2, 0, 0, 8), 0.08, skip=lambda y: ~np.isin(y, (4, 5)))
    assert previous.tolist() == [[0, 3, 0, 6, 0, 7]] and block.tolist() == [[0, 0, 1, 1, 2, 2]]
    assert target.tolist() == [[3, -100, -100, 0, 7, 0]]
