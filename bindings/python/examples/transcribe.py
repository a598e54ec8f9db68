"""Writes what is said in audio files, one on each core: python transcribe.py *.wav"""

import argparse
import sys

import vivavoce

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("files", nargs="+")
parser.add_argument("--words", action="store_true", help="a line a word, with time and confidence")
arguments = parser.parse_args()

recognizer = vivavoce.Recognizer(punctuate=True, digits=True)
failed = False
for outcome in recognizer.transcribe_many(arguments.files, ordered=True, progress=True):
    if outcome.error:
        print(f"error: {outcome.error}", file=sys.stderr)
        failed = True
        continue
    print(f"{outcome.path}: {outcome.text}")
    if arguments.words:
        for word in outcome.get().words:
            print(f"  {word.start:7.2f} {word.end:7.2f} {word.confidence:5.2f}  {word.word}")
sys.exit(failed)
