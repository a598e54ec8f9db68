import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

import lstm
from average import mean_state
from data import Augment, Batch, Corpus, buckets, frame_targets, make_batch, step_targets
from export import quantize, tensors_of
from golden import TOKENS, tiny_config
from loop import greedy_errors
from model import Geometry, NeuralTransducer, RunningMean, alignment

torch.set_num_threads(1)
STILL = {"speed": 0.0, "vtlp": 0.0, "gain": 0.0, "equaliser": 0.0, "noise_share": 0.0, "snr_db": [5, 30], "room_share": 0.0,
         "freq_masks": 0, "freq_width": 0, "time_masks": 0, "time_width": 0, "time_share": 0.0}
PLAIN = NeuralTransducer(tiny_config(), len(TOKENS))
CONTEXT = {"running_mean": {"prior_frames": 20.0, "horizon_frames": 50.0},
           "context_layers": {"dim": 16, "hidden_dim": 24, "offsets": [[-1, 0, 1], [-2, 0], [-3, 0, 1]]}}


def test_a_token_stands_in_the_block_in_which_it_ends():
    g = Geometry(2, 0, 0, 4)  # blocks of 0.16 s
    y, owner = alignment([5, 6, 7], [0.10, 0.16, 0.17], 6, 0.08, g)
    assert y == [5, 6, 0, 7, 0, 0] and owner == [0, 0, 0, 1, 1, 2]


def test_a_full_block_hands_on_and_the_last_one_drops():
    g = Geometry(1, 0, 0, 3)  # two tokens a block
    y, owner = alignment([1, 2, 3, 4, 5], [0.05] * 5, 3, 0.08, g)
    assert y == [1, 2, 0, 3, 4, 0, 5, 0] and owner == [0, 0, 0, 1, 1, 1, 2, 2]
    y, _ = alignment([1, 2, 3, 4, 5, 6, 7], [0.05] * 7, 3, 0.08, g)
    assert [t for t in y if t] == [1, 2, 3, 4, 5, 6] and y.count(0) == 3


def test_a_token_beyond_the_end_stands_in_the_last_block():
    y, owner = alignment([1], [9.0], 5, 0.08, Geometry(2, 0, 0, 4))
    assert y == [0, 0, 1, 0] and owner == [0, 1, 2, 2]
    assert alignment([], [], 0, 0.08, Geometry(2, 0, 0, 4)) == ([0], [0])


def small_corpus(folder, count=6, mel=16, seed=0):
    """Utterances of silence with one loud, short burst, whose token spans it."""
    rng = np.random.default_rng(seed)
    frames, rows, tokens, starts, ends = [], [], [], [], []
    for i in range(count):
        n = int(rng.integers(120, 200))
        x = rng.normal(-12, 0.1, (n, mel))
        at = int(rng.integers(30, n - 40))
        x[at : at + 10] = 0.0
        rows.append({"id": str(i), "set": "s", "split": "train" if i % 2 else "dev", "speaker": "", "text": "", "frame": sum(map(len, frames)), "frames": n,
                     "token": i, "tokens": 1, "score": -float(i)})
        frames.append(x), tokens.append(1 + i), starts.append(at * 0.01), ends.append((at + 10) * 0.01)
    np.concatenate(frames).astype(np.float16).tofile(folder / "features.f16")
    rng.normal(-8, 1, (4000, mel)).astype(np.float16).tofile(folder / "noise.f16")
    np.savez(folder / "targets.npz", token=np.array(tokens, np.int16), start=np.array(starts, np.float32), end=np.array(ends, np.float32))
    (folder / "stats.json").write_text(json.dumps({"mean": [0.0] * mel, "inv_std": [1.0] * mel}))
    (folder / "utterances.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return Corpus(folder, mel)


@pytest.mark.parametrize("changes", [{"speed": 0.15}, {"speed": 0.1, "vtlp": 0.05, "gain": 1.0, "equaliser": 0.2, "noise_share": 0.5, "snr_db": [25, 30]}])
def test_augmented_sounds_lie_where_their_times_say(tmp_path, changes):
    corpus = small_corpus(tmp_path)
    augment = Augment({**STILL, **changes}, corpus)
    for seed in range(5):
        batch = make_batch(corpus, corpus.utterances, PLAIN, 32, augment, torch.Generator().manual_seed(seed))
        for i, (start, end) in enumerate(zip(batch.starts, batch.ends)):
            loud = batch.features[i].mean(dim=1)
            loud = torch.nonzero(loud > loud.max() - 3).flatten()
            assert abs(float(loud[0]) * 0.01 - start[0]) < 0.021 and abs(float(loud[-1] + 1) * 0.01 - end[0]) < 0.021
            assert float(end[0]) <= int(batch.lengths[i]) * 0.08


def test_no_augmentation_leaves_the_features_and_times_alone(tmp_path):
    corpus = small_corpus(tmp_path)
    plain = make_batch(corpus, corpus.utterances, PLAIN, 32)
    still = make_batch(corpus, corpus.utterances, PLAIN, 32, Augment(STILL, corpus), torch.Generator().manual_seed(0))
    assert torch.equal(plain.lengths, still.lengths)
    for i, u in enumerate(corpus.utterances):
        assert torch.allclose(plain.features[i, : u["frames"]], still.features[i, : u["frames"]], atol=1e-4)
    assert all(np.allclose(a, b) for a, b in zip(plain.ends, still.ends))


def test_targets_of_another_file_stand_for_those_of_the_cache(tmp_path):
    corpus = small_corpus(tmp_path)
    np.savez(tmp_path / "other.npz", token=corpus.token, start=corpus.start, end=corpus.end + 0.25)
    other = Corpus(tmp_path, 16, tmp_path / "other.npz")
    assert np.allclose(other.end, corpus.end + 0.25) and np.array_equal(other.token, corpus.token)


def test_frame_targets_are_delayed_and_ignored_beyond_the_end():
    batch = Batch(None, torch.tensor([3, 2]), [np.array([7]), np.array([], int)], [np.array([0.12]), np.array([])], [np.array([0.04]), np.array([])], [], 0.0)
    target = frame_targets(batch, 4, 0.08, 0.04)
    assert target.tolist() == [[0, 0, 0, 0, 7, 7, 7, 7, 0, 0, 0, 0], [0] * 8 + [-100] * 4]


def test_step_targets_feed_the_previous_token():
    batch = Batch(None, torch.tensor([4, 2]), [[3, 4], [5]], [np.array([0.1, 0.3]), np.array([0.1])], [], [], 0.0)
    previous, target, block = step_targets(batch, Geometry(2, 0, 0, 4), 0.08)
    assert target.tolist() == [[3, 0, 4, 0], [5, 0, -100, -100]]
    assert previous.tolist() == [[0, 3, 0, 4], [0, 5, 0, 0]]
    assert block.tolist() == [[0, 0, 1, 1], [0, 0, -1, -1]]


def test_padding_and_company_change_nothing():
    torch.manual_seed(0)
    model = NeuralTransducer(tiny_config(), len(TOKENS)).eval()
    x = torch.randn(2, 96, 16)
    lengths, g = torch.tensor([12, 7]), Geometry(3, 4, 2, 6)
    together = model.greedy(x, lengths, g)
    alone = model.greedy(x[1:, :56], lengths[1:], g)
    assert together[1] == alone[0]


def test_int8_weights_err_by_half_a_step_at_most():
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 1, (64, 100)).astype(np.float32) * rng.uniform(0.01, 10, (64, 1)).astype(np.float32)
    weight[3] = 0
    q, scale = quantize(weight)
    assert q.dtype == np.int8 and scale.shape == (64,) and np.abs(q.astype(int)).max() == 127
    assert (np.abs(q * scale[:, None] - weight) <= scale[:, None] * 0.5 + 1e-6 * np.abs(weight)).all()
    assert not q[3].any() and np.isfinite(scale).all()


def test_exported_tensors_have_their_precision_and_no_training_heads():
    torch.manual_seed(0)
    config = tiny_config(encoder={"frontend": {"type": "conv", "channels": [4, 6], "stack": 2}, "dim": 64, "num_layers": 1})
    state = NeuralTransducer(config, len(TOKENS), aux_targets=2).state_dict()
    stats = {"mean": [0.0] * 16, "inv_std": [1.0] * 16}
    for precision in ("f32", "f16", "int8"):
        out = tensors_of(state, stats, precision)
        names = {n.removesuffix(".scale") for n in out} - {"normalize.mean", "normalize.inv_std"}
        assert names == {n for n in state if not n.startswith(("phone_head", "ctc_head"))}
        again = tensors_of(state, stats, precision)
        assert all(np.array_equal(out[n], again[n]) for n in out)
    assert tensors_of(state, stats, "int8")["encoder.layers.0.lstm.weight_ih_l0"].dtype == np.int8


def test_the_mean_of_checkpoints():
    a, b = {"x": torch.tensor([1.0, 2.0])}, {"x": torch.tensor([3.0, 6.0])}
    assert mean_state([a, b])["x"].tolist() == [2.0, 4.0]
    with pytest.raises(SystemExit):
        mean_state([a, {"y": torch.zeros(2)}])


def test_greedy_errors_are_counted_by_kind(tmp_path):
    class Fixed(torch.nn.Module):
        subsampling = 8
        num_frames = PLAIN.num_frames

        def greedy(self, features, lengths, geometry, bias):
            return [[(1, 0)], [(9, 0), (3, 0)], []][: len(features)]

    corpus = small_corpus(tmp_path)
    model = Fixed()
    model.register_parameter("w", torch.nn.Parameter(torch.zeros(1)))
    rows = [u for u in corpus.utterances if u["split"] == "dev"]  # tokens 1, 3 and 5
    counts = greedy_errors(model, corpus, rows, None, 0, lambda: torch.no_grad())
    assert counts == {"utterances": 3, "tokens": 3, "replace": 0, "delete": 1, "insert": 1, "percent": 66.67}


def test_the_running_mean_is_the_recursion_that_it_is_named_after():
    mean = RunningMean({"prior_frames": 20.0, "horizon_frames": 50.0})
    x = torch.randn(2, 3 * RunningMean.CHUNK + 17, 5) + 2.0
    y, total, count = mean(x), torch.zeros(2, 5), 0.0
    for t in range(x.shape[1]):
        total, count = 0.98 * total + x[:, t], 0.98 * count + 1.0
        assert torch.allclose(y[:, t], x[:, t] - total / (count + 20.0), atol=1e-5)


def test_frames_with_context_depend_on_what_they_wait_for_and_on_no_more():
    torch.manual_seed(3)
    model = NeuralTransducer(tiny_config(encoder=CONTEXT), len(TOKENS)).eval()
    assert model.encoder.lag == 1  # two frames of 40 ms
    x = torch.randn(1, 96, 16)
    with torch.no_grad():
        h = model.encoder(x)
        assert h.shape[1] == model.num_frames(96) == 11
        for u in (0, 4, 10):
            end = 8 * (u + 2)  # feature frames of its own and of the encoder frame after it
            later = x.clone()
            later[:, end:] += 1.0
            assert torch.allclose(model.encoder(later)[:, : u + 1], h[:, : u + 1], atol=1e-5)
            later[:, end - 1] += 1.0
            assert not torch.allclose(model.encoder(later)[:, u], h[:, u], atol=1e-3)


def test_batches_have_the_frames_that_the_encoder_gives(tmp_path):
    corpus = small_corpus(tmp_path)
    model = NeuralTransducer(tiny_config(encoder=CONTEXT), len(TOKENS)).eval()
    batch, plain = (make_batch(corpus, corpus.utterances, m, 32) for m in (model, PLAIN))
    assert torch.equal(batch.lengths, plain.lengths - 1)
    with torch.no_grad():
        assert model.encoder(batch.features).shape[1] == int(batch.lengths.max())


def test_the_lstm_kernel_equals_torch_within_bf16(monkeypatch):
    if os.environ.get("VIVAVOCE_NO_KERNEL"):
        pytest.skip("VIVAVOCE_NO_KERNEL is set")
    monkeypatch.setattr(lstm, "kernel", lstm.kernel.__wrapped__)
    built = lstm.kernel()
    if built is None:
        pytest.skip("the kernel can not be built here: no compiler, ninja or the processor lacks what it needs")
    monkeypatch.setattr(lstm, "kernel", lambda: built)
    torch.manual_seed(0)
    layer = lstm.LSTM(24, 64)
    x = torch.randn(9, 21, 24)
    h0, c0 = torch.randn(1, 21, 64) * 0.3, torch.randn(1, 21, 64) * 0.3
    grads = []
    for fast in (False, True):
        layer.zero_grad()
        layer.train(fast)
        given = x.clone().requires_grad_(True)
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            y, (h, c) = layer(given, (h0, c0))
        (y.float() * torch.sin(torch.arange(y.numel()).view(y.shape).float())).sum().backward()
        grads.append([y.detach().float(), h.detach().float(), c.detach().float(), given.grad.float(), *(p.grad.clone() for p in layer.parameters())])
    for a, b in zip(*grads):
        assert a.shape == b.shape and float((a - b).norm() / a.norm().clamp(min=1e-3)) < 0.02


def test_the_lstm_kernel_without_tiles_equals_torch_too():
    if os.environ.get("VIVAVOCE_NO_TILES") or os.environ.get("VIVAVOCE_NO_KERNEL"):
        pytest.skip("the other test runs without tiles already")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "equals_torch_within_bf16"]
    done = subprocess.run(command, env={**os.environ, "VIVAVOCE_NO_TILES": "1"}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="PyTorch has no LSTM in bf16 on this CPU")
def test_single_steps_never_take_the_fast_path(monkeypatch):
    def unwanted():
        raise AssertionError("the kernel was asked for")

    monkeypatch.setattr(lstm, "kernel", unwanted)
    layer = lstm.LSTM(4, 4, batch_first=True).train()
    with torch.autocast("cpu", torch.bfloat16):
        y, (h, c) = layer(torch.randn(2, 1, 4))
    c.sum().backward()
    assert y.shape == (2, 1, 4) and layer.weight_hh_l0.grad is not None and float(layer.weight_ih_l0.grad.abs().sum()) > 0


def test_joined_utterances_hold_each_part_once_at_its_place(tmp_path):
    small_corpus(tmp_path, count=40)
    corpus = Corpus(tmp_path, mel=16)
    rows = corpus.split("train")
    batches = buckets(rows, 30, random.Random(3), join_share=0.6, join_s=4.0)
    flat = [u for batch in batches for u in batch]
    joined = [u for u in flat if "parts" in u]
    assert sorted(p["id"] for u in flat for p in u.get("parts", [u])) == sorted(u["id"] for u in rows)
    assert joined and all(u["frames"] <= 400 for u in joined) and len(joined) < len(flat)
    for u in joined:
        x = corpus.frames(u)
        tokens, starts, ends = corpus.targets(u)
        assert len(x) == u["frames"] and tokens.tolist() == [int(corpus.targets(p)[0][0]) for p in u["parts"]]
        for start, end in zip(starts, ends):
            inside = x[round(start * 100) : round(end * 100)]
            assert inside.min() > -1 and x[round(start * 100) - 1].max() < -10
