"""Stage `golden`: tiny seeded models with the output of every stage, for the Rust tests (tests/golden/CASE/).

With `--check` nothing is written: the files are made again and compared.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from export import tensors_of
from features import FeatureConfig, LogMel
from model import END_OF_BLOCK, Geometry, NeuralTransducer, alignment

UTTERANCES = 20
FEW_UTTERANCES = 4
TOKENS_A_BLOCK = 1.7
ROUNDS = 12


def tiny_config(**changes):
    config = {
        "format_version": 1, "name": "tiny", "language": "en", "units": "bpe",
        "features": {"sample_rate_hz": 16000, "frame_length_ms": 25.0, "frame_shift_ms": 10.0, "num_mel_bins": 16,
                     "fft_size": 512, "low_hz": 20.0, "high_hz": 7600.0, "log_floor": 1e-7},
        "encoder": {"frontend": {"type": "conv", "channels": [4, 6], "stack": 2}, "dim": 24, "num_layers": 2},
        "transducer": {"embedding_dim": 10, "state_dim": 20, "state_layers": 1, "emit_dim": 18, "emit_layers": 1, "input_feeding": False},
        "attention": {"score": "scaled_dot", "dim": 16, "num_heads": 2, "max_positions": 12},
        "latency_modes": {
            "low": {"block_frames": 1, "look_back_frames": 4, "look_ahead_frames": 0, "max_tokens_per_block": 4},
            "balanced": {"block_frames": 3, "look_back_frames": 4, "look_ahead_frames": 2, "max_tokens_per_block": 6},
        },
        "default_latency": "balanced",
        "streaming": {"tail_padding_ms": 160.0},
        "search": {"beam_size": 4, "lm_weight": 0.0, "word_bonus": 0.0, "end_of_block_bias": 0.0, "prune_log_prob": 100.0},
    }
    for key, value in changes.items():
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    return config


CASES = {
    "plain": (7, tiny_config()),
    "feeding": (8, tiny_config(transducer={"input_feeding": True, "state_layers": 2, "emit_layers": 2})),
    "linear": (9, tiny_config(encoder={"frontend": {"type": "linear", "input_dim": 16}})),
    "wide": (10, tiny_config(encoder={"frontend": {"type": "conv", "channels": [8, 8], "stack": 1}, "dim": 40, "num_layers": 3},
                             transducer={"state_dim": 40, "emit_dim": 36}, attention={"dim": 32, "num_heads": 4})),
}
FULL = tuple(CASES)
# Every kind of attention, as small as can be.
KINDS = {
    "dot": {"score": "dot"}, "general": {"score": "general"}, "cosine": {"score": "cosine"}, "additive": {"score": "additive"},
    "concat": {"score": "concat"}, "location": {"score": "location"}, "latent": {"score": "latent"}, "hard": {"mix": "hard"}, "last": {"mix": "last"},
    "area": {"mix": "area"}, "area-std-sum": {"mix": "area", "area_key": "mean_std", "area_value": "sum"}, "recurrent": {"mix": "recurrent"},
    "recurrent-location": {"mix": "recurrent", "score": "location"}, "predictive": {"mix": "predictive", "score": "general"},
    "hops": {"hops": 3}, "no-bias": {"max_positions": 0},
}
SMALL = {"encoder": {"frontend": {"type": "linear", "input_dim": 16}, "dim": 16, "num_layers": 1}, "transducer": {"state_dim": 16, "emit_dim": 16}}
CASES |= {f"attention-{kind}": (20 + i, tiny_config(**SMALL, attention=changes)) for i, (kind, changes) in enumerate(KINDS.items())}
CASES["no-carry"] = (50, tiny_config(**{**SMALL, "transducer": {**SMALL["transducer"], "carry_state": False}}))
CASES["self-attention"] = (51, tiny_config(encoder={"self_attention": {"num_layers": 2, "num_heads": 2, "left_frames": 5}}))
CASES["fine-layers"] = (52, tiny_config(encoder={"fine_layers": {"dim": 16, "num_layers": 2}}))
CONTEXT = {"running_mean": {"prior_frames": 20.0, "horizon_frames": 50.0},
           "context_layers": {"dim": 16, "hidden_dim": 24, "offsets": [[-1, 0, 1], [-2, 0], [-3, 0, 1]]}}
CASES["context-layers"] = (53, tiny_config(encoder=CONTEXT))
CASES["limited-history"] = (60, tiny_config(encoder=CONTEXT, transducer={"history": 4}))
TOKENS = ["<e>"] + [("▁" if i % 3 == 0 else "") + chr(ord("a") + i) for i in range(11)]


def sounds(rng):
    """Bursts of harmonic tones and noise, 0.3 to 1.2 s."""
    n = int(4800 + 14400 * rng.random() ** 3)  # most are short, so that the files stay small
    t = np.arange(n) / 16000
    x = np.zeros(n)
    for _ in range(6):
        start, length = rng.uniform(0, n / 16000), rng.uniform(0.05, 0.4)
        inside = (t >= start) & (t < start + length)
        pitch = rng.uniform(90, 250)
        for k in range(1, 12):
            x += inside * rng.uniform(0, 0.2) * np.sin(2 * np.pi * pitch * k * t + rng.uniform(0, 6.28))
    return (x + rng.normal(0, 0.002, n)).clip(-1, 1).astype(np.float32)


def extract(config, stats, samples):
    """Samples with the tail padding of a stream's end -> normalised frames [T, mel]."""
    f = FeatureConfig(**config["features"])
    padded = np.concatenate([samples, np.zeros(int(config["streaming"]["tail_padding_ms"] * f.sample_rate_hz / 1000), np.float32)])
    x = LogMel(f)(torch.from_numpy(padded))
    return (x - torch.tensor(stats["mean"])) * torch.tensor(stats["inv_std"])


@torch.no_grad()
def spread_logits(model, utterances, geometry, rng):
    """Sets the output layer so that greedy search emits many different tokens, about TOKENS_A_BLOCK in each block."""
    seen = []
    model.transducer.output.bias.zero_()
    for features in utterances:
        lengths = torch.tensor([model.num_frames(len(features))])
        steps = 3 * int(lengths)
        previous = torch.from_numpy(rng.integers(0, len(TOKENS), (1, steps)))
        block = torch.arange(steps)[None] // (3 * geometry.block)
        seen.append(model(features[None], lengths, previous, block, geometry)[0][0])
    seen = torch.cat(seen)  # [steps, V]
    scale = 3.0 / seen.std(dim=0)
    model.transducer.output.weight.mul_(scale[:, None])
    model.transducer.output.bias.copy_(-seen.mean(dim=0) * scale)
    wanted = TOKENS_A_BLOCK * sum(-(-len(f) // model.subsampling // geometry.block) for f in utterances)
    for _ in range(ROUNDS):
        counts = torch.zeros(len(TOKENS))
        for features in utterances:
            for token, _ in model.greedy(features[None], torch.tensor([model.num_frames(len(features))]), geometry)[0]:
                counts[token] += 1
        share = (counts[1:] + 1) / (counts[1:] + 1).mean()
        model.transducer.output.bias[1:] -= 0.3 * share.log()
        model.transducer.output.bias[END_OF_BLOCK] += 0.5 * torch.log((counts.sum() + 1) / wanted).clamp(-1, 1)


def make_case(seed, config, utterances):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    model = NeuralTransducer(config, len(TOKENS)).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.add_(torch.from_numpy(rng.normal(0, 0.05, p.shape).astype(np.float32)))
            if name.startswith("transducer.") and p.ndim > 1:
                p.mul_(2.0)
    mel = config["features"]["num_mel_bins"]
    stats = {"mean": rng.normal(-4, 0.5, mel).astype(np.float32).tolist(), "inv_std": rng.uniform(0.2, 0.4, mel).astype(np.float32).tolist()}
    geometry = Geometry.from_config(config["latency_modes"]["balanced"])
    conv = config["encoder"]["frontend"]["type"] == "conv"
    few = utterances == FEW_UTTERANCES
    probes = [extract(config, stats, sounds(rng))[: 60 if few and not conv else 200] for _ in range(3 if few else 8)]
    spread_logits(model, probes, geometry, rng)
    golden = {}
    for i in range(utterances):
        samples = sounds(rng)
        features = extract(config, stats, samples)
        if not conv:
            features = features[:60]
        lengths = torch.tensor([model.num_frames(len(features))])
        found = model.greedy(features[None], lengths, geometry)[0]
        key = "" if i == 0 else f".{i}"
        if conv:
            golden["samples" + key] = samples
        if conv and i > 0:
            golden["greedy" + key] = np.array([t for t, _ in found], np.int64)
            continue
        golden["features" + key] = features.numpy()
        golden["greedy" + key] = np.array([t for t, _ in found], np.int64)
        if i > 0:
            continue
        with torch.no_grad():
            h = model.encoder(features[None])
            keys, values = model.transducer.attention.project(h)
            n = int(lengths[0])
            count = n // 2
            tokens = rng.integers(1, len(TOKENS), count)
            ends = np.sort(rng.uniform(0, n * 0.08, count))
            y, block = alignment(tokens, ends, n, 0.08, geometry)
            previous = torch.tensor([[END_OF_BLOCK] + y[:-1]])
            logits, context, _, _ = model.transducer.run(previous, keys, values, torch.tensor([block]), geometry, lengths,
                                                         model.transducer.start(1))
            unheard = model.transducer.internal_lm(previous, keys, values, torch.tensor([block]), geometry, lengths)
        golden.update(encoder=h[0, :n].numpy(), tokens=np.array(y, np.int64), context=context[0].numpy(),
                      log_probs=logits[0].log_softmax(dim=-1).numpy(), internal_lm=unheard[0].log_softmax(dim=-1)[:, END_OF_BLOCK + 1 :].numpy())
    return config, tensors_of(model.state_dict(), stats, "f32"), {k: np.ascontiguousarray(v) for k, v in golden.items()}


def compare(case, name, got, expected):
    if got.keys() != expected.keys():
        raise SystemExit(f"golden {case}/{name}: other tensors: {sorted(got.keys() ^ expected.keys())}")
    for key in got:
        a, b = got[key], expected[key]
        if a.shape != b.shape or (a.dtype == np.int64 and not np.array_equal(a, b)):
            raise SystemExit(f"golden {case}/{name}: {key} differs")
        if a.size and a.dtype != np.int64 and np.abs(a.astype(np.float64) - b).max() > 1e-4:
            raise SystemExit(f"golden {case}/{name}: {key} differs by {np.abs(a - b).max()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "tests" / "golden")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for case, (seed, config) in CASES.items():
        folder = args.out / case
        utterances = UTTERANCES if case in FULL else FEW_UTTERANCES
        config, weights, golden = make_case(seed, config, utterances)
        if args.check:
            if json.loads((folder / "config.json").read_text()) != config:
                raise SystemExit(f"golden {case}/config.json differs")
            compare(case, "model", weights, load_file(folder / "model.safetensors"))
            compare(case, "golden", golden, load_file(folder / "golden.safetensors"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
            (folder / "tokens.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
            save_file(weights, folder / "model.safetensors")
            save_file(golden, folder / "golden.safetensors")
        emitted = sum(len(v) for k, v in golden.items() if k.startswith("greedy"))
        different = len({int(t) for k, v in golden.items() if k.startswith("greedy") for t in v})
        print(f"{case}: {utterances} utterances, {emitted} greedy tokens, {different} different", file=sys.stderr)


if __name__ == "__main__":
    main()
