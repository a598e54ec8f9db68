"""Stage sequence: lists are read as the program writes them, and expected errors fall where they should."""

import json
import random
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from sequence import draw, expected_errors, read_lists


def test_expected_errors_by_hand():
    """Two lists: of probabilities 3/4 and 1/4 with 0 and 2 errors, and of one half each with 1 and 3."""
    log_probs = torch.tensor([0.0, 0.0, -5.0, -1.0], requires_grad=True)
    beside = torch.tensor([3.0, 1.0, 4.0, 0.0]).log()
    beside[2:] = torch.tensor([4.0, 0.0])
    owner = torch.tensor([0, 0, 1, 1])
    found = expected_errors(log_probs, beside, torch.tensor([0.0, 2.0, 1.0, 3.0]), owner, scale=1.0)
    assert found.tolist() == pytest.approx([0.25 * 2 - 1, 2 - 2])
    found.sum().backward()
    # The likelier hypothesis has fewer errors than are expected, and becomes likelier still.
    assert log_probs.grad.tolist() == pytest.approx([-0.75 * 0.5, 0.25 * 1.5, -0.5, 0.5])


def test_the_same_for_all_offsets_and_a_scale():
    log_probs, beside, errors, owner = torch.randn(4), torch.randn(4), torch.tensor([0.0, 1.0, 2.0, 0.0]), torch.tensor([0, 0, 0, 1])
    found = expected_errors(log_probs, beside, errors, owner, 0.5)
    torch.testing.assert_close(expected_errors(log_probs - 1000, beside, errors, owner, 0.5), found, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(expected_errors(0.5 * log_probs, 0.5 * beside, errors, owner, 1.0), found)
    assert found[1] == 0  # a list of one


def hypothesis(text, score, log_prob, tokens, blocks):
    return {"text": text, "score": score, "log_prob": log_prob, "tokens": tokens, "blocks": blocks}


def test_lists_have_errors_times_and_what_is_beside_the_network(tmp_path):
    known = {"set": "a", "id": "1", "words": [], "text": "see the sea", "hypotheses": [hypothesis("see sea", -3.0, -5.0, [4, 5], [0, 2]), hypothesis("see the sea", -4.0, -9.0, [4, 6, 5], [0, 1, 2])]}
    alike = {"set": "a", "id": "2", "words": [], "text": "sea", "hypotheses": [hypothesis("see", 0.0, 0.0, [1], [0]), hypothesis("c", 0.0, 0.0, [2], [0]), hypothesis("", 0.0, 0.0, [], [])]}
    path = tmp_path / "lists.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in (known, alike)))
    found = read_lists([path], block_s=0.08)
    assert list(found) == [("a", "1")]
    first, second = found["a", "1"]
    assert first == ([4, 5], pytest.approx([0.04, 0.2]), 1, 2.0)
    assert (second[2], second[3]) == (0, 5.0)


def test_the_best_reading_is_always_drawn():
    hypotheses = list(range(8))
    for seed in range(20):
        found = draw(hypotheses, 4, random.Random(seed))
        assert found[0] == 0 and len(set(found)) == 4
    assert draw([0, 1], 4, random.Random(1)) == [0, 1]
