"""Word n-gram models on packed integer keys: interpolated modified Kneser-Ney, linear interpolation, entropy pruning.

An n-gram of word numbers w1 .. wn (each below 2^BITS) is the uint64 key (w1 << BITS(n-1)) | ... | wn, so the context is `key >> BITS` and
the shorter n-gram is `key` with its upper bits masked off. A stage with fewer words may set BITS lower for a higher order. Every order is kept as sorted keys with parallel arrays.

Smoothing: Chen and Goodman, "An empirical study of smoothing techniques for language modeling", 1998, section 4.
Pruning: Stolcke, "Entropy-based pruning of backoff language models", 1998; the frequency of a history is the one counted in the text,
as Kneser-Ney's lower orders are no marginals (Chelba et al. 2010, "Study on interaction between entropy pruning and Kneser-Ney").
"""

from dataclasses import dataclass

import numpy as np

BITS = np.uint64(16)


@dataclass
class Vocabulary:
    """`words` are numbered from 0 in their order; three marks follow."""

    words: list

    def __post_init__(self):
        self.unk, self.bos, self.eos = (len(self.words) + i for i in range(3))
        self.size = len(self.words) + 3
        if self.size > 1 << int(BITS):
            raise ValueError(f"{len(self.words)} words are too many for {BITS} bits")

    def text(self, i):
        marks = {self.unk: "<unk>", self.bos: "<s>", self.eos: "</s>"}
        return marks.get(i) or self.words[i]


@dataclass
class Level:
    """The n-grams of one order."""

    keys: np.ndarray  # [n] uint64, rising
    p: np.ndarray  # [n] probability of the last word after the others
    backoff: np.ndarray  # [n] factor of the shorter context where a longer n-gram is missing
    frequency: np.ndarray  # [n] occurrences divided by the words of the text


def suffix(keys, order):
    """The keys without their first word; `order` counts the words of `keys`."""
    return keys & np.uint64((1 << int(BITS) * (order - 1)) - 1)


def find(keys, wanted):
    """(index, whether found) of `wanted` in the rising `keys`."""
    if len(keys) == 0:
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return at, keys[at] == wanted


def count(ids, order, vocabulary):
    """(keys, counts) of the n-grams inside sentences; `ids` holds `<s> w .. w </s>` of all sentences in a row."""
    n = len(ids) - order + 1
    if n <= 0:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    keys, inside = np.zeros(n, np.uint64), np.ones(n, bool)
    for j in range(order):
        part = ids[j : j + n]
        keys = (keys << BITS) | part.astype(np.uint64)
        if j + 1 < order:
            inside &= part != vocabulary.eos
    if order == 1:
        inside = ids != vocabulary.bos
    return np.unique(keys[inside], return_counts=True)


def discounts(counts):
    """D1, D2, D3+ (Chen and Goodman, equation 17); fixed values where the text is too small for them."""
    n1, n2, n3, n4 = (int((counts == i).sum()) for i in (1, 2, 3, 4))
    fallback = (0.5, 1.0, 1.5)
    if min(n1, n2, n3, n4) == 0:
        return fallback
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return tuple(d if 0 < d < i + 1 else fallback[i] for i, d in enumerate(found))


def estimate(ids, order, vocabulary, cutoffs=(), continuation=True):
    """A model ([Level] by order) of one text.

    `cutoffs[k-1]`: n-grams of order k that occur less often are dropped after smoothing, their mass going to the back-off.
    `continuation=False` counts occurrences instead of distinct left neighbours in the lower orders (absolute discounting).
    """
    raw = [count(ids, k, vocabulary) for k in range(1, order + 1)]
    total = max(1, int(raw[0][1].sum()))
    levels = []
    for k in range(1, order + 1):
        keys, occurrences = raw[k - 1]
        counts = occurrences
        if continuation and k < order:
            after, lefts = np.unique(suffix(raw[k][0], k + 1), return_counts=True)
            counts = occurrences.copy()
            at, known = find(after, keys)
            first = keys >> np.uint64(int(BITS) * (k - 1))
            known &= first != vocabulary.bos  # nothing stands left of <s>: occurrences count
            counts[known] = lefts[at[known]]
        d = np.array((0.0, *discounts(counts)))[np.minimum(counts, 3)]
        if k == 1:
            mass = counts.sum()
            p = np.full(vocabulary.size, d.sum() / mass / (vocabulary.size - 1))
            p[vocabulary.bos] = 0.0
            p[keys.astype(np.int64)] += (counts - d) / mass
            frequency = np.zeros(vocabulary.size)
            frequency[keys.astype(np.int64)] = occurrences / total
            frequency[vocabulary.bos] = frequency[vocabulary.eos]
            keys = np.arange(vocabulary.size, dtype=np.uint64)
        else:
            starts = group_starts(keys >> BITS)
            sizes = np.diff(np.append(starts, len(keys)))
            mass = np.add.reduceat(counts, starts)
            gamma = np.add.reduceat(d, starts) / mass
            below = levels[-1]
            shorter = below.p[find(below.keys, suffix(keys, k))[0]]
            p = (counts - d) / np.repeat(mass, sizes) + np.repeat(gamma, sizes) * shorter
            frequency = occurrences / total
            below.backoff[find(below.keys, keys[starts] >> BITS)[0]] = gamma
        levels.append(Level(keys, p, np.ones(len(keys)), frequency))
    keep = [np.ones(len(level.keys), bool) for level in levels]
    for k in range(2, order + 1):
        if k <= len(cutoffs) and cutoffs[k - 1] > 1:
            keep[k - 1] = raw[k - 1][1] >= cutoffs[k - 1]
    return levels if all(k.all() for k in keep) else select(levels, keep)


def group_starts(contexts):
    """Where a new value begins in the sorted `contexts`."""
    return np.flatnonzero(np.append(True, contexts[1:] != contexts[:-1])) if len(contexts) else np.zeros(0, np.int64)


def probability(levels, order, keys):
    """p(last word | the others) of n-grams of `order` words, with back-off."""
    level = levels[order - 1]
    at, found = find(level.keys, keys)
    p = level.p[at] if len(level.p) else np.zeros(len(keys))
    missing = np.flatnonzero(~found)
    if order > 1 and len(missing):
        below = levels[order - 2]
        context, known = find(below.keys, keys[missing] >> BITS)
        factor = np.where(known, below.backoff[context], 1.0)
        p[missing] = factor * probability(levels, order - 1, suffix(keys[missing], order))
    return p


def sums_by_context(levels, k):
    """For the contexts of order k: (index of a context in order k-1, sizes, sum of p, sum of the shorter p, the shorter p)."""
    level, below = levels[k - 1], levels[k - 2]
    starts = group_starts(level.keys >> BITS)
    sizes = np.diff(np.append(starts, len(level.keys)))
    shorter = probability(levels, k - 1, suffix(level.keys, k))
    at = find(below.keys, level.keys[starts] >> BITS)[0]
    if len(starts) == 0:
        return at, sizes, np.zeros(0), np.zeros(0), shorter
    return at, sizes, np.add.reduceat(level.p, starts), np.add.reduceat(shorter, starts), shorter


def normalise(levels):
    """Sets every back-off so that the words after each context sum to 1."""
    for k in range(2, len(levels) + 1):
        at, _, seen, shorter, _ = sums_by_context(levels, k)
        levels[k - 2].backoff[:] = 1.0
        levels[k - 2].backoff[at] = np.maximum(1 - seen, 1e-9) / np.maximum(1 - shorter, 1e-9)
    return levels


def select(levels, keep):
    """The n-grams marked in `keep` (a mask by order), with new back-offs."""
    return normalise([Level(v.keys[m], v.p[m], np.ones(int(m.sum())), v.frequency[m]) for v, m in zip(levels, keep)])


def interpolate(models, weights, vocabulary):
    """One model: the union of the n-grams (but for those around <unk>), each with the weighted mean of the probabilities."""
    mixed = []
    for k in range(1, len(models[0]) + 1):
        keys = np.unique(np.concatenate([m[k - 1].keys for m in models]))
        if k > 1:
            known = np.ones(len(keys), bool)
            for j in range(k):
                known &= ((keys >> np.uint64(int(BITS) * j)) & np.uint64((1 << int(BITS)) - 1)) != vocabulary.unk
            keys = keys[known]
        p, frequency = np.zeros(len(keys)), np.zeros(len(keys))
        for model, weight in zip(models, weights):
            p += weight * probability(model, k, keys)
            at, found = find(model[k - 1].keys, keys)
            frequency[found] += weight * model[k - 1].frequency[at[found]]
        mixed.append(Level(keys, p, np.ones(len(keys)), frequency))
    return normalise(mixed)


def information(levels, k):
    """What dropping each n-gram of order k alone costs: relative entropy in nats (Stolcke 1998, equation 5)."""
    at, sizes, seen, shorter_sum, shorter = sums_by_context(levels, k)
    level, below = levels[k - 1], levels[k - 2]
    rest, rest_shorter = np.maximum(1 - seen, 1e-9), np.maximum(1 - shorter_sum, 1e-9)
    old = np.repeat(np.log(rest / rest_shorter), sizes)
    new = np.log((np.repeat(rest, sizes) + level.p) / (np.repeat(rest_shorter, sizes) + shorter))
    change = level.p * (np.log(shorter) + new - np.log(level.p)) + np.repeat(rest, sizes) * (new - old)
    return -np.repeat(below.frequency[at], sizes) * change


def prune(levels, budget, size_of):
    """The n-grams that carry most, chosen by one threshold so that `size_of([n-grams by order])` stays within `budget`."""
    order = len(levels)
    value = [None] + [information(levels, k) for k in range(2, order + 1)]

    def kept(threshold):
        keep = [np.ones(len(levels[0].keys), bool)] + [v >= threshold for v in value[1:]]
        for k in range(order, 2, -1):
            parents = np.unique(levels[k - 1].keys[keep[k - 1]] >> BITS)
            keep[k - 2][find(levels[k - 2].keys, parents)[0]] = True
        return keep

    low, high = -30.0, 0.0  # log10 of the threshold: `high` always fits, `low` is tried first
    keep = kept(10.0**low)
    if size_of([int(m.sum()) for m in keep]) > budget:
        for _ in range(14):
            middle = (low + high) / 2
            keep = kept(10.0**middle)
            low, high = (low, middle) if size_of([int(m.sum()) for m in keep]) <= budget else (middle, high)
        keep = kept(10.0**high)
    return select(levels, keep)


def token_probabilities(levels, ids, vocabulary):
    """(probabilities, whether the word is known) of every word and sentence end in `ids` (`<s> w .. w </s>` in a row)."""
    order, n = len(levels), len(ids)
    words = ids.astype(np.uint64)
    begin = np.maximum.accumulate(np.where(ids == vocabulary.bos, np.arange(n), 0))
    length = np.minimum(np.arange(n) - begin + 1, order)
    keys = np.zeros(n, np.uint64)
    for j in range(order - 1, -1, -1):
        shifted = np.append(np.zeros(min(j, n), np.uint64), words[: max(0, n - j)])
        keys = np.where(length > j, (keys << BITS) | shifted, keys)
    p = np.ones(n)
    for k in range(1, order + 1):
        chosen = length == k
        p[chosen] = probability(levels, k, keys[chosen])
    spoken = ids != vocabulary.bos
    return p[spoken], (ids != vocabulary.unk)[spoken]


def em_weights(probabilities, token_weights, rounds=100):
    """Weights of the models that make the weighted likelihood largest; `probabilities` is [models, tokens]."""
    weights = np.full(len(probabilities), 1 / len(probabilities))
    for _ in range(rounds):
        posterior = weights[:, None] * probabilities
        posterior /= posterior.sum(0)
        weights = (posterior * token_weights).sum(1) / token_weights.sum()
    return weights
