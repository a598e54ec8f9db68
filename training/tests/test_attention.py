"""Every kind of attention: step by step equals all at once, and nothing outside the window is seen."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from attention import MIXES, SCORES
from golden import TOKENS, tiny_config
from model import END_OF_BLOCK, Geometry, NeuralTransducer, alignment

KINDS = [{"score": s} for s in SCORES] + [{"mix": m} for m in MIXES if m != "soft"]
KINDS += [{"mix": "area", "area_key": "mean_std", "area_value": "sum"}, {"mix": "recurrent", "score": "location"}, {"hops": 3},
          {"max_positions": 0}, {"score": "general", "mix": "predictive", "max_positions": 0}]
GEOMETRY = Geometry(3, 4, 2, 6)


def name(kind):
    return "-".join(str(v) for v in kind.values())


def make(kind, **transducer):
    torch.manual_seed(5)
    config = tiny_config(attention=kind, transducer=transducer)
    model = NeuralTransducer(config, len(TOKENS)).eval()
    h = torch.randn(2, 17, config["encoder"]["dim"])
    lengths = torch.tensor([17, 13])
    pairs = [alignment([1, 5, 3, 7, 2, 9], [0.1, 0.3, 0.5, 0.55, 0.8, 1.0], int(n), 0.08, GEOMETRY) for n in lengths]
    width = min(len(y) for y, _ in pairs)
    y = torch.tensor([y[:width] for y, _ in pairs])
    block = torch.tensor([b[:width] for _, b in pairs])
    previous = torch.cat([torch.full((2, 1), END_OF_BLOCK), y[:, :-1]], dim=1)
    return model.transducer, h, lengths, previous, block


@torch.no_grad()
def run(transducer, h, lengths, previous, block, one_by_one=False):
    keys, values = transducer.attention.project(h)
    state = transducer.start(len(h))
    if not one_by_one:
        return transducer.run(previous, keys, values, block, GEOMETRY, lengths, state)[:3]
    parts = []
    for m in range(previous.shape[1]):
        *out, state = transducer.run(previous[:, m : m + 1], keys, values, block[:, m : m + 1], GEOMETRY, lengths, state)
        parts.append(out)
    return [torch.cat([p[i] for p in parts], dim=2 if i == 2 else 1) for i in range(3)]


@pytest.mark.parametrize("kind", KINDS, ids=name)
def test_step_by_step_equals_all_at_once(kind):
    case = make(kind)
    for whole, steps in zip(run(*case), run(*case, one_by_one=True)):
        assert torch.allclose(whole, steps, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS, ids=name)
def test_only_the_window_of_a_block_is_seen(kind):
    transducer, h, lengths, previous, block = make(kind)
    _, context, weights = run(transducer, h, lengths, previous, block)
    frame = torch.arange(h.shape[1])
    end = (block + 1) * GEOMETRY.block
    seen = (frame >= (end - GEOMETRY.block - GEOMETRY.look_back)[..., None]) & (frame < end[..., None] + GEOMETRY.look_ahead)
    seen = seen & (frame < lengths[:, None, None])
    assert weights.masked_select(~seen[:, None].expand_as(weights)).abs().max() == 0
    if kind.get("mix") != "predictive":  # whose weights are not scaled to 1
        assert torch.allclose(weights.sum(dim=-1), torch.ones(()), atol=1e-5)
    h[1, 13:] += 1.0  # beyond the end
    assert torch.equal(run(transducer, h, lengths, previous, block)[1], context)


def test_states_that_are_not_carried_on_start_anew_in_every_block():
    case = make({}, carry_state=False)
    whole, steps = run(*case)[0], run(*case, one_by_one=True)[0]
    assert torch.allclose(whole, steps, atol=1e-5)
    transducer, h, lengths, previous, block = case
    other = previous.clone()
    other[0, 1] = 3 if other[0, 1] != 3 else 4  # a token of the first block
    changed = (run(transducer, h, lengths, other, block)[0] - whole).abs().amax(dim=-1)[0] > 1e-6
    assert changed[1] and not changed[block[0] > block[0, 1]].any()


def test_steps_beyond_the_end_change_nothing_where_states_are_not_carried_on():
    transducer, h, lengths, previous, block = make({}, carry_state=False)
    whole = run(transducer, h, lengths, previous, block)[0]
    padded = torch.cat([block, torch.full((2, 4), -1)], dim=1), torch.cat([previous, torch.zeros(2, 4, dtype=torch.long)], dim=1)
    padded[0][1, -6:] = -1
    found = run(transducer, h, lengths, padded[1], padded[0])[0]
    count = block.shape[1]
    assert torch.allclose(found[0, :count], whole[0], atol=1e-5) and torch.allclose(found[1, : count - 2], whole[1, : count - 2], atol=1e-5)


def test_concat_has_the_algebra_of_additive_scores():
    additive, h, lengths, previous, block = make({"score": "additive"})
    concat = make({"score": "concat"})[0]
    a, c = additive.attention, concat.attention
    with torch.no_grad():
        for part in ("embedding", "state_rnn", "emit_rnn", "output"):
            getattr(concat, part).load_state_dict(getattr(additive, part).state_dict())
        c.value.load_state_dict(a.value.state_dict())
        c.energy.copy_(a.energy), c.position_bias.copy_(a.position_bias)
        c.concat.weight.copy_(torch.cat([a.query.weight, a.key.weight], dim=1))
        c.concat.bias.copy_(a.query.bias + a.key.bias)
    assert torch.allclose(run(additive, h, lengths, previous, block)[0], run(concat, h, lengths, previous, block)[0], atol=1e-5)


def test_areas_of_one_frame_are_plain_attention():
    plain, *case = make({})
    area = make({"mix": "area", "max_area": 1})[0]
    area.load_state_dict(plain.state_dict(), strict=False)
    assert torch.allclose(run(plain, *case)[1], run(area, *case)[1], atol=1e-6)


def test_hard_attention_learns_through_the_soft_weights():
    transducer, h, lengths, previous, block = make({"mix": "hard"})
    transducer.train()
    keys, values = transducer.attention.project(h)
    logits, _, weights, _ = transducer.run(previous, keys, values, block, GEOMETRY, lengths, transducer.start(2))
    logits.square().sum().backward()
    assert set(weights.detach().round(decimals=5).unique().tolist()) <= {0.0, 1.0}
    assert transducer.attention.query.weight.grad.abs().max() > 0
