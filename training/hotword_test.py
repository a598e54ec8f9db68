"""How well hotwords are found: rare names in synthetic sentences and rare words in the dev sets, without the list and with it.

Prints, for every boost, the recall of the names and the word error rate of utterances that hold none of them.
"""

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from g2p import distance
from lexicon import read_manifest, read_text, text_sources
from speak import ESPEAK, FLITE

NAMES = (
    "kowalczyk nakamura okonkwo szymanski vanterpool quattlebaum przybylski guilfoyle torvalds stallman bengio jaitly vaswani sutskever "
    "hochreiter schmidhuber ramanujan chandrasekhar bhattacharya krishnamurthy venkatesan tchaikovsky rachmaninov shostakovich "
    "zelensky lukashenko erdogan macron meloni trudeau thunberg zuckerberg bezos nadella altman hassabis karpathy turing dijkstra wozniak "
    "mariupol reykjavik antananarivo tbilisi yerevan ashgabat gaborone windhoek philomena seraphina"
).split()
SENTENCES = (
    "please call {} tomorrow morning", "i have never been to {} before", "send a message to {} and ask about the meeting",
    "what do you know about {}", "the letter from {} came last week",
)
WORD_SETS = {"librispeech_mini": None, "commonvoice_v1": 60}


def speak(folder):
    """{name: paths} of every name in one sentence by every voice."""
    voices = [v for program, names in (("flite", FLITE), ("espeak-ng", ESPEAK[:1])) if shutil.which(program) for v in names]
    clips = defaultdict(list)
    for i, name in enumerate(NAMES):
        for j, voice in enumerate(voices):
            path, text = folder / f"{name}-{voice}.wav", SENTENCES[(i + j) % len(SENTENCES)].format(name)
            command = ["flite", "-voice", voice, "-t", text, "-o", path] if voice in FLITE else ["espeak-ng", "-v", voice, "-w", path, text]
            subprocess.run(command, check=True, capture_output=True)
            clips[name].append((path, text))
    return clips


class Program:
    def __init__(self, args, folder):
        self.start = [str(args.binary)]
        self.model = ["--model", str(args.model)] if args.model else []
        self.search, self.folder, self.speech = ["--search", args.search], folder, args.speech

    def hotwords(self, names, boost):
        if boost is None:
            return []
        path = self.folder / "names.txt"
        path.write_text("".join(f"{name} : {boost}\n" for name in names))
        return ["--hotwords", str(path)]

    def files(self, paths, options):
        """{path: text}"""
        command = [*self.start, "transcribe", "--json", *self.model, *self.search, *options, *map(str, paths)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        return {row["file"]: row["text"] for row in map(json.loads, lines)}

    def dev(self, options, sets):
        """[(set, id, reference, hypothesis)] of the dev utterances."""
        rows = []
        for name, limit in sets.items():
            command = [*self.start, "evaluate", str(self.speech), "--show", "--set", name, *self.model, *self.search, *options, "--jobs", "1"]
            shown = subprocess.run(command + (["--limit", str(limit)] if limit else []), check=True, capture_output=True, text=True).stderr
            rows += [(name, *found) for found in re.findall(r"^(\S.*)\n  ref (.*)\n  hyp ?(.*)$", shown, re.M)]
        return rows


def rare_words(args, count):
    """The words of the dev sets that the language model's texts have least often."""
    known = Counter(word for source in text_sources(args.data) for line in read_text(args.data, source) for word in line.split())
    dev = Counter(w for _, _, split, text in read_manifest(args.data) if split == "dev" for w in set(text.split()))
    sets = defaultdict(set)
    for name, _, split, text in read_manifest(args.data):
        if split == "dev" and name in args.dev_sets:
            for word in text.split():
                sets[word].add(name)
    words = [w for w in dev if len(w) > 4 and "'" not in w and sets[w]]
    return sorted(words, key=lambda w: (known[w], w))[:count]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, default=Path("target/release/vivavoce"))
    parser.add_argument("--model", type=Path, help="model folder (default: the program's)")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/ and text/")
    parser.add_argument("--search", default="beam", choices=("beam",))
    parser.add_argument("--boost", type=float, action="append", help="may be repeated (default: 2, 5, 8)")
    parser.add_argument("--dev-sets", nargs="*", default=["librispeech_mini", "commonvoice_v1", "commonvoice_delta13"])
    args = parser.parse_args()
    args.speech = args.data / "speech"
    rare = rare_words(args, 50)
    print("rare words:", " ".join(rare))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        program, clips = Program(args, folder), speak(folder)
        paths = [path for of_name in clips.values() for path, _ in of_name]
        for boost in (None, *(args.boost or (2.0, 5.0, 8.0))):
            options = program.hotwords(NAMES, boost)
            found = program.files(paths, options)
            hits = sum(name in found[str(path)].split() for name, of_name in clips.items() for path, _ in of_name)
            heard = sum(any(name in found[str(path)].split() for path, _ in of_name) for name, of_name in clips.items())
            wrong = Counter()
            total = Counter()
            for name, _, reference, hypothesis in program.dev(options, WORD_SETS):
                wrong[name] += distance(reference.split(), hypothesis.split())
                total[name] += len(reference.split())
            rates = ", ".join(f"{name} {100 * wrong[name] / total[name]:.2f} %" for name in total)
            print(f"boost {boost}: synthetic names {hits} of {len(paths)} clips ({100 * hits / len(paths):.0f} %), {heard} of {len(clips)} names; "
                  f"WER without the names: {rates}", flush=True)
            options = program.hotwords(rare, boost)
            held = hit = false = others = errors = 0
            for _, _, reference, hypothesis in program.dev(options, {name: None for name in args.dev_sets}):
                there, said = Counter(w for w in reference.split() if w in rare), Counter(w for w in hypothesis.split() if w in rare)
                held, hit, false = held + there.total(), hit + (there & said).total(), false + (said - there).total()
                if not there:
                    others += len(reference.split())
                    errors += distance(reference.split(), hypothesis.split())
            print(f"boost {boost}: real rare words {hit} of {held} ({100 * hit / max(1, held):.0f} %), {false} said falsely; "
                  f"WER of utterances without them {100 * errors / max(1, others):.2f} %", flush=True)


if __name__ == "__main__":
    main()
