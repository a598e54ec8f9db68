"""What the neural language model of words (word_lm.py) learns from: texts as word numbers, batches of sentences, samples of words."""

import numpy as np

import ngram
from lexicon import open_bin, read_manifest
from lm import DEV_SETS, clean_sources, sentences

SHARES = {  # source: share of the words learnt at the start and at the end, from the weights of lm.py's mixture and the size of the texts
    "novels": (0.33, 0.24), "wikipedia": (0.27, 0.20), "talk": (0.19, 0.16), "novels_eltec": (0.07, 0.04), "podcasts": (0.06, 0.03),
    "librispeech_train": (0.03, 0.12), "commonvoice_prompts": (0.03, 0.14), "training_transcripts": (0.02, 0.07),
}
RUNNING = ("novels", "novels_eltec")  # half of their words are learnt in pieces as long as read utterances, which sentence ends do not cut
LONGEST = 48  # words of a sentence that are learnt
ROUND_WORDS = 1_000_000  # words drawn at a time


def prepare(args):
    """Writes texts.npz: for every source the numbers of its words and of its words a line, and the same of the dev sets."""
    words, _, _ = open_bin(args.model / "lexicon.bin")
    (args.run / "words.txt").write_text("".join(word + "\n" for word in words), encoding="utf-8")
    vocabulary = ngram.Vocabulary(words)
    manifest, held = list(read_manifest(args.data)), {}

    def encode(name, lines):
        held[name] = sentences(lines, vocabulary).astype(np.int32)
        print(f"{name}: {len(lines)} lines, {len(held[name]) - 2 * len(lines)} words", flush=True)

    for source, lines, _, _ in clean_sources(args.data, manifest):
        encode(source, lines)
    for name, sets in DEV_SETS.items():
        encode(f"dev_{name}", [text for s, _, split, text in manifest if split == "dev" and s in sets and text])
    np.savez(args.run / "texts.npz", **held)


class Texts:
    """Draws sentences of all sources in the shares of SHARES; each source is gone through in a new order again and again."""

    def __init__(self, path, seed, dev_only=False):
        held = np.load(path)
        self.rng = np.random.default_rng(seed)
        self.bos = int(max(held[name].max() for name in held.files)) - 1  # </s> is the last number
        self.sources, self.dev, self.at = {}, {}, {}
        for name in held.files if not dev_only else [name for name in held.files if name.startswith("dev_")]:
            ids = held[name]
            starts = np.append(np.flatnonzero(ids == self.bos), len(ids))
            lines = ids, starts[:-1], np.minimum(np.diff(starts), LONGEST + 2)
            if name.startswith("dev_"):
                self.dev[name.removeprefix("dev_")] = [ids[a:b] for a, b in zip(starts[:-1], starts[1:])]
            else:
                self.sources[name] = lines
        for name in [name for name in RUNNING if name in self.sources and "librispeech_train" in self.sources]:
            read = self.sources["librispeech_train"][2] - 2
            ids = self.sources[name][0]
            flat = ids[(ids != self.bos) & (ids != self.bos + 1)]
            cuts = np.cumsum(self.rng.choice(read, 2 * len(flat) // max(1, int(read.mean()))))
            pieces = np.split(flat, cuts[cuts < len(flat)])
            lengths = np.array([len(p) + 2 for p in pieces])
            running = np.concatenate([x for p in pieces for x in ([self.bos], p, [self.bos + 1])]).astype(np.int32)
            self.sources[name + "/running"] = running, np.cumsum(lengths) - lengths, np.minimum(lengths, LONGEST + 2)

    def frequency(self):
        """Share of every word in what is learnt in the middle of the training, smoothed."""
        total = np.full(self.bos + 2, 1e-8)
        for name, share in self.shares(0.5).items():
            count = np.bincount(self.sources[name][0], minlength=len(total)).astype(float)
            count[self.bos] = 0
            total += share * count / count.sum()
        return total / total.sum()

    def shares(self, progress):
        out = {}
        for name in self.sources:
            first, last = SHARES.get(name.split("/")[0], (0.05, 0.05))
            halves = 0.5 if name.split("/")[0] + "/running" in self.sources else 1.0
            out[name] = halves * (first + (last - first) * progress)
        return out

    def round(self, progress):
        """Batches [T, B] of word numbers, -1 after the end of a sentence, of about ROUND_WORDS words, in random order."""
        chosen = []
        for name, share in self.shares(progress).items():
            ids, starts, lengths = self.sources[name]
            wanted = share * ROUND_WORDS
            while wanted > 0:
                if not len(self.at.get(name, ())):
                    self.at[name] = self.rng.permutation(len(starts))
                n = max(1, int(np.searchsorted(np.cumsum(lengths[self.at[name]] - 1), wanted)))
                take, self.at[name] = self.at[name][:n], self.at[name][n:]
                chosen += [ids[starts[i] : starts[i] + lengths[i]] for i in take]
                wanted -= (lengths[take] - 1).sum()
        chosen = [chosen[i] for i in self.rng.permutation(len(chosen))]
        chosen.sort(key=len)
        batches, at = [], 0
        while at < len(chosen):
            n = max(96, 5120 // len(chosen[at]))
            part = chosen[at : at + n]
            batch = np.full((len(part[-1]), len(part)), -1, np.int64)
            for j, line in enumerate(part):
                batch[: len(line), j] = line
            batches.append(batch)
            at += n
        return [batches[i] for i in self.rng.permutation(len(batches))]


class Sample:
    """Draws the words of the normaliser: word w with chance min(1, c * frequency^0.75), `size` of them on average."""

    def __init__(self, frequency, rank, size, bos):
        weight = frequency**0.75
        weight[bos] = 0
        low, high = 0.0, 1e9
        for _ in range(100):
            c = (low + high) / 2
            low, high = (c, high) if np.minimum(1, c * weight).sum() < size else (low, c)
        self.chance, self.rank = np.minimum(1, low * weight), rank

    def draw(self, rng):
        """(words in the order of their ranks, log chances)"""
        words = np.flatnonzero(rng.random(len(self.chance)) < self.chance)
        words = words[np.argsort(self.rank[words])]
        return words, np.log(self.chance[words])
