import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from prior import FROM_BIGRAM, FROM_UNIGRAM, log_probs


def test_each_order_leans_on_the_one_below():
    table = np.exp(log_probs([[1, 2], [1, 1]], [1.0, 0.5], 3, 3)).reshape(4, 4, 3)
    assert np.allclose(table.sum(axis=-1), 1.0)
    uni = np.array([1.0, 3.0, 2.0]) / 6  # weighted counts 0, 2, 1 and one more each
    start = (np.array([0, 1.5, 0]) + FROM_UNIGRAM * uni) / (1.5 + FROM_UNIGRAM)
    after_one = (np.array([0, 0.5, 1.0]) + FROM_UNIGRAM * uni) / (1.5 + FROM_UNIGRAM)
    assert table[0, 0] == pytest.approx((np.array([0, 1.5, 0]) + FROM_BIGRAM * start) / (1.5 + FROM_BIGRAM))
    assert table[0, 2] == pytest.approx((np.array([0, 0.5, 1.0]) + FROM_BIGRAM * after_one) / (1.5 + FROM_BIGRAM))
    assert table[3, 2] == pytest.approx(after_one)  # a context that was never seen
    assert table[1, 1] == pytest.approx(uni)
