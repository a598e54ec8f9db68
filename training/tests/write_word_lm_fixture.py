"""Writes tests/golden/{word-lm-tiny.safetensors, word-lm-tiny.tsv}: a random neural language model of the words of lm-tiny.bin, and what
PyTorch makes of it: a sentence, a tab, and the sum of the logits, at most 0 each, of its words and its end.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).parents[1]))

import ngram
from lm import sentences
from test_lexicon_lm import WORDS, random_lines
from word_lm import WordLm, tensors

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"


def stored(model, arrays):
    """The model with the weights that its file holds."""
    names = {"embedding_head": "frequent.weight", "embedding_tail": "rare.weight", "embedding_widen": "widen.weight"}
    for name, parameter in model.named_parameters():
        key = names.get(name, name)
        value = arrays[key].astype(np.float32)
        if key + ".scale" in arrays:
            value = value * arrays[key + ".scale"].astype(np.float32)[:, None]
        if name == "rnn.weight_ih_l0":
            value = value / model.embedding_head.shape[1] ** 0.5
        parameter.data = torch.from_numpy(value)
    return model.eval()


@torch.no_grad()
def score(model, ids):
    table = model.table()
    p, _ = model.outputs(table[torch.from_numpy(ids[:-1])][:, None])
    target = torch.from_numpy(ids[1:])
    return float(((p[:, 0] * table[target]).sum(1) + model.bias[target]).clamp(max=0).sum())


def main():
    torch.manual_seed(1)
    vocabulary = ngram.Vocabulary(WORDS)
    rank = np.array([3, 0, 5, 1, 7, 2, 8, 4, 6])
    model = WordLm(rank, np.full(len(rank), 1 / len(rank)), head=5, dim=16, tail=8, hidden=12)
    for name, parameter in model.named_parameters():
        parameter.data += torch.randn_like(parameter) * (0.0 if name == "bias" else 0.4)
    arrays, remarks = tensors(model, WORDS)
    stored(model, arrays)
    save_file(arrays, GOLDEN / "word-lm-tiny.safetensors", remarks)
    (GOLDEN / "word-lm-tiny.safetensors").chmod(0o644)
    with open(GOLDEN / "word-lm-tiny.tsv", "w", encoding="utf-8") as file:
        for line in random_lines(8, 40):
            ids = sentences([line], vocabulary).astype(np.int64)
            file.write(f"{line}\t{score(model, ids):.5f}\n")


if __name__ == "__main__":
    main()
