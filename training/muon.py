"""Muon: the step of every matrix is its momentum made orthogonal (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).

The gates of an LSTM are four matrices stacked, so each is made orthogonal by itself. Steps are scaled to the size AdamW's have
(Liu et al. 2025, arXiv 2502.16982, section 2.2), so that one learning rate serves both.
"""

import torch

# Coefficients of the quintic iteration, from Jordan et al.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonal(matrices, steps=5, dtype=torch.float32):
    """U V^T, roughly, of each matrix U S V^T in `matrices` [n, rows, columns]."""
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[-2] > matrices.shape[-1]
    if matrices.is_cuda:
        x = (matrices.mT if tall else matrices).to(dtype)
        x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
        for _ in range(steps):
            gram = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
        return (x.mT if tall else x).float()
    out = []
    for x in matrices.mT if tall else matrices:  # one by one: on CPUs batched products are slower
        x = x.to(dtype) / (x.norm() + 1e-7)
        for _ in range(steps):
            gram = x @ x.mT
            x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
        out.append((x.mT if tall else x).float())
    return torch.stack(out)


def gates(name, matrix):
    """How many matrices are stacked in a weight: the four gates of an LSTM, else one."""
    return 4 if ("weight_ih" in name or "weight_hh" in name) and matrix.shape[0] % 4 == 0 else 1


def inner(name, parameter):
    """Whether a parameter is a matrix between hidden layers: not an embedding, output layer, bias or convolution."""
    return parameter.ndim == 2 and min(parameter.shape) >= 64 and not any(s in name for s in ("embedding", "output", "head"))


class Muon(torch.optim.Optimizer):
    """`named`: (name, parameter) pairs; weight decay is decoupled, as in AdamW."""

    def __init__(self, named, lr, weight_decay=0.0, momentum=0.95, dtype=torch.float32):
        named = list(named)
        super().__init__([{"params": [p]} for _, p in named], {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self.stacked = [gates(name, p) for name, p in named]
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure=None):
        """Matrices of one shape are made orthogonal together, which is what keeps a GPU busy."""
        shapes = {}
        for group, stacked in zip(self.param_groups, self.stacked):
            (p,) = group["params"]
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state["momentum"] = torch.zeros_like(p)
            state["momentum"].lerp_(p.grad, 1 - group["momentum"])
            ahead = p.grad.lerp(state["momentum"], group["momentum"])
            matrices = ahead.view(stacked, p.shape[0] // stacked, p.shape[1])
            shapes.setdefault(matrices.shape[1:], []).append((group, p, matrices))
        for shape, members in shapes.items():
            size = 0.2 * max(shape) ** 0.5
            made = orthogonal(torch.cat([m for _, _, m in members]), dtype=self.dtype).split([len(m) for _, _, m in members])
            for (group, p, _), update in zip(members, made):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.reshape(p.shape), alpha=-group["lr"] * size)
