"""Stage `pretrain`: the encoder learns the phone of each 20 ms sub-frame by cross-entropy, from forced alignments."""

import argparse

from torch.nn import functional as F

from data import frame_targets
from loop import Loop, arguments


def main():
    loop = Loop(arguments(argparse.ArgumentParser(description=__doc__)).parse_args(), "pretrain")
    model, settings = loop.model, loop.settings

    def loss_of(batch):
        h = model.encoder(batch.features)
        logits = model.head(model.phone_head, h)
        target = frame_targets(batch, model.aux_targets, loop.frame_s, settings["aux_delay_s"]).to(logits.device)
        logits = logits[:, : target.shape[1]]
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100)
        known = target >= 0
        right = ((logits.argmax(dim=-1) == target) & known).sum() / known.sum()
        return loss, {"frames_right": float(right)}

    loop.train(loss_of)


if __name__ == "__main__":
    main()
