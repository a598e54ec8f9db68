"""Several processes, as torchrun starts them, train as one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

TRAINING = Path(__file__).parents[1]
sys.path.insert(0, str(TRAINING))

from golden import tiny_config
from test_training import STILL, small_corpus

EXCHANGE = """
import sys, torch
sys.path.insert(0, {training!r})
from types import SimpleNamespace
from loop import Loop, end_workers, start_workers
rank, world = start_workers()
model = torch.nn.Linear(3, 2)
model.extra = torch.nn.Parameter(torch.zeros(2))
loop = SimpleNamespace(model=model, world=world, device="cpu")
model.weight.grad = torch.full((2, 3), 1.0 + rank)
model.bias.grad = torch.tensor([rank, 4.0])
Loop.share_gradients(loop)
assert model.weight.grad.tolist() == [[1.5] * 3] * 2, model.weight.grad
assert model.bias.grad.tolist() == [0.5, 4.0] and model.extra.grad.tolist() == [0.0, 0.0]
assert Loop.agreed(loop, rank == 1) and not Loop.agreed(loop, False)
end_workers()
"""


def torchrun(*arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--", *map(str, arguments)]
    environment = {**os.environ, "VIVAVOCE_NO_KERNEL": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def test_gradients_are_averaged_and_decisions_shared(tmp_path):
    script = tmp_path / "exchange.py"
    script.write_text(EXCHANGE.format(training=str(TRAINING)))
    done = torchrun(script)
    assert done.returncode == 0, done.stderr


def test_the_stages_of_the_network_run_in_two_processes(tmp_path):
    small_corpus(tmp_path, count=24)
    (tmp_path / "noise.f16").write_bytes(b"")  # training needs no noise recordings
    (tmp_path / "tokens.txt").write_text("\n".join(["<e>"] + [f"t{i}" for i in range(30)]) + "\n")
    model = tiny_config()
    recipe = {"model": model, "training": {
        "seed": 1, "precision": "f32", "dropout": 0.0, "aux_targets": 2, "aux_delay_s": 0.0, "batch_s": 3, "lr": 1e-3, "lr_end": 1e-4, "warmup": 2,
        "weight_decay": 0.0, "clip": 5.0, "average_decay": 0.9, "log_every": 1, "eval_every": 100, "dev_sets": ["s"],
        "augment": {**STILL, "noise_share": 1.0}, "pretrain": {"epochs": 2}}}
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    run = tmp_path / "run"
    done = torchrun(TRAINING / "pretrain.py", "--config", tmp_path / "recipe.json", "--data", tmp_path, "--run", run)
    assert done.returncode == 0, done.stderr
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    state = torch.load(run / "last.pt", weights_only=True)
    assert len(log) == state["step"] > 1 and log[-1]["epoch"] > 0.5
    done = torchrun(TRAINING / "realign.py", "--checkpoint", run / "last.pt", "--data", tmp_path, "--out", tmp_path / "new.npz", "--precision", "f32",
                    "--batch-s", "3")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["utterances"] == 12 and np.load(tmp_path / "new.npz")["end"].shape == (24,)
