import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import g2p
import ngram
from write_g2p_fixture import GOLDEN, model, table


def test_phones_are_cut_among_the_letters():
    costs = {("c", ("K",)): 0.1, ("a", ("AE",)): 0.1, ("t", ("T",)): 0.1, ("x", ("K", "S")): 0.1}
    assert g2p.align("cat", ("K", "AE", "T"), costs) == (("K",), ("AE",), ("T",))
    assert g2p.align("tax", ("T", "AE", "K", "S"), costs) == (("T",), ("AE",), ("K", "S"))
    assert g2p.align("a", ("AE", "K", "S"), costs) is None  # three phones of one letter


def test_the_fixture_is_what_the_recipe_makes():
    bits = ngram.BITS
    data = model()
    assert data == (GOLDEN / "g2p-tiny.bin").read_bytes()
    assert table(data) == (GOLDEN / "g2p-tiny.tsv").read_text()
    assert ngram.BITS == bits


def test_error_rates_of_known_pronunciations():
    class Fixed:
        def pronounce(self, word, n):
            return {"a": [(1, ("AH",)), (2, ("EY",))], "b": [(1, ("P", "IY"))], "c": []}[word]

    dictionary = {"a": [("EY",)], "b": [("B", "IY")], "c": [("S", "IY")]}
    figures = g2p.evaluate(Fixed(), ["a", "b", "c"], dictionary)
    assert figures == {"words": 3, "word_error_percent": 100.0, "phone_error_percent": 80.0, "none_of_best_3_percent": 66.67}
