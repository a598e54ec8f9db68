"""Does the program compute what PyTorch computes, with a real model? Greedy tokens of recordings, token for token, in every latency mode.

Recordings: WAV files of the model's sample rate, or the first dev clips of a set of shards. The network runs in f32 on both sides.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile
import torch
from safetensors.numpy import load_file

from export import read_weights
from golden import extract
from longform import dev_clips
from model import Geometry, NeuralTransducer


def load_folder(folder):
    """(model, config, {mean, inv_std}, tokens) of a model folder."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tokens = (folder / "tokens.txt").read_text(encoding="utf-8").split()
    tensors = load_file(folder / "model.safetensors")
    stats = {name: tensors[f"normalize.{name}"].tolist() for name in ("mean", "inv_std")}
    model = NeuralTransducer(config, len(tokens))
    model.load_state_dict(read_weights(folder / "model.safetensors"))
    return model.eval(), config, stats, tokens


def differences(binary, folder, paths):
    """Yields (mode, path, PyTorch's tokens, the program's tokens) for every file and mode."""
    model, config, stats, tokens = load_folder(folder)
    for mode in config["latency_modes"]:
        command = [str(binary), "transcribe", "--model", str(folder), "--precision", "f32", "--json", "--search", "greedy", "--end-of-block-bias", "0",
                   "--latency", mode, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command[:4])} ... gave {done.returncode}: {done.stderr}")
        theirs = [[w["word"] for w in json.loads(line)["result"]] for line in done.stdout.splitlines() if line.strip()]
        for path, found in zip(paths, theirs, strict=True):
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
            if rate != config["features"]["sample_rate_hz"]:
                raise SystemExit(f"{path} has {rate} Hz, the model hears {config['features']['sample_rate_hz']} Hz")
            features = extract(config, stats, samples.mean(axis=1))
            geometry = Geometry.from_config(config["latency_modes"][mode])
            ours = model.greedy(features[None], torch.tensor([model.num_frames(len(features))]), geometry)[0]
            yield mode, path, [tokens[t] for t, _ in ours], found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", help="WAV files")
    parser.add_argument("--speech", type=Path, help="instead: folder with manifest.tsv and tar shards")
    parser.add_argument("--set", default="librispeech_mini")
    parser.add_argument("--limit", type=int, default=20, help="clips of the shards")
    parser.add_argument("--binary", type=Path, default=Path("target/release/vivavoce"))
    parser.add_argument("--model", type=Path, default=Path("models/en-small"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        paths = list(args.files)
        if args.speech:
            for i, (_, x) in enumerate(dev_clips(args.speech, args.set, float("inf"), 1, args.limit)):
                paths.append(Path(work) / f"{i:03}.wav")
                soundfile.write(paths[-1], x, 16000, subtype="PCM_16")
        if not paths:
            parser.error("no recordings: give WAV files or --speech")
        counts = {}
        for mode, path, ours, theirs in differences(args.binary, args.model, paths):
            same, tokens = counts.get(mode, (0, 0))
            counts[mode] = (same + (ours == theirs), tokens + len(ours))
            if ours != theirs:
                at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
                print(f"{path.name} ({mode}): differs from token {at} on\n PyTorch {' '.join(ours[at : at + 12])}\n program {' '.join(theirs[at : at + 12])}",
                      file=sys.stderr)
    for mode, (same, tokens) in counts.items():
        print(f"{mode}: {same} of {len(paths)} recordings equal, {tokens} tokens")
    return int(any(same < len(paths) for same, _ in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
