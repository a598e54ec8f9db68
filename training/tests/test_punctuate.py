import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import punctuate
from write_punctuation_fixture import GOLDEN, model, table, with_small_table


def test_the_fixture_is_what_the_recipe_makes():
    data = with_small_table(model)
    assert data == (GOLDEN / "punctuation-tiny.bin").read_bytes()
    assert with_small_table(lambda: table(data)) == (GOLDEN / "punctuation-tiny.tsv").read_text(encoding="utf-8")


def test_raw_text_is_cut_into_sentences_with_the_written_words():
    found = punctuate.sentences("Is Mr. Pickwick in? I don't know, Sam said.")
    assert [(words, question) for words, _, question in found] == [
        (["is", "mr", "pickwick", "in"], True), (["i", "don't", "know", "sam", "said"], False)]
    assert found[0][1] == ["Is", "Mr", "Pickwick", "in"]


def test_capitals_are_counted_inside_sentences():
    row = ("s/a", "train", punctuate.sentences("The man met Sam and I met the Man."))
    other = ("s/b", "train", punctuate.sentences("We saw Sam and the dog."))
    assert punctuate.capital_words([row, other, other]) == {"i": "I", "sam": "Sam"}


def test_pauses_speak_for_sentence_ends():
    rows = [("s/a", "train", punctuate.sentences("Go on. Stop it now."))]
    spoken = {"s/a": [(0.0, 0.2, "go"), (0.2, 0.4, "on"), (1.4, 1.6, "stop"), (1.6, 1.7, "it"), (1.7, 1.9, "now")]}
    ratios = punctuate.pause_ratios(rows, spoken)
    # Three gaps without a pause inside sentences and a long one between two, each class counted once more.
    assert np.allclose(ratios[0], np.log((1 / 7) / (4 / 9))) and np.allclose(ratios[5], np.log((2 / 7) / (1 / 9)))


def test_regression_learns_where_lines_end():
    words = "a b stop c d stop".split() * 200
    x = punctuate.gap_features(words)
    y = np.array([w == "stop" for w in words[:-1]])
    weights, bias = punctuate.train_table(x, y, np.random.default_rng(1), 2)
    odds = weights[x].sum(axis=1) + bias
    assert ((odds > 0) == y).all()
