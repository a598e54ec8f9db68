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


def test_raw_text_is_taken_apart_into_words_and_marks():
    found = punctuate.marked("**Sam Weller:** Is Mr. Pickwick in? I don't know, Sam said... Pay $5 million [sic] by 10:30 p.m. (soon) - now!")
    assert [(w, m) for w, _, m in found] == [
        ("is", 0), ("mr", punctuate.UNSURE), ("pickwick", 0), ("in", punctuate.QUESTION), ("i", 0), ("don't", 0), ("know", punctuate.COMMA), ("sam", 0),
        ("said", punctuate.UNSURE), ("pay", 0), ("#", 0), ("million", 0), ("by", 0), ("#", 0), ("p", 0), ("m", punctuate.UNSURE), ("now", punctuate.END)]
    assert [f for _, f, _ in found][:4] == [None, "Mr", "Pickwick", "in"]
    assert [(words, q) for words, q in punctuate.parts_of(found)][0] == (["is", "mr", "pickwick", "in"], True)


def test_numbers_count_as_one_word():
    assert punctuate.collapse("in eighteen forty four one came the second time".split()) == [
        ("in", 1), ("#", 4), ("came", 1), ("the", 1), ("second", 1), ("time", 1)]
    row = punctuate.collapsed([("#", None, 0), ("million", None, punctuate.COMMA), ("so", None, punctuate.END)])
    assert row == [("#", None, punctuate.COMMA), ("so", None, punctuate.END)]


def test_capitals_are_counted_inside_sentences():
    texts = [punctuate.marked(t) for t in ("The man met Sam and I met the Man.", "We saw Sam and the dog.", "We saw Sam and the dog.", "Then Sam left the man.")]
    assert punctuate.capital_words(texts) == {"i": "I", "sam": "Sam"}


def test_pauses_speak_for_sentence_ends_and_commas():
    rows = [("s/a", "train", punctuate.marked("Go on. Stop it, now."))]
    spoken = {"s/a": [(0.0, 0.2, "go"), (0.2, 0.4, "on"), (1.4, 1.6, "stop"), (1.6, 1.7, "it"), (1.9, 2.0, "now")]}
    ends, commas = punctuate.pause_ratios(rows, spoken)
    # Two gaps without a pause inside, a long one between sentences, one of 0.2 s at a comma; each class counted once more.
    assert np.allclose(ends[0], np.log((1 / 7) / (3 / 8))) and np.allclose(ends[5], np.log((2 / 7) / (1 / 8)))
    assert np.allclose(commas[2], np.log((2 / 7) / (1 / 8)))


def test_the_bias_gives_the_precision_asked_for():
    odds = np.arange(100.0)
    truth = odds >= 40
    shifted = odds + punctuate.bias_for(odds, truth, 0.75)
    found = shifted > 0
    assert found.sum() == 80 and truth[found].mean() == 0.75


def test_regression_learns_where_lines_end():
    words = "a b stop c d stop".split() * 200
    x = punctuate.gap_features(words)
    y = np.array([w == "stop" for w in words[:-1]])
    weights, bias = punctuate.train_table(x, y, np.random.default_rng(1), 2)
    odds = weights[x].sum(axis=1) + bias
    assert ((odds > 0) == y).all()
