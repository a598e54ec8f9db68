"""Muon: steps are orthogonal, gate by gate, and it learns."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from muon import Muon, gates, inner, orthogonal


def test_singular_values_of_a_step_are_near_one_whatever_those_of_the_gradient():
    torch.manual_seed(1)
    wide = torch.randn(1, 48, 96) @ torch.diag(torch.logspace(0, -1, 96))
    for matrix in (wide, wide.mT):
        values = torch.linalg.svdvals(orthogonal(matrix)[0])
        assert values.min() > 0.5 and values.max() < 1.3
        assert orthogonal(matrix).shape == matrix.shape


def test_direction_is_kept():
    torch.manual_seed(2)
    u, _, v = torch.linalg.svd(torch.randn(64, 64))
    matrix = u @ torch.diag(torch.linspace(1, 2, 64)) @ v
    exact, found = (u @ v).flatten(), orthogonal(matrix[None])[0].flatten()
    assert torch.dot(exact, found) / (exact.norm() * found.norm()) > 0.98


def test_every_gate_of_an_lstm_gets_its_own_step():
    torch.manual_seed(3)
    weight = torch.nn.Parameter(torch.zeros(4 * 64, 64))
    weight.grad = torch.randn(4 * 64, 64) * torch.tensor([1.0, 10.0, 0.1, 100.0]).repeat_interleave(64)[:, None]
    Muon([("lstm.weight_ih_l0", weight)], lr=0.1).step()
    sizes = weight.detach().view(4, 64, 64).norm(dim=(1, 2))
    assert sizes.max() / sizes.min() < 1.1
    assert gates("lstm.weight_hh_l0", weight) == 4 and gates("attention.key.weight", weight) == 1


def test_only_matrices_between_hidden_layers_are_taken():
    named = {"encoder.layers.0.lstm.weight_ih_l0": (256, 64), "transducer.embedding.weight": (64, 64), "phone_head.weight": (64, 64),
             "transducer.output.weight": (64, 64), "encoder.frontend.conv1.weight": (64, 1, 3, 3), "lstm.bias_ih_l0": (256,), "bias": (4, 64)}
    assert [n for n, shape in named.items() if inner(n, torch.nn.Parameter(torch.zeros(shape)))] == ["encoder.layers.0.lstm.weight_ih_l0"]


def test_a_linear_map_is_learnt():
    torch.manual_seed(4)
    target, weight = torch.randn(64, 64) / 8, torch.nn.Parameter(torch.zeros(64, 64))
    optimizer = Muon([("w", weight)], lr=0.05)
    for step in range(200):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - step / 200)
        x = torch.randn(32, 64)
        weight.grad = (x @ (weight - target).mT).mT @ x / 32
        optimizer.step()
    assert (weight - target).norm() < 0.05 * target.norm()
