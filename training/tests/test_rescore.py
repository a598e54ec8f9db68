"""Rescorers rank a list, learn to rank it from the audio, and count word errors."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from rescore import Rescorer, errors, fit, word_error


def row(said, split, generator):
    """Frames that show the phone that was said; the list has it and another, which the search liked better."""
    h = torch.randn(12, 8, generator=generator) * 0.1
    h[:, said] += 2.0
    other = said % 3 + 1
    return {"split": split, "h": h.half(), "phones": [[other] * 3, [said] * 3], "wrong": torch.tensor([1, 0]),
            "score": torch.tensor([0.0, -0.2]), "words": torch.zeros(2), "count": 2}


def lists(count):
    generator = torch.Generator().manual_seed(1)
    rows = [row(i % 3 + 1, "train", generator) for i in range(count)]
    return SimpleNamespace(num_tokens=4, dim=8, split=lambda name: [r for r in rows if r["split"] == name])


@pytest.mark.parametrize("kind", ["decomposable", "match"])
def test_a_rescorer_learns_to_prefer_what_the_frames_show(kind):
    torch.set_num_threads(1)
    many = lists(120)
    model, _ = fit(kind, many, 10, seed=1)
    unseen = [row(i % 3 + 1, "train", torch.Generator().manual_seed(100 + i)) for i in range(12)]
    assert word_error(unseen, lambda r: 0) == 50.0
    assert word_error(unseen, lambda r: int(model(r).argmax())) == 0.0


def test_without_the_audio_only_score_and_length_count():
    model = Rescorer("none", 4, 8)
    ranked = model(row(1, "train", torch.Generator().manual_seed(1)))
    assert torch.equal(ranked, torch.tensor([0.0, -0.2]))


def test_padding_of_other_hypotheses_changes_no_score():
    torch.manual_seed(1)
    for kind in ("decomposable", "match"):
        model = Rescorer(kind, 4, 8).eval()
        one = row(2, "train", torch.Generator().manual_seed(1))
        one["phones"] = [[1, 2, 3], [2]]
        alone = {**one, "phones": [[2]], "score": one["score"][1:], "words": one["words"][1:]}
        torch.testing.assert_close(model(one)[1:], model(alone))


def test_errors_are_counted_in_words():
    assert errors("a b c", "a c") == 1
    assert errors("a b", "a x c") == 2
