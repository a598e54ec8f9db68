import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from calibrate import Border, calibration_error, fit, roc_area, times


def test_regression_finds_what_made_the_words_right():
    random = np.random.default_rng(3)
    x = random.normal(size=(20_000, 2))
    y = (random.random(20_000) < 1 / (1 + np.exp(-(0.5 + 2.0 * x[:, 0] - 1.0 * x[:, 1])))).astype(float)
    intercept, weights = fit(x, y)
    assert intercept == pytest.approx(0.5, abs=0.08)
    assert weights == pytest.approx([2.0, -1.0], abs=0.1)


def test_areas_and_errors_computed_by_hand():
    right = np.array([0.0, 1.0, 0.0, 1.0])
    assert roc_area(np.array([0.1, 0.2, 0.3, 0.4]), right) == pytest.approx(3 / 4)
    assert roc_area(np.array([0.5, 0.5, 0.5, 0.5]), right) == pytest.approx(1 / 2)
    # One bin: mean confidence .5, accuracy .5; two bins: |.2 - 0| and |1.6 - 1| of three words.
    assert calibration_error(np.array([0.5, 0.5]), np.array([0.0, 1.0])) == pytest.approx(0.0)
    assert calibration_error(np.array([0.2, 0.8, 0.8]), np.array([0.0, 1.0, 0.0])) == pytest.approx((0.2 + 0.6) / 3)


def test_times_are_those_of_right_words():
    words = [{"word": "a", "reference": 0, "start": 0.5, "end": 0.7}, {"word": "b", "reference": None, "start": 0.9, "end": 1.0}]
    spoken = {"s/u": [(0.4, 0.8, "a"), (0.9, 1.0, "c")]}
    found = times([{"set": "s", "id": "u", "words": words}, {"set": "s", "id": "other", "words": words}], spoken)
    assert found == {("s/u", 0): ("s", 0.5, 0.7, 0.4, 0.8)}


def test_shares_of_heads_and_offset_are_those_that_made_the_times():
    random = np.random.default_rng(5)
    spoken = random.uniform(0, 10, 400)
    block = np.floor(spoken / 0.16) * 0.16 + 0.08
    first, second = spoken + 0.1 + random.normal(0, 0.01, 400), block + random.normal(0, 0.1, 400)
    places = np.c_[block, first, second]
    border = Border(places[:200], spoken[:200])
    assert border.heads == pytest.approx([1.0, 0.0], abs=0.1) and border.offset == pytest.approx(-0.1, abs=0.01)
    assert np.median(np.abs(border.errors(places[200:], spoken[200:]))) < 0.01
    without = Border(places[:200], spoken[:200], use_heads=False)
    assert np.median(np.abs(without.errors(places[200:], spoken[200:]))) > 0.03
