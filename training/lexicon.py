"""Stage `lexicon`: the words that can be recognised and how they are pronounced.

Words: every word of the training transcripts, then the most frequent words of the language-model texts that CMUdict
has, then, with `--g2p`, the most frequent ones that it lacks. Pronunciations: CMUdict without stress, for training words that it
lacks the one that the forced alignment heard most often, else what the letter-to-sound model says. Writes tokens.txt, lexicon.txt (`word cost PH PH ...`) and lexicon.bin (docs/model-format.md).
"""

import argparse
import lzma
import math
import re
import struct
from collections import Counter, defaultdict
from pathlib import Path

PHONES = (
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
).split()
END_OF_BLOCK = "<e>"
WORD_FINAL = "_E"
TEXTS = ("novels", "librispeech_train", "commonvoice_prompts")
COST_STEP = 1 / 16  # nats in one unit of a stored cost
MAX_WORDS = 65_533  # lm.bin numbers words with 16 bits, and needs three more
MIN_COUNT = 3  # of a word of the texts that CMUdict lacks
SMOOTHING = 0.5  # added to the count of every pronunciation

BIN_MAGIC = b"VVLX"
BIN_VERSION = 1


def phone_tokens():
    """The tokens of units `phones`, in the order of their ids."""
    return [END_OF_BLOCK, *PHONES, *(phone + WORD_FINAL for phone in PHONES)]


def read_manifest(data):
    """Yields (set, id, split, text) of every utterance."""
    with open(data / "speech" / "manifest.tsv", encoding="utf-8") as file:
        header = file.readline().rstrip("\n").split("\t")
        at = [header.index(name) for name in ("set", "id", "split", "text")]
        for line in file:
            fields = line.rstrip("\n").split("\t")
            yield tuple(fields[i] for i in at)


def text_sources(data):
    """The language-model texts that DIR/text holds: those of TEXTS first, then others by name."""
    there = {path.name.removesuffix(".txt.xz") for path in (data / "text").glob("*.txt.xz")}
    return [s for s in TEXTS if s in there] + sorted(there - set(TEXTS))


def read_text(data, source):
    """The lines of one language-model text."""
    with lzma.open(data / "text" / f"{source}.txt.xz", "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def read_dictionary(path):
    """{word: [pronunciation, ...]} of a CMUdict file; variants are marked `word(2)`."""
    entries = defaultdict(list)
    with open(path, encoding="utf-8") as file:
        for line in file:
            word, *phones = line.split()
            word = re.sub(r"\(\d+\)$", "", word)
            phones = tuple(re.sub(r"\d", "", phone) for phone in phones)
            if phones and re.fullmatch(r"[a-z']+", word) and phones not in entries[word]:
                entries[word].append(phones)
    return {word: prons for word, prons in entries.items() if prons}


def read_ctm(path):
    """Yields (utterance, [(start, end, label), ...]); an utterance id may contain spaces."""
    utterance, rows = None, []
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            name, _, start, duration, label = line.rstrip("\n").rsplit(" ", 4)
            if name != utterance:
                if rows:
                    yield utterance, rows
                utterance, rows = name, []
            rows.append((float(start), float(start) + float(duration), label))
    if rows:
        yield utterance, rows


def aligned_pronunciations(data, utterances):
    """{word: Counter of pronunciations} as forced alignment heard them in `utterances` (`set/id`)."""
    words = {name: rows for name, rows in read_ctm(data / "align" / "words.ctm.xz") if name in utterances}
    heard = defaultdict(Counter)
    for name, phones in read_ctm(data / "align" / "phones.ctm.xz"):
        at = 0
        for start, end, word in words.get(name, ()):
            while at < len(phones) and (phones[at][0] + phones[at][1]) / 2 < start:
                at += 1
            pron = []
            while at < len(phones) and (phones[at][0] + phones[at][1]) / 2 < end:
                if phones[at][2] in PHONES:
                    pron.append(phones[at][2])
                at += 1
            if pron:
                heard[word][tuple(pron)] += 1
    return heard


def choose_words(training, counts_by_source, dictionary, max_words, others=False):
    """All of `training`, then the words of `dictionary` in falling order of their best relative frequency in a source, then, with
    `others`, those that it lacks and that occur at least MIN_COUNT times."""
    frequency = Counter()
    for counts in counts_by_source:
        total = max(1, sum(counts.values()))
        for word, count in counts.items():
            frequency[word] = max(frequency[word], count / total)
    words = set(training)
    total = Counter()
    for counts in counts_by_source:
        total.update(counts)
    ranked = sorted(frequency, key=lambda word: (-frequency[word], word))
    known = [word for word in ranked if word in dictionary]
    unknown = [word for word in ranked if word not in dictionary and total[word] >= MIN_COUNT and re.search("[aeiouy]", word)]
    for word in known + (unknown if others else []):
        if len(words) >= max_words:
            break
        words.add(word)
    return sorted(words)


def with_costs(prons, counts):
    """[(cost, pronunciation), ...]: the negative log of the smoothed relative frequency, less that of the best."""
    weights = [counts.get(pron, 0) + SMOOTHING for pron in prons]
    best = max(weights, default=1)
    return sorted((math.log(best / weight), pron) for weight, pron in zip(weights, prons))


def build_lexicon(words, dictionary, heard, letter_to_sound=None):
    """[(word, cost, pronunciation), ...] sorted by word and cost; words that nobody can pronounce are left out."""
    entries = []
    for word in words:
        counts = heard.get(word, {})
        prons = dictionary.get(word)
        if not prons and counts:
            prons = [min(counts, key=lambda pron: (-counts[pron], pron))]
        if not prons and letter_to_sound:
            prons = [pron for _, pron in letter_to_sound.pronounce(word)]
        entries += [(word, cost, pron) for cost, pron in with_costs(prons or [], counts)]
    return entries


def write_bin(path, entries):
    """Writes lexicon.bin; `entries` as of `build_lexicon`."""
    ids = {token: i for i, token in enumerate(phone_tokens())}
    words = sorted({word for word, _, _ in entries})
    number = {word: i for i, word in enumerate(words)}
    rows = sorted(
        (tuple(ids[p] for p in pron[:-1]) + (ids[pron[-1] + WORD_FINAL],), number[word], min(255, round(cost / COST_STEP)))
        for word, cost, pron in entries
    )
    body, previous = bytearray(), ()
    for tokens, word, cost in rows:
        shared = 0
        while shared < min(len(tokens), len(previous)) and tokens[shared] == previous[shared]:
            shared += 1
        body += bytes((shared, len(tokens) - shared, *tokens[shared:])) + struct.pack("<I", word)[:3] + bytes((cost,))
        previous = tokens
    text = "".join(word + "\n" for word in words).encode()
    header = BIN_MAGIC + struct.pack("<6I", BIN_VERSION, len(ids), len(words), len(rows), len(text), len(body))
    Path(path).write_bytes(header + text + bytes(body))


def open_bin(path):
    """Of a lexicon.bin: its words in the order of their numbers, how many pronunciations there are, and their bytes."""
    raw = Path(path).read_bytes()
    version, _, words, count, text, body = struct.unpack("<6I", raw[4:28])
    assert raw[:4] == BIN_MAGIC and version == BIN_VERSION and len(raw) == 28 + text + body, path
    out = raw[28 : 28 + text].decode().splitlines()
    assert len(out) == words, path
    return out, count, raw[28 + text :]


def read_bin(path):
    """The pronunciations of a lexicon.bin as `build_lexicon` gives them: (word, cost, phones), costs in steps of COST_STEP."""
    words, count, raw = open_bin(path)
    names, at, tokens, out = phone_tokens(), 0, [], []
    for _ in range(count):
        shared, new = raw[at], raw[at + 1]
        tokens = tokens[:shared] + list(raw[at + 2 : at + 2 + new])
        at += 2 + new
        phones = [names[token].removesuffix(WORD_FINAL) for token in tokens]
        out.append((words[int.from_bytes(raw[at : at + 3], "little")], raw[at + 3] * COST_STEP, phones))
        at += 4
    assert at == len(raw), path
    return out


def read_words(path):
    """The distinct words of a lexicon.txt in byte order: word i of lexicon.bin and of lm.bin."""
    with open(path, encoding="utf-8") as file:
        return sorted({line.split(" ", 1)[0] for line in file})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/, text/ and align/")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--dictionary", type=Path, help="a CMUdict file (default: the one that pocketsphinx carries)")
    parser.add_argument("--g2p", type=Path, help="g2p.bin of a letter-to-sound model, for words that the dictionary lacks")
    parser.add_argument("--max-words", type=int, default=60_000)
    args = parser.parse_args()
    if not 0 < args.max_words <= MAX_WORDS:
        parser.error(f"--max-words must lie in 1..{MAX_WORDS}")
    if args.dictionary is None:
        import pocketsphinx

        args.dictionary = pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")
    args.out.mkdir(parents=True, exist_ok=True)

    dictionary = read_dictionary(args.dictionary)
    train = [(f"{name}/{key}", text) for name, key, split, text in read_manifest(args.data) if split == "train"]
    training = Counter(word for _, text in train for word in text.split())
    counts = [Counter(word for line in read_text(args.data, s) for word in line.split()) for s in text_sources(args.data)]
    heard = aligned_pronunciations(args.data, {name for name, _ in train})
    pronounceable = {word for word in training if word in dictionary or word in heard}
    letter_to_sound = None
    if args.g2p:
        from g2p import LetterToSound

        letter_to_sound = LetterToSound(args.g2p.read_bytes())
    words = choose_words(pronounceable, counts, dictionary, args.max_words, others=bool(args.g2p))
    entries = build_lexicon(words, dictionary, heard, letter_to_sound)

    (args.out / "tokens.txt").write_text("".join(token + "\n" for token in phone_tokens()), encoding="utf-8")
    with open(args.out / "lexicon.txt", "w", encoding="utf-8") as file:
        file.writelines(f"{word} {cost:.3f} {' '.join(pron)}\n" for word, cost, pron in entries)
    write_bin(args.out / "lexicon.bin", entries)
    words = {word for word, _, _ in entries}
    print(
        f"{len(words)} words, {len(entries)} pronunciations; "
        f"{len(set(training) & words - set(dictionary))} words from the alignment only, "
        f"{len(set(training) - words)} training words left out; lexicon.bin {(args.out / 'lexicon.bin').stat().st_size} bytes"
    )


if __name__ == "__main__":
    main()
