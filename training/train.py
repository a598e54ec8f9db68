"""Stage `train`: the neural transducer learns by cross-entropy on the aligned sequence, every token in the block in which it ends.

The block geometry is drawn anew for every batch; sub-frame phones and CTC on the encoder are auxiliary losses.
"""

import argparse
from functools import partial

import torch
from torch.nn import functional as F

from data import frame_targets, skips, step_targets
from loop import Loop, arguments
from model import END_OF_BLOCK, Geometry


def random_geometry(rng, choices):
    block = rng.choice(choices["block"])
    return Geometry(block, rng.choice(choices["look_back"]), rng.choice(choices["look_ahead"]), 3 * block + 2)


def transducer_loss(logits, target, smoothing):
    """Cross-entropy with label smoothing on tokens only, averaged over steps; also its plain part and the share of right steps."""
    known = target >= 0
    count = known.sum()
    logp = F.log_softmax(logits, dim=-1)
    nll = -logp.gather(2, target.clamp(min=0)[..., None])[..., 0]
    smooth = smoothing * (target != END_OF_BLOCK)
    loss = (((1 - smooth) * nll - smooth * logp.mean(dim=-1)) * known).sum() / count
    right = ((logp.argmax(dim=-1) == target) & known).sum() / count
    return loss, ((nll * known).sum() / count).detach(), right


def disturb(previous, share, num_tokens, generator):
    """Some previous tokens become others, so that the network leans on the sound rather than on its own history."""
    hit = (torch.rand(previous.shape, generator=generator) < share) & (previous.cpu() != END_OF_BLOCK)
    other = torch.randint(1, num_tokens, previous.shape, generator=generator)
    return torch.where(hit, other, previous.cpu())


def known_loss(loop, batch, geometry):
    """The loss of what is known to have been said, its parts by name, and the encoder's frames."""
    model, settings = loop.model, loop.settings
    skip = partial(skips, share=settings.get("skip_share", 0.0), rng=loop.rng)
    previous, target, block = step_targets(batch, geometry, loop.frame_s, settings["token_delay_s"], skip=skip)
    previous = disturb(previous, settings["token_noise"], loop.num_tokens, loop.generator)
    device = batch.features.device
    previous, target, block = previous.to(device), target.to(device), block.to(device)
    if loop.args.frames:
        logits = model.from_frames(batch.features, batch.lengths, previous, block, geometry)
        loss, nll, right = transducer_loss(logits, target, settings["label_smoothing"])
        return loss, {"nll": nll, "right": right}, batch.features
    logits, h = model(batch.features, batch.lengths, previous, block, geometry)
    loss, nll, right = transducer_loss(logits, target, settings["label_smoothing"])
    parts = {"nll": nll, "right": right}
    if settings["phone_weight"]:
        phone = model.head(model.phone_head, h)
        wanted = frame_targets(batch, model.aux_targets, loop.frame_s, settings["aux_delay_s"]).to(device)
        aux = F.cross_entropy(phone[:, : wanted.shape[1]].flatten(0, 1), wanted.flatten(), ignore_index=-100)
        loss = loss + settings["phone_weight"] * aux
        parts["phone"] = aux.detach()
    if settings["ctc_weight"]:
        logp = model.head(model.ctc_head, h).log_softmax(dim=-1).transpose(0, 1)
        lengths = torch.tensor([len(t) for t in batch.tokens])
        ctc = F.ctc_loss(logp, torch.cat([torch.from_numpy(t.astype("int64")) for t in batch.tokens]), batch.lengths.cpu() * model.aux_targets,
                         lengths, blank=END_OF_BLOCK, zero_infinity=True)
        loss = loss + settings["ctc_weight"] * ctc
        parts["ctc"] = ctc.detach()
    return loss, parts, h


def main():
    loop = Loop(arguments(argparse.ArgumentParser(description=__doc__)).parse_args(), "train")

    def loss_of(batch):
        loss, parts, _ = known_loss(loop, batch, random_geometry(loop.rng, loop.settings["geometry"]))
        return loss, parts

    loop.train(loss_of, lambda average: loop.greedy_error(average, loop.geometry(), limit=24))


if __name__ == "__main__":
    main()
