"""An LSTM layer with the parameters of `torch.nn.LSTM`, faster to train on CPUs whose matrix units take bf16.

The C++ kernel is compiled at the first use; where it can't be, or where the precision is f32 or the device a GPU, the layer is
`torch.nn.LSTM` itself.
"""

import functools
import os
import sys
from pathlib import Path

import torch
from torch import nn


@functools.cache
def kernel():
    if os.environ.get("VIVAVOCE_NO_KERNEL"):
        return None
    try:
        from torch.utils.cpp_extension import load

        # An environment that was not activated has its programs beside Python.
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

        return load("vivavoce_lstm", [str(Path(__file__).with_name("lstm_kernel.cpp"))],
                    extra_cflags=["-O3", "-march=native", "-ffast-math", "-fopenmp-simd", "-mprefer-vector-width=512"], extra_ldflags=["-lmvec", "-lm"])
    except Exception as error:
        print(f"LSTM kernel not built, torch.nn.LSTM is used instead: {error}", file=sys.stderr)
        return None


class Layer(torch.autograd.Function):
    """x [T, B, I], weights as in torch.nn.LSTM -> h [T, B, H], last h and c [B, H]."""

    @staticmethod
    def forward(ctx, x, w_ih, w_hh, bias, h0, c0):
        steps, batch, _ = x.shape
        x = x.to(torch.bfloat16).contiguous()
        w_ih, w_hh = w_ih.to(torch.bfloat16), w_hh.to(torch.bfloat16)
        h0, c0 = h0.to(torch.bfloat16).contiguous(), c0.float().contiguous()
        z = torch.addmm(bias.to(torch.bfloat16), x.view(steps * batch, -1), w_ih.t()).view(steps, batch, -1)
        h, act, c = kernel().forward(z, w_hh.t().contiguous(), h0, c0)
        ctx.save_for_backward(x, w_ih, w_hh, h0, h, act, c)
        return h, c[-1].clone()

    @staticmethod
    def backward(ctx, grad_h, _grad_c):
        x, w_ih, w_hh, h0, h, act, c = ctx.saved_tensors
        steps, batch, width = x.shape
        dz, dh0, dc0 = kernel().backward(grad_h.to(torch.bfloat16).contiguous(), act, c, w_hh)
        flat = dz.view(steps * batch, -1)
        dx = (flat @ w_ih).view(steps, batch, width)
        turned, dbias = kernel().transpose(flat)  # [4H, T * B]
        dw_ih = turned @ x.view(steps * batch, width)
        dw_hh = turned[:, batch:] @ h[:-1].view((steps - 1) * batch, -1) + turned[:, :batch] @ h0
        return dx, dw_ih.float(), dw_hh.float(), dbias, dh0, dc0


class LSTM(nn.LSTM):
    """One layer, one direction.

    The fast path does not carry gradients through the final cell state, so single steps, whose states go on to the next (input feeding),
    never take it.
    """

    def forward(self, x, state=None):
        steps = x.shape[1 if self.batch_first else 0]
        fast = self.training and steps > 1 and torch.is_autocast_enabled("cpu") and x.device.type == "cpu" and kernel() is not None
        if not fast:
            return super().forward(x, state)
        if self.batch_first:
            x = x.transpose(0, 1)
        if state is None:
            zeros = x.new_zeros(x.shape[1], self.hidden_size)
            state = (zeros[None], zeros[None])
        with torch.autocast("cpu", enabled=False):
            h, c = Layer.apply(x, self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0 + self.bias_hh_l0, state[0][0], state[1][0])
        last = (h[-1:], c[None])
        return (h.transpose(0, 1) if self.batch_first else h), last
