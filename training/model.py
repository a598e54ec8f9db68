"""The neural transducer in PyTorch; equations and names as in docs/model-format.md. Shapes stand in the trailing comments.

B utterances, T feature frames, U encoder frames, S transducer steps (tokens and end-of-block symbols), V tokens.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from attention import Attention
from lstm import LSTM

END_OF_BLOCK = 0


@dataclass(frozen=True)
class Geometry:
    """One block geometry, in encoder frames; `max_tokens` is the paper's M."""

    block: int
    look_back: int
    look_ahead: int
    max_tokens: int

    @staticmethod
    def from_config(mode):
        return Geometry(mode["block_frames"], mode["look_back_frames"], mode["look_ahead_frames"], mode["max_tokens_per_block"])


class ConvFrontend(nn.Module):
    def __init__(self, channels, stack):
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels[0], 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(channels[0], channels[1], 3, stride=2, padding=1)
        self.stack = stack
        self.factor = 4 * stack

    def output_dim(self, mel):
        return self.conv2.out_channels * (mel // 4) * self.stack

    def forward(self, x):  # [B, T, mel]
        """Output t of each convolution sees the inputs 2t - 1 to 2t + 1; the one past the end that padding adds to an odd length is cut."""
        x = x[:, : x.shape[1] // 4 * 4] if x.shape[1] % 4 else x
        x = x.unsqueeze(1).contiguous(memory_format=torch.channels_last)  # three times as fast on CPUs
        x = F.relu(self.conv1(x))  # [B, C1, T/2, mel/2]
        x = F.relu(self.conv2(x))  # [B, C2, T/4, mel/4]
        x = x.transpose(1, 2).flatten(2)  # [B, T/4, C2*mel/4]
        n = x.shape[1] // self.stack
        return x[:, : n * self.stack].reshape(x.shape[0], n, -1)  # [B, U, stack*C2*mel/4]


class RunningMean(nn.Module):
    """Takes from every frame the mean of those so far: sum / (count + prior), both fading by 1 - 1 / horizon a frame.

    What a microphone and a room do to all frames alike goes with it, as far as it has been heard.
    """

    CHUNK = 128

    def __init__(self, config):
        super().__init__()
        self.prior, self.fade = config["prior_frames"], 1 - 1 / config["horizon_frames"]

    @torch.no_grad()
    def forward(self, x):  # [B, T, mel]
        x = x.float()
        ago = torch.arange(self.CHUNK, device=x.device)
        ago = ago[:, None] - ago
        within = torch.where(ago >= 0, self.fade ** ago.clamp(min=0), 0.0)  # [chunk, chunk]
        total, out = x.new_zeros(len(x), 1, x.shape[2]), []
        count = (1 - self.fade ** torch.arange(1, x.shape[1] + 1, device=x.device)) / (1 - self.fade)
        with torch.autocast(x.device.type, enabled=False):
            for part in x.split(self.CHUNK, dim=1):
                n = part.shape[1]
                sums = within[:n, :n] @ part + self.fade ** torch.arange(1, n + 1, device=x.device)[:, None] * total
                total = sums[:, -1:]
                out.append(sums)
        return x - torch.cat(out, dim=1) / (count[:, None] + self.prior)


class SharedDropout(nn.Module):
    """Dropout whose mask is the same at every step of a sequence (Gal and Ghahramani 2016), along `time`."""

    def __init__(self, share, time):
        super().__init__()
        self.share, self.time = share, time

    def forward(self, x):
        if not self.training or self.share == 0:
            return x
        shape = [1 if i == self.time else n for i, n in enumerate(x.shape)]
        return x * torch.empty(shape, dtype=x.dtype, device=x.device).bernoulli_(1 - self.share).div_(1 - self.share)


class LinearFrontend(nn.Module):
    factor = 1

    def forward(self, x):
        return x


class EncoderLayer(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.lstm = LSTM(dim, dim, batch_first=False)


class ContextLayer(nn.Module):
    """A residual layer that sees frames around its own: those at `offsets`, zeros before the start and beyond the end."""

    def __init__(self, dim, hidden_dim, offsets):
        super().__init__()
        self.offsets = offsets
        self.norm = nn.LayerNorm(dim)
        self.inner = nn.Linear(len(offsets) * dim, hidden_dim)
        self.outer = nn.Linear(hidden_dim, dim)

    def forward(self, x):  # [N, B, F]
        left, right = max(0, -min(self.offsets)), max(0, max(self.offsets))
        y = F.pad(self.norm(x), (0, 0, 0, 0, left, right))
        seen = torch.cat([y[left + o : left + o + len(x)] for o in self.offsets], dim=-1)
        return self.outer(F.relu(self.inner(seen)))


class SelfAttention(nn.Module):
    """A residual layer in which every frame looks at itself and the `left_frames` before it; positions as a learnt bias."""

    def __init__(self, dim, config):
        super().__init__()
        self.heads, self.left = config["num_heads"], config["left_frames"]
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.position_bias = nn.Parameter(torch.zeros(self.heads, self.left + 1))  # by how many frames ago

    def forward(self, x):  # [U, B, D]
        u, b, d = x.shape
        q, k, v = self.qkv(self.norm(x)).view(u, b, 3, self.heads, d // self.heads).permute(2, 1, 3, 0, 4)  # [B, H, U, D / H] each
        frame = torch.arange(u, device=x.device)
        ago = frame[:, None] - frame
        seen = (ago >= 0) & (ago <= self.left)
        energy = (q @ k.transpose(2, 3)).float() / math.sqrt(d // self.heads) + self.position_bias[:, ago.clamp(0, self.left)]
        weights = energy.masked_fill(~seen, float("-inf")).softmax(dim=-1)
        return self.out((weights.to(v.dtype) @ v).permute(2, 0, 1, 3).reshape(u, b, d))


class Encoder(nn.Module):
    def __init__(self, config, mel, dropout):
        super().__init__()
        front = config["frontend"]
        if front["type"] == "conv":
            self.frontend = ConvFrontend(front["channels"], front["stack"])
            width = self.frontend.output_dim(mel)
        else:
            self.frontend = LinearFrontend()
            width = front["input_dim"]
        self.running_mean = RunningMean(config["running_mean"]) if config.get("running_mean") else nn.Identity()
        context, lag = config.get("context_layers"), 0
        if context:  # at the rate of the front end, before its frames are joined
            assert front["type"] == "conv", "context layers stand between a convolution and the joining of its frames"
            self.context_input = nn.Linear(width // front["stack"], context["dim"])
            self.context_layers = nn.ModuleList(ContextLayer(context["dim"], context["hidden_dim"], o) for o in context["offsets"])
            self.context_norm = nn.LayerNorm(context["dim"])
            later = sum(max(0, max(o)) for o in context["offsets"])  # frames of the front end
            assert later % front["stack"] == 0, "context layers look ahead a whole number of encoder frames"
            lag = later // front["stack"]
            width = context["dim"] * front["stack"]
        self.lag = lag  # frames whose sound has come, but not all of the sound after it that they depend on
        self.input = nn.Linear(width, config["dim"])
        fine = config.get("fine_layers")
        if fine:  # at the rate of the front end, before its frames are joined
            assert front["type"] == "conv", "fine layers stand between a convolution and the joining of its frames"
            self.fine_input = nn.Linear(width // front["stack"], fine["dim"])
            self.fine_layers = nn.ModuleList(EncoderLayer(fine["dim"]) for _ in range(fine["num_layers"]))
            self.fine_norm = nn.LayerNorm(fine["dim"])
            self.fine_output = nn.Linear(fine["dim"] * front["stack"], config["dim"], bias=False)
        self.layers = nn.ModuleList(EncoderLayer(config["dim"]) for _ in range(config["num_layers"]))
        attention = config.get("self_attention", {"num_layers": 0})
        self.self_attention = nn.ModuleList(SelfAttention(config["dim"], attention) for _ in range(attention["num_layers"]))
        self.norm = nn.LayerNorm(config["dim"])
        self.dropout = SharedDropout(dropout, 0)

    def recur(self, layers, x):  # [U, B, D]
        for layer in layers:
            y, _ = layer.lstm(self.dropout(layer.norm(x)))
            x = x + self.dropout(y)
        return x

    def below(self, x):  # [B, T, mel] normalised
        """Front end and context layers: what the recurrent layers see, [B, U, W]."""
        joined = self.frontend(self.running_mean(x))
        if hasattr(self, "context_layers"):
            stack = self.frontend.stack
            z = self.context_input(joined.view(joined.shape[0], joined.shape[1] * stack, -1)).transpose(0, 1).contiguous()  # [U * stack, B, F]
            for layer in self.context_layers:
                z = z + self.dropout(layer(z))
            joined = self.context_norm(z).transpose(0, 1).reshape(joined.shape[0], joined.shape[1], -1)
        return joined

    def above(self, joined):  # [B, U, W]
        """The recurrent layers: [B, U - lag, D]."""
        x = self.input(joined).transpose(0, 1).contiguous()  # [U, B, D]
        if hasattr(self, "fine_layers"):
            stack = self.frontend.stack
            z = self.fine_input(joined.view(joined.shape[0], joined.shape[1] * stack, -1)).transpose(0, 1).contiguous()  # [U * stack, B, F]
            z = self.fine_norm(self.recur(self.fine_layers, z))
            z = z.view(-1, stack, *z.shape[1:]).transpose(1, 2).flatten(2)  # [U, B, stack * F]
            x = x + self.fine_output(z)
        x = self.recur(self.layers, x)
        for layer in self.self_attention:
            x = x + self.dropout(layer(x))
        return self.norm(x[: len(x) - self.lag]).transpose(0, 1)

    def forward(self, x):  # [B, T, mel] normalised -> [B, U - lag, D]
        return self.above(self.below(x))


class Transducer(nn.Module):
    def __init__(self, config, attention, num_tokens, encoder_dim, dropout):
        super().__init__()
        self.input_feeding, self.carry_state = config["input_feeding"], config.get("carry_state", True)
        assert self.carry_state or not self.input_feeding, "contexts are fed back only where states are carried on"
        e, s, p, a = config["embedding_dim"], config["state_dim"], config["emit_dim"], attention["dim"]
        self.embedding = nn.Embedding(num_tokens, e)
        width = e + (a if self.input_feeding else 0)
        self.history = config.get("history", 0)  # tokens, the ends of blocks among them, that are all that is known; 0: an LSTM knows all
        assert not (self.history and (self.input_feeding or not self.carry_state)), "a limited history feeds nothing back and begins nothing anew"
        states, emits = (0, 0) if self.history else (config["state_layers"], config["emit_layers"])
        self.state_rnn = nn.ModuleList(LSTM(width if i == 0 else s, s, batch_first=True) for i in range(states))
        self.attention = Attention(attention, s, encoder_dim)
        self.emit_rnn = nn.ModuleList(LSTM(a + s if i == 0 else p, p, batch_first=True) for i in range(emits))
        if self.history:
            self.state_net, self.emit_net = nn.Linear(self.history * e, s), nn.Linear(a + s, p)
        self.output = nn.Linear(p, num_tokens)
        self.dropout = SharedDropout(dropout, 1)
        self.context_dim = a

    def start(self, batch, device=None):
        """State before the first step: per LSTM (h, c), the previous context, and what attention keeps (None: nothing yet)."""
        zeros = lambda rnn: (torch.zeros(1, batch, rnn.hidden_size, device=device), torch.zeros(1, batch, rnn.hidden_size, device=device))
        return {"state": [zeros(r) for r in self.state_rnn], "emit": [zeros(r) for r in self.emit_rnn],
                "context": torch.zeros(batch, 1, self.context_dim, device=device), "attention": None,
                "history": torch.full((batch, max(0, self.history - 1)), END_OF_BLOCK, device=device)}

    def internal_lm(self, previous, keys, values, block, geometry, lengths, end_of_block=END_OF_BLOCK):
        """Logits [B, S, V] of every step had nothing been heard in it, the end of the block ruled out: what the network makes of the
        tokens alone (internal language model estimation, Meng et al. 2021)."""
        state, logits = self.start(len(previous), previous.device), []
        for m in range(previous.shape[1]):
            step = previous[:, m : m + 1], keys, values, block[:, m : m + 1], geometry, lengths, state
            logits.append(self.run(*step, heard=False)[0])
            state = self.run(*step)[3]
        logits = torch.cat(logits, dim=1)
        logits[..., end_of_block] = -torch.inf
        return logits

    def run(self, previous, keys, values, block, geometry, lengths, state, heard=True):
        """Steps over previous tokens [B, S] with the block of each step [B, S]; one call for all steps unless contexts are fed back. Where
        nothing is `heard`, contexts are zeros: for single steps."""
        if self.history:
            return self.run_limited(previous, keys, values, block, geometry, lengths, state, heard)
        x = self.dropout(self.embedding(previous))  # [B, S, E]
        if self.input_feeding and x.shape[1] > 1:
            parts = []
            for m in range(x.shape[1]):
                logits, context, weights, state = self.run_embedded(x[:, m : m + 1], keys, values, block[:, m : m + 1], geometry, lengths, state)
                parts.append((logits, context, weights))
            logits, context, weights = (torch.cat([p[i] for p in parts], dim=2 if i == 2 else 1) for i in range(3))
            return logits, context, weights, state
        return self.run_embedded(x, keys, values, block, geometry, lengths, state, previous, heard)

    def run_limited(self, previous, keys, values, block, geometry, lengths, state, heard=True):
        """The same where the last `history` tokens are all that is known of what was said."""
        steps = previous.shape[1]
        told = torch.cat([state["history"], previous], dim=1)
        x = torch.stack([self.embedding(told[:, i : i + steps]) for i in range(self.history)], dim=2).flatten(2)  # [B, S, history * E]
        x = self.dropout(F.relu(self.state_net(self.dropout(x))))
        context, weights, kept = self.attention(x, keys, values, block, geometry, lengths, state.get("attention"))
        context = context if heard else torch.zeros_like(context)
        x = self.dropout(F.relu(self.emit_net(torch.cat([self.dropout(context), x.to(context.dtype)], dim=-1))))
        new = {**state, "history": told[:, steps:], "attention": kept, "context": context[:, -1:]}
        return self.output(x).float(), context, weights, new  # logits [B, S, V]

    def recur(self, rnn, x, hc, block, previous):
        """An LSTM over the steps; where states are not carried on, it starts anew in every block."""
        if self.carry_state:
            return rnn(x, hc)
        if x.shape[1] == 1:
            fresh = (previous[:, 0] == END_OF_BLOCK)[None, :, None]
            return rnn(x, tuple(torch.where(fresh, 0.0, v) for v in hc))
        # Every block a sequence of its own; those of as many steps together. Steps beyond the end stand alone.
        begins = torch.cat([torch.ones_like(block[:, :1], dtype=torch.bool), (block[:, 1:] != block[:, :-1]) | (block[:, 1:] < 0)], dim=1)
        start = begins.flatten().nonzero()[:, 0]
        width = torch.diff(start, append=start.new_tensor([begins.numel()]))
        flat = x.flatten(0, 1)
        steps, parts = [], []
        for w in width.unique().tolist():
            index = start[width == w][:, None] + torch.arange(w, device=x.device)  # [blocks, w]
            y, hc = rnn(flat[index])
            steps.append(index.flatten()), parts.append(y.flatten(0, 1))
        parts = torch.cat(parts)
        return torch.empty_like(parts).index_copy(0, torch.cat(steps), parts).view(*x.shape[:2], -1), hc

    def run_embedded(self, x, keys, values, block, geometry, lengths, state, previous=None, heard=True):
        new = {"state": [], "emit": [], "history": state["history"]}
        if self.input_feeding:
            x = torch.cat([state["context"].to(x.dtype), x], dim=-1)
        for rnn, hc in zip(self.state_rnn, state["state"]):
            x, hc = self.recur(rnn, x, hc, block, previous)
            new["state"].append(hc)
            x = self.dropout(x)
        context, weights, new["attention"] = self.attention(x, keys, values, block, geometry, lengths, state.get("attention"))
        context = context if heard else torch.zeros_like(context)
        new["context"] = context[:, -1:]
        x = torch.cat([self.dropout(context), x.to(context.dtype)], dim=-1)
        for rnn, hc in zip(self.emit_rnn, state["emit"]):
            x, hc = self.recur(rnn, x, hc, block, previous)
            new["emit"].append(hc)
            x = self.dropout(x)
        return self.output(x).float(), context, weights, new  # logits [B, S, V]


class NeuralTransducer(nn.Module):
    """`config` is the content of config.json; `aux_targets` sub-frame phone targets a frame train the encoder (0: no such head)."""

    def __init__(self, config, num_tokens, dropout=0.0, aux_targets=0, transducer_dropout=None):
        super().__init__()
        self.config = config
        self.num_tokens = num_tokens
        self.encoder = Encoder(config["encoder"], config["features"]["num_mel_bins"], dropout)
        self.transducer = Transducer(config["transducer"], config["attention"], num_tokens, config["encoder"]["dim"],
                                     dropout if transducer_dropout is None else transducer_dropout)
        self.aux_targets = aux_targets
        if aux_targets:
            self.phone_head = nn.Linear(config["encoder"]["dim"], aux_targets * num_tokens)
            self.ctc_head = nn.Linear(config["encoder"]["dim"], aux_targets * num_tokens)
        self.init_parameters()

    def init_parameters(self):
        for name, p in self.named_parameters():
            if "lstm" in name or "_rnn." in name:
                if "weight" in name:
                    nn.init.uniform_(p, -1 / math.sqrt(p.shape[1]), 1 / math.sqrt(p.shape[1]))
                else:
                    nn.init.zeros_(p)
                    if "bias_ih" in name:
                        p.data[p.shape[0] // 4 : p.shape[0] // 2] = 1.0  # forget gate open at the start
            elif name == "encoder.fine_output.weight":
                nn.init.zeros_(p)  # they can be added to a trained encoder

    @property
    def subsampling(self):
        return self.encoder.frontend.factor

    def num_frames(self, features):
        """Encoder frames of so many feature frames."""
        return features // self.subsampling - self.encoder.lag

    def forward(self, features, lengths, previous, block, geometry):
        """features [B, T, mel]; lengths [B] encoder frames; previous, block [B, S] -> logits [B, S, V], h [B, U, D]."""
        h = self.encoder(features)
        return self.from_frames(h, lengths, previous, block, geometry), h

    def from_frames(self, h, lengths, previous, block, geometry):
        """The logits of encoder frames h [B, U, D]."""
        keys, values = self.transducer.attention.project(h)
        state = self.transducer.start(len(h), h.device)
        return self.transducer.run(previous, keys, values, block, geometry, lengths, state)[0]

    def head(self, head, h):
        """Sub-frame logits: [B, U, D] -> [B, U * aux_targets, V]."""
        return head(h).float().view(h.shape[0], h.shape[1] * self.aux_targets, self.num_tokens)

    def greedy(self, features, lengths, geometry, bias=0.0):
        """Arg-max tokens of each utterance (without `<e>`), with the block each was emitted in."""
        with torch.no_grad():
            return self.greedy_from(self.encoder(features), lengths, geometry, bias)

    @torch.no_grad()
    def greedy_from(self, h, lengths, geometry, bias=0.0):
        """The same of encoder frames h [B, U, D]."""
        keys, values = self.transducer.attention.project(h)
        batch, device = len(h), h.device
        state = self.transducer.start(batch, device)
        previous = torch.full((batch, 1), END_OF_BLOCK, device=device)
        blocks = (lengths + geometry.block - 1) // geometry.block
        out = [[] for _ in range(batch)]
        for b in range(int(blocks.max())):
            active = b < blocks
            for m in range(geometry.max_tokens):
                block = torch.full((batch, 1), b, device=device)
                logits, _, _, new = self.transducer.run(previous, keys, values, block, geometry, lengths, state)
                logits[..., END_OF_BLOCK] += bias
                token = logits[:, 0].argmax(dim=-1)
                if m + 1 == geometry.max_tokens:
                    token = torch.zeros_like(token)
                state = select_state(active, new, state)
                previous = torch.where(active[:, None], token[:, None], previous)
                for i in torch.nonzero(active & (token != END_OF_BLOCK)).flatten().tolist():
                    out[i].append((int(token[i]), b))
                active = active & (token != END_OF_BLOCK)
                if not active.any():
                    break
        return out


def select_state(mask, new, old):
    """Per utterance: the new state where `mask` holds, else the old one."""
    pick = lambda n, o: torch.where(mask[None, :, None], n.to(o.dtype), o)
    return {
        "state": [(pick(n[0], o[0]), pick(n[1], o[1])) for n, o in zip(new["state"], old["state"])],
        "emit": [(pick(n[0], o[0]), pick(n[1], o[1])) for n, o in zip(new["emit"], old["emit"])],
        "context": torch.where(mask[:, None, None], new["context"].to(old["context"].dtype), old["context"]),
        "attention": select_rows(mask, new["attention"], old["attention"]),
        "history": torch.where(mask[:, None], new["history"], old["history"]),
    }


def select_rows(mask, new, old):
    """The same for what attention keeps: tensors with the batch as first axis, in dictionaries and tuples."""
    if new is None or old is None:
        return new
    if isinstance(new, dict):
        return {k: select_rows(mask, v, old[k]) for k, v in new.items()}
    if isinstance(new, tuple):
        return tuple(select_rows(mask, n, o) for n, o in zip(new, old))
    return torch.where(mask.view(-1, *[1] * (new.ndim - 1)), new.to(old.dtype), old)


def alignment(tokens, ends_s, num_frames, frame_s, geometry):
    """The aligned sequence y of one utterance: every token in the block in which it ends, `<e>` at the end of each block.

    A block that would hold more than M-1 tokens hands the rest to the next one; what the last block can not hold is an error of the
    caller's geometry and is dropped from the end. Returns y and the block of each entry.
    """
    blocks = max(1, -(-num_frames // geometry.block))
    y, owner, b, in_block = [], [], 0, 0
    for token, end in zip(tokens, ends_s):
        due = min(int(max(end - 1e-4, 0.0) / frame_s) // geometry.block, blocks - 1)
        while b < due or in_block == geometry.max_tokens - 1:
            if b + 1 == blocks:
                break
            y.append(END_OF_BLOCK), owner.append(b)
            b, in_block = b + 1, 0
        if in_block == geometry.max_tokens - 1:
            break
        y.append(int(token)), owner.append(b)
        in_block += 1
    while b < blocks:
        y.append(END_OF_BLOCK), owner.append(b)
        b += 1
    return y, owner
