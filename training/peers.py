"""The program beside pocketsphinx with its own US-English model, on the same dev clips: word error rates in one table.

Both sides are scored by jiwer on equally normalised texts. `--results FILE` keeps pocketsphinx's texts, so that it runs only once.
"""

import argparse
import io
import json
import multiprocessing
import subprocess
import tarfile
from pathlib import Path

import jiwer
import numpy as np
import soundfile

from gather import normalise
from prepare import read_manifest
from progress import progress

SETS = ("librispeech_mini", "commonvoice_v1", "commonvoice_delta13")


def shard_texts(task):
    """(shard, wanted ids) -> {id: text} by pocketsphinx."""
    import pocketsphinx

    shard, wanted = task
    decoder = pocketsphinx.Decoder(samprate=16000, loglevel="FATAL")
    out = {}
    with tarfile.open(shard) as tar:
        for member in tar:
            name = member.name.removesuffix(Path(member.name).suffix)
            if name in wanted:
                x, _ = soundfile.read(io.BytesIO(tar.extractfile(member).read()), dtype="float32", always_2d=True)
                decoder.start_utt()
                decoder.process_raw((x.mean(axis=1) * 32767).clip(-32768, 32767).astype(np.int16).tobytes(), full_utt=True)
                decoder.end_utt()
                out[name] = decoder.hyp().hypstr if decoder.hyp() else ""
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True, help="folder with manifest.tsv and tar shards")
    parser.add_argument("--binary", type=Path, default=Path("target/release/vivavoce"))
    parser.add_argument("--model", type=Path, help="model folder (default: the one inside the program)")
    parser.add_argument("--set", action="append", help="dev set (may be repeated)")
    parser.add_argument("--results", type=Path, default=Path("training/runs/pocketsphinx.json"))
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    sets = args.set or SETS
    rows = [r for r in read_manifest(args.speech.parent) if r["split"] == "dev" and r["set"] in sets and r["text"]]
    theirs = json.loads(args.results.read_text()) if args.results.exists() else {}
    tasks = []
    for name in sets:
        if name not in theirs:
            wanted = {r["id"] for r in rows if r["set"] == name}
            tasks += [(name, (shard, wanted)) for shard in sorted(args.speech.glob(f"{name}-[0-9]*.tar"))]
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        for (name, _), texts in zip(tasks, progress(pool.imap(shard_texts, [t for _, t in tasks]), total=len(tasks), label="pocketsphinx")):
            theirs.setdefault(name, {}).update(texts)
    args.results.parent.mkdir(parents=True, exist_ok=True)
    args.results.write_text(json.dumps(theirs))
    command = [str(args.binary), "evaluate", str(args.speech), "--json", *(["--model", str(args.model)] if args.model else [])]
    for name in sets:
        command += ["--set", name]
    ours = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    print(f"{'set':<22} {'utts':>5} {'words':>6} {'vivavoce %':>11} {'pocketsphinx %':>15}")
    for name in sets:
        pairs = [(r["text"], normalise(theirs[name].get(r["id"], "")) or "") for r in rows if r["set"] == name]
        rate = 100 * jiwer.wer([p[0] for p in pairs], [p[1] for p in pairs])
        print(f"{name:<22} {len(pairs):>5} {sum(len(p[0].split()) for p in pairs):>6} {100 * ours[name]['word']['rate']:>11.1f} {rate:>15.1f}")


if __name__ == "__main__":
    main()
