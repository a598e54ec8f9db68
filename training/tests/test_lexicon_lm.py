import gzip
import itertools
import struct
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import lexicon
import lm
import ngram

WORDS = "a b c d e f".split()


def random_lines(seed=0, n=400):
    random = np.random.default_rng(seed)
    chain = random.dirichlet(np.full(len(WORDS), 0.5), len(WORDS))
    lines = []
    for _ in range(n):
        word, line = int(random.integers(len(WORDS))), []
        for _ in range(int(random.integers(1, 9))):
            line.append(WORDS[word])
            word = int(random.choice(len(WORDS), p=chain[word]))
        lines.append(" ".join(line))
    return lines


def model(order, cutoffs=(), continuation=True, lines=None):
    vocabulary = ngram.Vocabulary(WORDS)
    ids = lm.sentences(lines or random_lines(), vocabulary)
    return ngram.estimate(ids, order, vocabulary, cutoffs, continuation), vocabulary


def total_after(levels, vocabulary, context):
    """Sum of p(w | context) over every word that can follow."""
    total = 0.0
    for w in range(vocabulary.size):
        key = 0
        for part in (*context, w):
            key = key << 16 | part
        total += ngram.probability(levels, len(context) + 1, np.array([key], np.uint64))[0]
    return total


def check_sums(levels, vocabulary):
    parts = [*range(len(WORDS)), vocabulary.bos]
    for n in range(len(levels)):
        for context in itertools.product(parts, repeat=n):
            assert abs(total_after(levels, vocabulary, context) - 1) < 1e-6, context


def test_probabilities_sum_to_one_after_every_context():
    for order in (2, 3):
        for cutoffs, continuation in (((), True), ((1, 1, 2), True), ((), False)):
            check_sums(*model(order, cutoffs, continuation))


def test_mixture_and_pruned_model_sum_to_one():
    first, vocabulary = model(3)
    second, _ = model(3, lines=random_lines(1, 100))
    mixed = ngram.interpolate([first, second], (0.7, 0.3), vocabulary)
    check_sums(mixed, vocabulary)
    budget = lm.bin_size([len(v.keys) for v in mixed]) - 300
    pruned = ngram.prune(mixed, budget, lm.bin_size)
    assert lm.bin_size([len(v.keys) for v in pruned]) <= budget
    check_sums(pruned, vocabulary)


def test_kneser_ney_equals_the_formula_on_a_tiny_text():
    # "a b" twice, "c b" once, "a c" once; bigrams: <s> a x3, a b x2, b </s> x3, <s> c, c b, a c, c </s>.
    levels, vocabulary = model(2, lines=["a b", "a b", "c b", "a c"])
    a, b = 0, 1
    # Continuation counts: a 1 (<s>), b 2 (a, c), c 2 (<s>, a), </s> 2 (b, c); 7 in all; the fall-back discounts are .5, 1, 1.5.
    spread = (0.5 + 1 + 1 + 1) / 7 / 8  # 6 words, <unk> and </s>
    assert abs(levels[0].p[b] - ((2 - 1) / 7 + spread)) < 1e-12
    # After a: b x2, c x1.
    gamma = (1 + 0.5) / 3
    key = np.array([a << 16 | b], np.uint64)
    assert abs(ngram.probability(levels, 2, key)[0] - ((2 - 1) / 3 + gamma * levels[0].p[b])) < 1e-12


def test_order_four_packs_into_64_bits():
    levels, vocabulary = model(4)
    for context in ((0, 1, 2), (vocabulary.bos, 3, 0), (5, 5, 5)):
        assert abs(total_after(levels, vocabulary, context) - 1) < 1e-6


def test_lines_that_dev_holds_are_left_out():
    dev = ["one two three four five six seven eight", "short dev line"]
    lines = ["zero one two three four five six seven", "two three four five six seven nine", "short dev line", "ok", "ok", "a b c d e", "a b c d e"]
    numbers = lm.defaultdict()
    numbers.default_factory = numbers.__len__
    kept, left_out, repeated = lm.clean(lines, dev, numbers, 5)
    assert kept == ["two three four five six seven nine", "ok", "ok", "a b c d e"]
    assert (left_out, repeated) == (2, 1)


def test_token_probabilities_use_the_longest_context_within_a_sentence():
    levels, vocabulary = model(3)
    ids = lm.sentences(["a b c", "zzz a"], vocabulary)
    p, known = ngram.token_probabilities(levels, ids, vocabulary)
    assert known.tolist() == [True] * 4 + [False, True, True]

    def at(*words):
        key = 0
        for w in words:
            key = key << 16 | w
        return ngram.probability(levels, len(words), np.array([key], np.uint64))[0]

    bos, eos, unk = vocabulary.bos, vocabulary.eos, vocabulary.unk
    assert np.allclose(p, [at(bos, 0), at(bos, 0, 1), at(0, 1, 2), at(1, 2, eos), at(bos, unk), at(bos, unk, 0), at(unk, 0, eos)])


def test_em_finds_the_better_model():
    weights = ngram.em_weights(np.array([[0.5, 0.5, 0.1], [0.1, 0.1, 0.2]]), np.ones(3) / 3)
    assert weights[0] > 0.7 and abs(weights.sum() - 1) < 1e-9


def test_files_have_the_promised_sizes(tmp_path):
    for order in (2, 3, 4):
        levels, vocabulary = model(order)
        lm.write_bin(tmp_path / "lm.bin", levels, vocabulary)
        size = (tmp_path / "lm.bin").stat().st_size
        assert abs(size - lm.bin_size([len(v.keys) for v in levels])) <= 64
        lm.write_arpa(tmp_path / "lm.arpa.gz", levels, vocabulary)
        text = gzip.open(tmp_path / "lm.arpa.gz", "rt").read()
        assert f"ngram {order}={len(levels[-1].keys)}" in text and text.endswith("\\end\\\n")


def read_arpa(path):
    """{words: (probability, back-off)} of an ARPA file."""
    table = {}
    for line in gzip.open(path, "rt"):
        fields = line.rstrip("\n").split("\t")
        if len(fields) >= 2:
            backoff = float(fields[2]) if len(fields) > 2 else 0.0
            table[tuple(fields[1].split(" "))] = (10 ** float(fields[0]), 10**backoff)
    return table


def arpa_probability(table, words):
    if words in table:
        return table[words][0]
    return table.get(words[:-1], (0, 1))[1] * arpa_probability(table, words[1:])


def test_arpa_sums_to_one_after_every_context(tmp_path):
    levels, vocabulary = model(3)
    pruned = ngram.prune(levels, lm.bin_size([len(v.keys) for v in levels]) - 300, lm.bin_size)
    lm.write_arpa(tmp_path / "lm.arpa.gz", pruned, vocabulary)
    table = read_arpa(tmp_path / "lm.arpa.gz")
    assert len(table) == sum(len(v.keys) for v in pruned)
    following = [*WORDS, "<unk>", "</s>"]
    for n in range(3):
        for context in itertools.product(["<s>", *WORDS], repeat=n):
            assert abs(sum(arpa_probability(table, (*context, w)) for w in following) - 1) < 1e-4, context


def test_dictionary_keeps_variants_and_drops_stress(tmp_path):
    (tmp_path / "dict").write_text("read R EH1 D\nread(2) R IY1 D\nx. EH K S\n")
    assert lexicon.read_dictionary(tmp_path / "dict") == {"read": [("R", "EH", "D"), ("R", "IY", "D")]}


def test_pronunciations_come_from_alignment_where_the_dictionary_lacks_them():
    heard = {"zog": {("Z", "AO", "G"): 2, ("Z", "AA", "G"): 1}, "read": {("R", "IY", "D"): 3}}
    entries = lexicon.build_lexicon(["nobody", "read", "zog"], {"read": [("R", "EH", "D"), ("R", "IY", "D")]}, heard)
    assert [(w, p) for w, _, p in entries] == [("read", ("R", "IY", "D")), ("read", ("R", "EH", "D")), ("zog", ("Z", "AO", "G"))]
    assert entries[0][1] == 0 and abs(entries[1][1] - np.log(3.5 / 0.5)) < 1e-9


def test_lexicon_bin_header_counts(tmp_path):
    lexicon.write_bin(tmp_path / "lexicon.bin", [("eye", 0.0, ("AY",)), ("i", 0.0, ("AY",)), ("ice", 0.1, ("AY", "S"))])
    data = (tmp_path / "lexicon.bin").read_bytes()
    version, tokens, words, rows, text, body = struct.unpack_from("<6I", data, 4)
    assert (data[:4], version, tokens, words, rows) == (b"VVLX", 1, 79, 3, 3)
    assert len(data) == 28 + text + body and data[28 : 28 + text] == b"eye\ni\nice\n"


def test_a_lexicon_is_read_as_it_was_written(tmp_path):
    entries = [("eye", 0.0, ["AY"]), ("i", 0.0, ["AY"]), ("ice", 2 * lexicon.COST_STEP, ["AY", "S"]), ("isle", 0.0, ["AY", "L"])]
    lexicon.write_bin(tmp_path / "lexicon.bin", entries)
    assert sorted(lexicon.read_bin(tmp_path / "lexicon.bin")) == entries
