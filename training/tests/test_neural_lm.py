"""The neural language model scores sentences as it would piece by piece, and its texts are drawn in whole passes."""

import random
import sys
from pathlib import Path

import pytest
import sentencepiece
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from neural_lm import BEGIN, END, NeuralLm, draw, log_probs

LINES = ["the boat came back", "a boat is back", "the harbour", "she came to the harbour again"] * 10


@pytest.fixture
def pieces(tmp_path):
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(LINES), model_prefix=str(tmp_path / "p"), vocab_size=32, model_type="bpe",
                                             minloglevel=2, pad_id=0, bos_id=BEGIN, eos_id=END, unk_id=3)
    return sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "p.model"))


def test_a_batch_of_sentences_scores_as_each_alone(pieces):
    torch.manual_seed(1)
    model = NeuralLm(32, dim=8, hidden=16, layers=2, dropout=0.5)
    sentences = ["the harbour", "she came to the boat", "a"]
    together = log_probs(model, pieces, sentences, batch=3)
    for sentence, score in zip(sentences, together):
        ids = [BEGIN, *pieces.encode(sentence), END]
        states, total = None, 0.0
        with torch.no_grad():
            for now, after in zip(ids, ids[1:]):
                logits, states = model(torch.tensor([[now]]), states)
                total += float(logits[0, 0].log_softmax(-1)[after])
        assert score == pytest.approx(total, rel=1e-4)


def test_draw_passes_over_all_lines_before_it_repeats_one():
    lines = ["a b", "c d", "e f"]
    drawn = draw(lines, 10, random.Random(1))
    assert sorted(drawn[:3]) == lines and sum(line.count(" ") + 1 for line in drawn) == 10
