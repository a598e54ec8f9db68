"""Stage `align`: forced alignment of speech with its texts, by pocketsphinx and its US-English model.

Reads DIR/speech (manifest.tsv and tar shards, as `prepare` does) and writes DIR/align/words.ctm.xz, phones.ctm.xz and scores.tsv.xz: CTM
lines `<set>/<id> 1 start duration label` in seconds, and the mean acoustic log-score a frame, whose lowest values mark wrong texts.
Words that the dictionary lacks are spelt by espeak-ng where it is installed; otherwise their utterances are left out. So are those that
pocketsphinx can not align.
"""

import argparse
import io
import lzma
import multiprocessing
import re
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile

from prepare import read_ctm, read_manifest
from progress import progress

RATE_HZ = 16000
FRAME_S = 0.01
NARROW, WIDE = (dict(zip(("beam", "wbeam", "pbeam"), [width] * 3)) for width in (1e-48, 1e-120))  # equal beams fail least
IPA = {  # what espeak-ng's en-us voice writes, the longest first where one begins another
    "aɪɚ": "AY ER", "aɪə": "AY AH", "oːɹ": "AO R", "ɔːɹ": "AO R", "ɑːɹ": "AA R", "ɪɹ": "IH R", "ɛɹ": "EH R", "ʊɹ": "UH R", "aɪ": "AY", "aʊ": "AW",
    "eɪ": "EY", "oʊ": "OW", "ɔɪ": "OY", "tʃ": "CH", "dʒ": "JH", "iː": "IY", "uː": "UW", "ɑː": "AA", "ɔː": "AO", "oː": "AO", "ɜː": "ER",
    "əl": "AH L", "i": "IY", "ɪ": "IH", "ɛ": "EH", "e": "EH", "æ": "AE", "a": "AE", "ɑ": "AA", "ɐ": "AH", "ɒ": "AA", "ɔ": "AO", "ʊ": "UH", "u": "UW", "ʌ": "AH",
    "ə": "AH", "ɚ": "ER", "ɝ": "ER", "ᵻ": "IH", "o": "OW", "p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "ɡ": "G", "g": "G", "f": "F", "v": "V", "θ": "TH",
    "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "h": "HH", "m": "M", "n": "N", "ŋ": "NG", "l": "L", "ɫ": "L", "ɹ": "R", "r": "R", "j": "Y", "w": "W",
    "ɾ": "T", "ʔ": "T", "x": "K", "ç": "HH", "ɬ": "L",
}
SOUND = re.compile("|".join(sorted(IPA, key=len, reverse=True)))


def spell(words):
    """{word: phones as text} of the words, by espeak-ng; empty where it is not installed."""
    if not words or not shutil.which("espeak-ng"):
        return {}
    words = sorted(words)
    run = subprocess.run(["espeak-ng", "-q", "-v", "en-us", "--ipa"], input="\n\n".join(words), capture_output=True, text=True, check=True)
    lines = [line for line in run.stdout.splitlines() if line.strip()]
    if len(lines) != len(words):  # a word that it reads as two lines: one call each
        lines = [subprocess.run(["espeak-ng", "-q", "-v", "en-us", "--ipa", "--", w], capture_output=True, text=True, check=True).stdout for w in words]
    return {w: " ".join(IPA[s] for s in SOUND.findall(line)) for w, line in zip(words, lines)}


class Aligner:
    def __init__(self, spelt):
        self.spelt, self.decoders = spelt, {}

    def decoder(self, wide):
        import pocketsphinx

        if wide not in self.decoders:
            beams = WIDE if wide else NARROW
            self.decoders[wide] = pocketsphinx.Decoder(lm=None, samprate=RATE_HZ, loglevel="FATAL", bestpath=False, **beams)
            for word, phones in self.spelt.items():
                if self.decoders[wide].lookup_word(word) is None:
                    self.decoders[wide].add_word(word, phones, False)
        return self.decoders[wide]

    def __call__(self, samples, text):
        """Samples [n] in [-1, 1] at 16 kHz -> (words, phones, score a frame, seconds of speech), each row start, length, label; or None."""
        sound = (samples * 32767).clip(-32768, 32767).astype(np.int16).tobytes()
        for wide in (False, True):
            decoder = self.decoder(wide)
            try:
                decoder.set_align_text(text)
                self.decode(decoder, sound)
                if decoder.hyp() is None:
                    continue
                decoder.set_alignment()
                self.decode(decoder, sound)
                return self.read(decoder.get_alignment())
            except RuntimeError:
                continue
        return None

    @staticmethod
    def decode(decoder, sound):
        decoder.start_utt()
        decoder.process_raw(sound, full_utt=True)
        decoder.end_utt()

    @staticmethod
    def read(alignment):
        words, phones, score, frames = [], [], 0, 0
        for word in alignment:
            silence = word.name.startswith(("<", "["))
            if not silence:
                words.append((word.start * FRAME_S, word.duration * FRAME_S, re.sub(r"\(\d+\)$", "", word.name)))
                score, frames = score + word.score, frames + word.duration
            for phone in word:
                phones.append((phone.start * FRAME_S, phone.duration * FRAME_S, phone.name))
        return (words, phones, score / frames, frames * FRAME_S) if frames else None


def align_shard(task):
    """(shard, {id: text}, spelt words) -> {id: alignment or None}."""
    shard, texts, spelt = task
    align, out = Aligner(spelt), {}
    with tarfile.open(shard) as tar:
        for member in tar:
            name = member.name.removesuffix(Path(member.name).suffix)
            if not member.isfile() or name not in texts:
                continue
            samples, rate = soundfile.read(io.BytesIO(tar.extractfile(member).read()), dtype="float32", always_2d=True)
            if rate != RATE_HZ:
                raise SystemExit(f"{shard}: {member.name} has {rate} Hz, expected {RATE_HZ}")
            out[name] = align(samples.mean(axis=1), texts[name])
    return out


def compare(found, reference):
    """Absolute differences in seconds of the word borders that both have."""
    theirs, out = read_ctm(reference), []
    for key, words in found.items():
        known = theirs.get(key, [])
        if [w for *_, w in known] == [w for *_, w in words]:
            out += [abs(a - b) for (s, n, _), (s2, e2, _) in zip(words, known) for a, b in ((s, s2), (s + n, e2))]
    return np.array(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with speech/")
    parser.add_argument("--out", type=Path, help="folder to write into (default: DATA/align)")
    parser.add_argument("--sets", help="only these sets, separated by commas")
    parser.add_argument("--limit", type=int, default=0, help="only so many utterances of each shard (0: all)")
    parser.add_argument("--compare", type=Path, help="a words.ctm.xz with which to compare the word borders")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    import pocketsphinx

    sets = args.sets.split(",") if args.sets else None
    rows = {(r["set"], r["id"]): r["text"] for r in read_manifest(args.data) if sets is None or r["set"] in sets}
    dictionary = pocketsphinx.Decoder(lm=None, loglevel="FATAL")
    unknown = {w for w in {w for text in rows.values() for w in text.split()} if dictionary.lookup_word(w) is None}
    spelt = {w: p for w, p in spell(unknown).items() if p}
    unknown -= set(spelt)

    tasks, skipped = [], Counter()
    for shard in sorted((args.data / "speech").glob("*.tar")):
        set_name, texts = shard.name.rsplit("-", 1)[0], {}
        with tarfile.open(shard) as tar:
            names = [m.name.removesuffix(Path(m.name).suffix) for m in tar if m.isfile()]
        for name in names:
            text = rows.get((set_name, name))
            if text is None or (args.limit and len(texts) >= args.limit):
                continue
            missing = [w for w in text.split() if w in unknown]
            if missing or not text:
                print(f"left out: {set_name}/{name}: {'no pronunciation of ' + ', '.join(missing) if missing else 'no text'}", file=sys.stderr)
                skipped["unknown word"] += 1
            else:
                texts[name] = text
        here = {w: spelt[w] for text in texts.values() for w in text.split() if w in spelt}
        names = list(texts)
        for i in range(0, len(names), 200):
            tasks.append((set_name, (shard, {n: texts[n] for n in names[i : i + 200]}, here)))
    out = args.out or args.data / "align"
    out.mkdir(parents=True, exist_ok=True)
    found = {}
    files = {name: lzma.open(out / f"{name}.xz", "wt", encoding="utf-8", newline="\n") for name in ("words.ctm", "phones.ctm", "scores.tsv")}
    files["scores.tsv"].write("set\tid\tscore_per_frame\tspeech_seconds\n")
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        results = pool.imap(align_shard, [task for _, task in tasks])
        for (set_name, _), aligned in zip(tasks, progress(results, total=len(tasks), label="align")):
            for name, result in aligned.items():
                key = f"{set_name}/{name}"
                if result is None:
                    print(f"left out: {key}: can not be aligned", file=sys.stderr)
                    skipped["not aligned"] += 1
                    continue
                words, phones, score, seconds = result
                for file, lines in (("words.ctm", words), ("phones.ctm", phones)):
                    files[file].writelines(f"{key} 1 {start:.2f} {length:.2f} {label}\n" for start, length, label in lines)
                files["scores.tsv"].write(f"{set_name}\t{name}\t{score:.1f}\t{seconds:.2f}\n")
                found[key] = words
    for file in files.values():
        file.close()
    print(f"{len(found)} utterances aligned, {skipped['unknown word']} left out for unknown words, {skipped['not aligned']} not aligned; "
          f"{len(spelt)} words spelt by espeak-ng")
    if args.compare:
        d = compare(found, args.compare) * 1000
        print(f"word borders: {len(d)} compared, median difference {np.median(d):.0f} ms, mean {d.mean():.1f} ms, within 50 ms {100 * (d < 51).mean():.1f} %")


if __name__ == "__main__":
    main()
