import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from data import Batch
from encoded import Encoded, Writer


def test_kept_frames_come_back_as_batches(tmp_path):
    random = np.random.default_rng(1)
    h = torch.from_numpy(random.normal(size=(2, 7, 4)).astype(np.float16).astype(np.float32))
    tokens = [np.array([3, 5], np.int16), np.array([2], np.int16)]
    ends, starts = [np.array([0.25, 0.5]), np.array([0.75])], [np.array([0.0, 0.25]), np.array([0.5])]
    written = Batch(None, torch.tensor([7, 5]), tokens, ends, starts, None, 0.0)
    writer = Writer(tmp_path)
    writer.add(h, written)
    writer.add(h.flip(0), Batch(None, torch.tensor([6, 1]), tokens, ends, starts, None, 0.0))
    writer.close()
    kept = Encoded([tmp_path], 4, 0.08)
    assert [u["frames"] for u in kept.rows] == [7, 5, 6, 1]
    batch = kept.batch(kept.rows[1:3])
    assert batch.lengths.tolist() == [5, 6] and batch.features.shape == (2, 6, 4)
    assert torch.equal(batch.features[0, :5], h[1, :5]) and not batch.features[0, 5:].any()
    assert torch.equal(batch.features[1], h[1, :6])
    assert [t.tolist() for t in batch.tokens] == [[2], [3, 5]] and batch.ends[1].tolist() == [0.25, 0.5] and batch.starts[0].tolist() == [0.5]
    assert abs(batch.audio_s - 11 * 0.08) < 1e-9
