"""Stage `label`: the program writes down the utterances of split `unlabelled`, and the network's own sub-frame phones give their times.

Writes OUT (.npz): id, confidence (mean of the words'), text, count of tokens, and all tokens with start and end in a row. Left out are utterances with fewer
than `--min-words` words, those whose phones can't be found in the sound, and those whose words have fewer phones than `--least-share` of what the sub-frames
hold: what a text leaves out, a network would learn to leave out.
"""

import argparse
import json
import multiprocessing
import random
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

from data import Corpus, buckets, make_batch
from export import export
from frame_align import best_paths, spans, states
from lexicon import read_bin
from model import NeuralTransducer
from prepare import TOKEN_ID


def write_down(args, checkpoint, rows):
    """{id: (text, mean confidence)} by the program, at the given latency mode."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        shutil.copytree(args.model, model)
        config = {**checkpoint["config"]}
        kept = json.loads((args.model / "config.json").read_text(encoding="utf-8"))
        config.update({k: kept[k] for k in ("search", "confidence", "word_times") if k in kept})
        stats = json.loads((args.data / "stats.json").read_text())
        export(config, checkpoint["average"], stats, (args.data / "tokens.txt").read_text().split(), model, "int8")
        names = Path(folder) / "names"
        there = {path.stem: path for path in args.audio.iterdir()}
        names.write_text("".join(f"{there[u['id']]}\n" for u in rows if u["id"] in there))
        out = Path(folder) / "out.jsonl"
        command = [args.binary, "transcribe", "--model", model, "--files-from", names, "--format", "jsonl", "--output", out,
                   "--latency", args.latency, "--jobs", str(args.jobs), "--no-endpoints", f"--end-of-block-bias={args.end_of_block_bias}"]
        done = subprocess.run([str(c) for c in command], stderr=subprocess.PIPE, text=True)
        if done.returncode not in (0, 1):
            raise SystemExit(f"{args.binary} failed: {done.stderr[-2000:]}")
        found = {}
        for line in out.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            words = row.get("result") or []
            if len(words) >= args.min_words:
                found[row["id"]] = (row["text"], float(np.mean([w["conf"] for w in words])))
        return found


def pronunciations(path):
    """{word: its likeliest phones} of a lexicon.bin."""
    likeliest = sorted(read_bin(path), key=lambda entry: -entry[1])
    return {word: phones for word, _, phones in likeliest}


def tokens_of(text, spoken):
    """Token ids of a text, the last phone of each word in its word-final form."""
    return np.array([TOKEN_ID[p + "_E" if i + 1 == len(phones) else p] for phones in map(spoken.__getitem__, text.split()) for i, p in enumerate(phones)], np.int16)


def phones_heard(said, lengths):
    """How many phones the likeliest labels of the sub-frames hold: runs of one token, silence (0) not counted. said [B, T], lengths [B]."""
    begins = np.concatenate([np.ones_like(said[:, :1], bool), said[:, 1:] != said[:, :-1]], axis=1)
    inside = np.arange(said.shape[1]) < np.asarray(lengths)[:, None]
    return (begins & inside & (said != 0)).sum(axis=1)


def place(work):
    """Viterbi for one batch: (scores, sub-frames, tokens of each, step, delay, word ends) -> start and end of each, or None."""
    scores, lengths, tokens, step_s, delay_s, ends_word = work
    ways = [states(t, ends_word) for t in tokens]
    out = []
    for (path, _), (_, owner), t in zip(best_paths(scores.astype(np.float32), lengths, [s for s, _ in ways]), ways, tokens):
        out.append(spans(path, owner, step_s, delay_s, len(t)))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True, help="recipe file that it was trained with")
    parser.add_argument("--data", type=Path, required=True, help="cache written by prepare, with utterances of split `unlabelled`")
    parser.add_argument("--audio", type=Path, required=True, help="folder with the sound of those utterances, ID.opus or another format")
    parser.add_argument("--model", type=Path, required=True, help="model folder with lexicon and language model")
    parser.add_argument("--binary", type=Path, default=Path("target/release/vivavoce"))
    parser.add_argument("--latency", default="accurate")
    parser.add_argument("--end-of-block-bias", type=float, default=-2.0, help="lower writes more down")
    parser.add_argument("--least-share", type=float, default=0.85)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--min-words", type=int, default=3)
    parser.add_argument("--prior", type=float, default=0.7, help="share of the phones' log-priors that is taken off")
    args = parser.parse_args()
    settings = json.loads(args.config.read_text(encoding="utf-8"))["training"]
    sub, delay_s = settings["aux_targets"], settings["aux_delay_s"]
    checkpoint = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
    config = checkpoint["config"]
    corpus = Corpus(args.data, config["features"]["num_mel_bins"])
    rows = corpus.split("unlabelled", aligned=False)
    began = time.time()
    found = write_down(args, checkpoint, rows)
    print(f"{len(found)} of {len(rows)} written down in {time.time() - began:.0f} s", flush=True)

    spoken = pronunciations(args.model / "lexicon.bin")
    names = (args.data / "tokens.txt").read_text().split()
    ends_word = [name.endswith("_E") for name in names]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = NeuralTransducer(config, len(names), aux_targets=sub)
    model.load_state_dict({k: v.float() for k, v in checkpoint["average"].items()})
    model.to(device).eval()
    step_s = model.subsampling * config["features"]["frame_shift_ms"] / 1000 / sub
    tail = int(config["streaming"]["tail_padding_ms"] / config["features"]["frame_shift_ms"])
    lasting = np.zeros(len(names))
    np.add.at(lasting, corpus.token, corpus.end - corpus.start)
    speech_s = sum(u["frames"] for u in corpus.utterances if u["tokens"]) * 0.01
    lasting[0] = max(speech_s - lasting.sum(), 0.05 * speech_s)
    log_prior = np.log(np.maximum(lasting, 1.0) / lasting.sum()).astype(np.float32)

    rows = [u for u in rows if u["id"] in found and all(w in spoken for w in found[u["id"]][0].split())]
    kept = {"id": [], "confidence": [], "text": [], "count": [], "token": [], "start": [], "end": []}
    with ProcessPoolExecutor(args.jobs, multiprocessing.get_context("spawn")) as pool:
        pending = []
        for group in buckets(rows, 160, random.Random(1)):
            batch = make_batch(corpus, group, model, tail)
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
                logits = model.head(model.phone_head, model.encoder(batch.features.to(device)))
            scores = (logits.float().log_softmax(dim=-1).cpu().numpy() - args.prior * log_prior).astype(np.float16)
            tokens = [tokens_of(found[u["id"]][0], spoken) for u in group]
            heard = phones_heard(logits.argmax(dim=-1).cpu().numpy(), batch.lengths.numpy() * sub)
            whole = [len(t) >= args.least_share * n for t, n in zip(tokens, heard)]
            pending.append((group, tokens, whole, pool.submit(place, (scores, batch.lengths.numpy() * sub, tokens, step_s, delay_s, ends_word))))
        for group, tokens, whole, result in pending:
            for u, t, complete, times in zip(group, tokens, whole, result.result()):
                if times is None or not complete:
                    continue
                kept["id"].append(u["id"]), kept["text"].append(found[u["id"]][0]), kept["confidence"].append(found[u["id"]][1])
                kept["count"].append(len(t)), kept["token"].append(t), kept["start"].append(times[0]), kept["end"].append(times[1])
    joined = {k: np.concatenate(kept[k]) if kept[k] else np.zeros(0) for k in ("token", "start", "end")}
    partial = args.out.with_name("partial-" + args.out.name)
    np.savez(partial, id=np.array(kept["id"]), text=np.array(kept["text"]), confidence=np.array(kept["confidence"]), count=np.array(kept["count"], np.int64),
             token=joined["token"].astype(np.int16), start=joined["start"].astype(np.float32), end=joined["end"].astype(np.float32))
    partial.replace(args.out)
    print(f"{len(kept['id'])} kept, {len(joined['token'])} tokens, {time.time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
