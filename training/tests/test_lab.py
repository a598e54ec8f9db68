"""The laboratory's variants are models that exist, and its measures count what they say."""

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from golden import TOKENS, tiny_config
from lab import EXPERIMENTS, plot, products_a_block, report, variant_config
from lab_alignments import viterbi_ctc
from model import Geometry, NeuralTransducer, alignment

VARIANTS = [(experiment, name) for experiment, variants in EXPERIMENTS.items() for name in variants]


@pytest.mark.parametrize("experiment, name", VARIANTS, ids=lambda v: v.replace(" ", "_"))
def test_every_variant_takes_a_step(experiment, name):
    torch.manual_seed(1)
    changes = EXPERIMENTS[experiment][name]
    config = variant_config(tiny_config(), changes)
    model = NeuralTransducer(config, len(TOKENS)).eval()
    geometry = Geometry.from_config(config["latency_modes"]["balanced"])
    assert geometry.block == changes["block"]
    h = torch.randn(1, 30, config["encoder"]["dim"])
    y, block = alignment([1, 2, 3], [0.3, 0.9, 2.0], 30, 0.08, geometry)
    keys, values = model.transducer.attention.project(h)
    with torch.no_grad():
        logits = model.transducer.run(torch.tensor([[0] + y[:-1]]), keys, values, torch.tensor([block]), geometry, torch.tensor([30]),
                                      model.transducer.start(1))[0]
    assert logits.shape == (1, len(y), len(TOKENS)) and logits.isfinite().all()


def test_products_of_a_block_are_counted():
    config = variant_config(tiny_config(), {"block": 2, "look_back": 1, "look_ahead": 0})
    attention = NeuralTransducer(config, len(TOKENS)).transducer.attention
    geometry = Geometry.from_config(config["latency_modes"]["balanced"])
    encoder, state, dim = 24, 20, 16
    frames, steps, seen = 2, 3, 3
    assert products_a_block(attention, geometry, encoder, state) == frames * 2 * encoder * dim + steps * state * dim + 2 * steps * seen * dim


def test_the_report_is_a_table_for_each_experiment(tmp_path):
    rows = [{"experiment": e, "variant": v, "phone_error": {"a": 10.04, "b": 20.0}, "delay_ms": {"p50": 100, "p90": 200},
             "attention_parameters": 1234, "products_a_block": 5678, **({"word_error": {"a": 3.21}} if v == "y" else {})}
            for e, v in (("carry", "x"), ("carry", "y"), ("blocks", "z"))]
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    text = report(path)
    assert text.count("###") == 2
    assert "| x | 10.0 | 20.0 | - | - | 100 / 200 | 1,234 | 5,678 |" in text
    assert "| y | 10.0 | 20.0 | 3.2 | - | 100 / 200 | 1,234 | 5,678 |" in text


def test_pictures_show_every_variant(tmp_path):
    rows = [{"experiment": e, "variant": v, "phone_error": {"a": 10.0, "b": 20.0}}
            for e, v in (("window", "back 2, ahead 1"), ("blocks", "W=4, none"), ("blocks", "W=8, none"), ("blocks", "W=4, MLP"))]
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    plot(path, tmp_path)
    assert "back 2, ahead 1" in (tmp_path / "lab-window.svg").read_text()
    assert "MLP" in (tmp_path / "lab-blocks.svg").read_text()


@pytest.mark.parametrize("tokens", [[1], [1, 2], [2, 2], [1, 2, 1]])
def test_the_ctc_path_is_the_best_of_all(tokens):
    steps = 5
    log_probs = np.log(np.random.default_rng(len(tokens)).dirichlet(np.ones(3), steps))
    best = (-np.inf, None)
    for path in itertools.product(range(3), repeat=steps):
        runs = [(t, list(g)) for t, g in itertools.groupby(range(steps), key=lambda i: path[i])]
        if [t for t, _ in runs if t] == tokens:
            best = max(best, (sum(log_probs[i, t] for i, t in enumerate(path)), [(g[0], g[-1]) for t, g in runs if t]))
    assert viterbi_ctc(log_probs, np.array(tokens)) == best[1]
    if len(tokens) > 1:
        assert viterbi_ctc(log_probs[: len(tokens) - 1], np.array(tokens)) is None
