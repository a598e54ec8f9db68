"""Stage `export`: a checkpoint -> model folder (config.json, tokens.txt, model.safetensors) that the Rust program loads."""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

TRAINING_ONLY = ("phone_head", "ctc_head")
INT8_MIN_VALUES = 4096


def quantize(weight):
    """Symmetric int8 with one scale an output row: weight [rows, cols] -> int8, scale [rows]."""
    scale = np.abs(weight).max(axis=1) / 127
    scale[scale == 0] = 1.0
    return np.clip(np.rint(weight / scale[:, None]), -127, 127).astype(np.int8), scale.astype(np.float32)


def tensors_of(state, stats, precision):
    """State dict and feature statistics as named arrays in the wanted precision ("f32", "f16" or "int8")."""
    out = {"normalize.mean": np.array(stats["mean"], np.float32), "normalize.inv_std": np.array(stats["inv_std"], np.float32)}
    for name, value in state.items():
        if name.startswith(TRAINING_ONLY):
            continue
        value = value.detach().float().cpu().numpy()
        large = value.ndim == 2 and value.size >= INT8_MIN_VALUES and not name.endswith("position_bias")
        if precision == "int8" and large:
            out[name], out[name + ".scale"] = quantize(value)
        elif precision == "f16" and value.size >= INT8_MIN_VALUES:
            out[name] = value.astype(np.float16)
        else:
            out[name] = value
    return {k: np.ascontiguousarray(v) for k, v in out.items()}


def read_weights(path):
    """The state dict in a model folder's model.safetensors, widened to f32; what only training needs is not in it."""
    tensors = load_file(path)
    out = {}
    for name, value in tensors.items():
        if name.endswith(".scale") or name.startswith("normalize."):
            continue
        scale = tensors.get(name + ".scale")
        value = value.astype(np.float32)
        out[name] = torch.from_numpy(value if scale is None else value * scale[:, None])
    return out


def export(config, state, stats, tokens, folder, precision):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "tokens.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    save_file(tensors_of(state, stats, precision), folder / "model.safetensors")
    (folder / "model.safetensors").chmod(0o644)  # safetensors makes it private


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="cache written by prepare")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--precision", choices=["f32", "f16", "int8"], default="int8")
    parser.add_argument("--raw", action="store_true", help="the last weights instead of their running average")
    parser.add_argument("--config", type=Path, help="recipe file whose model part replaces the checkpoint's (search settings, latency modes)")
    args = parser.parse_args()
    checkpoint = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
    config = json.loads(args.config.read_text(encoding="utf-8"))["model"] if args.config else checkpoint["config"]
    kept = args.out / "config.json"
    if kept.exists():  # what was tuned for this folder stays
        old = json.loads(kept.read_text(encoding="utf-8"))
        config.update({key: old[key] for key in ("search", "confidence", "word_times") if key in old})
    stats = json.loads((args.data / "stats.json").read_text())
    tokens = (args.data / "tokens.txt").read_text().split()
    export(config, checkpoint["model" if args.raw else "average"], stats, tokens, args.out, args.precision)
    digest = hashlib.sha256((args.out / "model.safetensors").read_bytes()).hexdigest()
    print(f"{args.out}: step {checkpoint['step']}, {checkpoint['wall'] / 3600:.2f} h, sha256 {digest}")


if __name__ == "__main__":
    main()
