import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from frame_align import best_paths, spans, states

ENDS_WORD = [False, False, True, True]


def allowed(symbols):
    """Every way through the states in `frames` steps, by the definition."""

    def ways(frames):
        for path in itertools.product(range(len(symbols)), repeat=frames):
            begins, ends = path[0] in (0, 1), path[-1] in (len(symbols) - 1, len(symbols) - 2)
            steps = list(zip(path, path[1:]))
            if begins and ends and all(b - a in (0, 1) or (b - a == 2 and symbols[a + 1] == 0) for a, b in steps):
                yield path

    return ways


def test_paths_are_the_best_of_all_ways():
    rng = np.random.default_rng(2)
    tokens = [[1, 2], [3], [3, 1, 2]]
    ways = [states(t, ENDS_WORD) for t in tokens]
    assert ways[0] == ([0, 1, 2, 0], [-1, 0, 1, -1]) and ways[2][1] == [-1, 0, -1, 1, 2, -1]
    scores = rng.normal(size=(3, 6, 4)).astype(np.float32)
    lengths = np.array([6, 4, 5])
    found = best_paths(scores, lengths, [symbols for symbols, _ in ways])
    for (path, score), (symbols, _), emission, n in zip(found, ways, scores, lengths):
        total = lambda p: sum(emission[f, symbols[s]] for f, s in enumerate(p))
        best = max(map(total, allowed(symbols)(n)))
        assert tuple(path) in set(allowed(symbols)(n))
        assert total(path) == pytest.approx(best, abs=1e-5) and score == pytest.approx(best / n, abs=1e-5)


def test_spans_are_those_of_the_sub_frames_less_the_delay():
    start, end = spans(np.array([0, 0, 1, 1, 2, 3]), [-1, 0, 1, -1], 0.02, 0.02, 2)
    assert start == pytest.approx([0.02, 0.06]) and end == pytest.approx([0.06, 0.08])
    assert spans(np.array([0, 1, 1]), [-1, 0, 1, -1], 0.02, 0.0, 2) is None
