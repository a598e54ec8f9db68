"""Stage `encode`: an epoch of disturbed speech goes through a trained encoder once, and its frames are kept.

`train.py --frames FOLDER` then trains transducers on them, three times as fast as with the encoder before them. Writes OUT/frames.f16
(encoder frames, [frames, dim]) and OUT/spans.npz (where utterances lie, and their tokens with times after the speed change). Several
`--passes` draw the disturbances anew.
"""

import argparse
import random
from pathlib import Path

import torch

from data import Augment, Corpus, buckets, make_batch
from encoded import Writer
from export import read_weights
from loop import choose_precision, load_config
from model import NeuralTransducer
from progress import progress


def read_average(path):
    """The running average of a checkpoint, or the weights of a model folder."""
    if str(path).endswith(".safetensors"):
        return read_weights(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    return state.get("average", state.get("model"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="checkpoint, or model.safetensors of a model folder, whose encoder to use")
    parser.add_argument("--config", required=True, help="recipe file; disturbances and shares of sets are those of its part `train`")
    parser.add_argument("--data", required=True, help="cache written by prepare")
    parser.add_argument("--targets", help="token times from realign (default: those of the cache)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the frames (50 MB an hour of speech at 512 values a frame)")
    parser.add_argument("--passes", type=int, default=1, help="epochs, each disturbed anew")
    parser.add_argument("--hours", type=float, default=0, help="stop after so much speech (0: all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = load_config(args.config)
    config, settings = recipe["model"], {**recipe["training"], **recipe["training"]["train"]}
    corpus = Corpus(args.data, config["features"]["num_mel_bins"], args.targets)
    tokens = (Path(args.data) / "tokens.txt").read_text().split()
    model = NeuralTransducer(config, len(tokens)).eval()
    missing, _ = model.load_state_dict({k: v for k, v in read_average(args.checkpoint).items() if k.startswith("encoder.")}, strict=False)
    if any(name.startswith("encoder.") for name in missing):
        raise SystemExit(f"{args.checkpoint}: not the encoder of {args.config}")
    tail = int(config["streaming"]["tail_padding_ms"] / config["features"]["frame_shift_ms"])
    bf16 = choose_precision(settings.get("precision", "auto"))
    augment, generator, rng = Augment(settings["augment"], corpus), torch.Generator().manual_seed(args.seed), random.Random(args.seed)
    rows = corpus.train(drop_worst=settings.get("drop_worst", 0.0))
    writer, seconds = Writer(args.out), 0.0
    for number in range(args.passes):
        groups = buckets(rows, settings["batch_s"], rng, settings.get("set_weights"), join_share=settings.get("join_share", 0.0))
        for group in progress(groups, label=f"pass {number + 1}"):
            batch = make_batch(corpus, group, model, tail, augment, generator)
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                writer.add(model.encoder(batch.features), batch)
            seconds += batch.audio_s
            if args.hours and seconds > args.hours * 3600:
                break
    writer.close()
    print(f"{seconds / 3600:.1f} h, {writer.at} frames")


if __name__ == "__main__":
    main()
