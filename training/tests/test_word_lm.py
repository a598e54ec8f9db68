"""The neural language model of words: its loss is what it says, texts are drawn as asked for, lm.bin can be read back."""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import lm
import ngram
import word_lm
from test_lexicon_lm import WORDS, random_lines
from word_texts import Sample, Texts

FREQUENCY = np.full(len(WORDS) + 3, 1 / 9)
RANK = np.array([3, 0, 5, 1, 7, 2, 8, 4, 6])
BOS, EOS = len(WORDS) + 1, len(WORDS) + 2


def tiny():
    torch.manual_seed(1)
    return word_lm.WordLm(RANK, FREQUENCY, head=5, dim=16, tail=8, hidden=32)


def test_the_loss_and_its_gradients_equal_the_definition():
    torch.manual_seed(0)
    n, words = 700, 40
    inputs = [torch.randn(n, 16) * 0.5, torch.randn(words, 16) * 0.5, torch.randn(words), torch.randn(n)]
    rows, columns = np.arange(0, n, 3), np.arange(0, n, 3) % words
    inputs = [x.requires_grad_() for x in inputs]
    total, log_z = word_lm.SampledLoss.apply(*inputs, rows, columns)
    (2 * total).backward()
    found, grads = float(total.detach()), [x.grad.clone() for x in inputs]
    p, e, bias, right = inputs
    logits = (p @ e.t() + bias).index_put((torch.tensor(rows), torch.tensor(columns)), torch.tensor(-100.0))
    z = torch.logsumexp(torch.cat([logits, right[:, None]], 1), 1)
    expected = z.sum() + word_lm.PENALTY * z.square().sum()
    for x in inputs:
        x.grad = None
    (2 * expected).backward()
    assert abs(found / float(expected.detach()) - 1) < 1e-3 and torch.allclose(log_z, z, atol=0.05)
    for grad, x in zip(grads, inputs):
        assert (grad - x.grad).norm() < 0.02 * x.grad.norm()


def test_a_sample_of_all_words_gives_the_true_normaliser():
    model, vocabulary = tiny(), ngram.Vocabulary(WORDS)
    frequency = FREQUENCY.copy()
    sample = Sample(frequency, RANK, 8, BOS)
    assert np.allclose(np.delete(sample.chance, BOS), 1) and sample.chance[BOS] == 0
    lines = [lm.sentences([line], vocabulary) for line in random_lines(3, 5)]
    batch = np.full((max(map(len, lines)), len(lines)), -1, np.int64)
    for j, line in enumerate(lines):
        batch[: len(line), j] = line
    loss, words, log_z = word_lm.batch_loss(model, batch, sample, np.random.default_rng(0))
    judged = word_lm.judge(model, {"x": lines}, BOS)["x"]
    assert words == sum(len(line) - 1 for line in lines)
    assert abs(float(log_z.sum()) - judged[1].sum()) < 0.01 * words
    expected = (judged[1] + word_lm.PENALTY * judged[1] ** 2 - judged[0]).sum()
    assert abs(float(loss.detach()) / expected - 1) < 0.01


def test_a_round_holds_whole_sentences_of_all_sources(tmp_path, monkeypatch):
    vocabulary = ngram.Vocabulary(WORDS)
    held = {name: lm.sentences(random_lines(i, 200), vocabulary).astype(np.int32) for i, name in enumerate(("novels", "librispeech_train", "dev_x"))}
    np.savez(tmp_path / "texts.npz", **held)
    monkeypatch.setattr("word_texts.ROUND_WORDS", 2000)
    texts = Texts(tmp_path / "texts.npz", 1)
    assert set(texts.sources) == {"novels", "novels/running", "librispeech_train"} and len(texts.dev["x"]) == 200
    words = 0
    for batch in texts.round(0.5):
        assert (batch[0] == BOS).all() and (batch[1:] != BOS).all()
        words += int((batch[1:] >= 0).sum())
    assert 0.2 * 2000 < words < 2000
    assert abs(texts.frequency().sum() - 1) < 1e-6


def test_lm_bin_is_read_back(tmp_path):
    vocabulary = ngram.Vocabulary(WORDS)
    levels = ngram.estimate(lm.sentences(random_lines(7, 150), vocabulary), 4, vocabulary)
    lm.write_bin(tmp_path / "lm.bin", levels, vocabulary)
    again, words = lm.read_bin(tmp_path / "lm.bin")
    ids = lm.sentences(random_lines(9, 50), vocabulary)
    one, other = (np.log(ngram.token_probabilities(v, ids, vocabulary)[0]) for v in (levels, again))
    assert words == len(WORDS) and abs(one - other).max() < 0.05
