"""Attention over the limited block of frames: how frames are compared with the query (`score`), how one context is made of them
(`mix`), how often (`hops`). Names and equations as in docs/attention.md and src/attention. Shapes stand in the trailing comments.

B utterances, S transducer steps, U encoder frames, H heads, A `dim`, E width of the encoder, P `max_positions`.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

PRODUCTS = ("scaled_dot", "dot", "general", "cosine")
SCORES = PRODUCTS + ("additive", "concat", "location", "latent")
MIXES = ("soft", "hard", "last", "area", "recurrent", "predictive")
LOCATION_TAPS, LOCATION_FILTERS = 5, 4
DEFAULTS = {"mix": "soft", "hops": 1, "max_area": 3, "area_key": "mean", "area_value": "mean", "recurrent_dim": 32}


class PlaceBias(torch.autograd.Function):
    """bias [H, P] by place, for places [B, S, U] -> [B, H, S, U]; what plain indexing gives, whose backward pass is slow on GPUs."""

    @staticmethod
    def forward(ctx, bias, place):
        ctx.save_for_backward(place)
        ctx.places = bias.shape[1]
        return bias[:, place].transpose(0, 1)

    @staticmethod
    def backward(ctx, grad):
        (place,) = ctx.saved_tensors
        return torch.stack([(grad * (place == p)[:, None]).sum(dim=(0, 2, 3)) for p in range(ctx.places)], dim=1), None


class Attention(nn.Module):
    """Multi-head attention. `state` is what one step leaves to the next: earlier weights (`location`), an LSTM's state (`recurrent`)."""

    def __init__(self, config, query_dim, encoder_dim):
        super().__init__()
        c = {**DEFAULTS, **config}
        self.score, self.mix, self.hops = c["score"], c["mix"], c["hops"]
        assert self.score in SCORES and self.mix in MIXES, (self.score, self.mix)
        self.heads, self.dim, self.positions = c["num_heads"], c["dim"], c["max_positions"]
        self.size = self.dim // self.heads
        self.sequential = self.mix != "last" and (self.score == "location" or self.mix == "recurrent")
        assert self.hops == 1 or not self.sequential, "several hops need attention that keeps nothing from step to step"
        assert self.mix != "area" or self.score in PRODUCTS, "areas need a score that is a product"
        if self.mix == "last":
            self.value = nn.Linear(encoder_dim, self.dim)
            return
        if self.score == "concat":
            self.concat = nn.Linear(query_dim + encoder_dim, self.dim)
        elif self.score == "general":
            self.query = nn.Linear(query_dim, self.heads * encoder_dim, bias=False)
        else:
            if self.score != "latent":
                self.query = nn.Linear(query_dim, self.dim)
            self.key = nn.Linear(encoder_dim, self.dim)
        self.value = nn.Linear(encoder_dim, self.dim)
        if self.score in ("additive", "concat", "location", "latent"):
            self.energy = nn.Parameter(torch.randn(self.heads, self.size) / math.sqrt(self.size))
        if self.score == "cosine":
            self.sharpness = nn.Parameter(torch.full((self.heads,), 4.0))
        if self.score == "location":
            self.filters = nn.Parameter(torch.randn(LOCATION_FILTERS, LOCATION_TAPS) / math.sqrt(LOCATION_TAPS))
            self.location = nn.Linear(LOCATION_FILTERS, self.dim, bias=False)
        if self.mix == "area":
            self.max_area, self.area_key, self.area_value = c["max_area"], c["area_key"], c["area_value"]
            self.area_bias = nn.Parameter(torch.zeros(self.heads, self.max_area))
            if self.area_key == "mean_std":
                self.area_width = nn.Parameter(torch.randn(self.max_area, self.size) * 0.1)
                self.area_in = nn.Linear(3 * self.size, self.size)
                self.area_out = nn.Linear(self.size, self.size)
        if self.mix == "predictive":
            self.place = nn.Linear(query_dim, self.dim)
            self.place_energy = nn.Parameter(torch.randn(self.heads, self.size) / math.sqrt(self.size))
        if self.mix == "recurrent":
            assert self.positions, "recurrent attention needs max_positions"
            self.cell = nn.LSTMCell(self.heads * self.positions, c["recurrent_dim"])
            self.weigh = nn.Linear(c["recurrent_dim"], self.heads * self.positions)
        if self.hops > 1:
            self.hop = nn.Linear(self.dim, query_dim)
        if self.positions:
            # Each head starts out looking at its own place around the block's end; from uniform weights the diagonal is found slowly.
            centres = self.positions * 3 // 4 + torch.linspace(-3.5, 1.0, self.heads)[:, None]
            distance = torch.arange(self.positions)[None] - centres
            self.position_bias = nn.Parameter((-distance.square() / (2 * 1.3**2)).clamp(min=-6.0))

    def split(self, x):  # [B, N, H * n] -> [B, H, N, n]
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def project(self, h):  # [B, U, E]
        """Keys and values; what of them depends on frames alone."""
        values = self.split(self.value(h))
        if self.mix == "last":
            return values, values
        if self.score == "general":
            return h[:, None].expand(-1, self.heads, -1, -1), values
        if self.score == "concat":
            return self.split(F.linear(h, self.concat.weight[:, -h.shape[-1] :])), values
        keys = self.split(self.key(h))
        if self.score == "latent":
            keys = torch.tanh(keys)
        elif self.score == "cosine":
            keys = F.normalize(keys.float(), dim=-1).to(keys.dtype)
        return keys, values

    def queries(self, s):  # [B, S, query] -> [B, H, S, n]
        if self.score == "latent":
            return None
        if self.score == "concat":
            return self.split(F.linear(s, self.concat.weight[:, : s.shape[-1]], self.concat.bias))
        return self.split(self.query(s))

    def energies(self, q, keys, frames, before=None):
        """Energies [B, H, S, U]. Scores that are no products need the frames a step sees, `frames` [B, S, V]; `before` [B, H, U] are
        the weights of the step before, those of frames out of sight 0."""
        if self.score in ("scaled_dot", "dot"):
            return (q @ keys.transpose(2, 3)).float() * (self.size**-0.5 if self.score == "scaled_dot" else 1.0)
        if self.score == "general":
            return (q @ keys.transpose(2, 3)).float() / math.sqrt(keys.shape[-1])
        if self.score == "cosine":
            q = F.normalize(q.float(), dim=-1)
            return (q.to(keys.dtype) @ keys.transpose(2, 3)).float() * self.sharpness[:, None, None]
        if self.score == "latent":
            energy = torch.einsum("bhud,hd->bhu", keys.float(), self.energy)
            return energy[:, :, None].expand(-1, -1, frames.shape[1], -1)
        b, n, v = frames.shape
        index = frames[:, None, :, :, None].expand(-1, self.heads, -1, -1, self.size)
        near = keys[:, :, None].expand(-1, -1, n, -1, -1).gather(3, index)  # [B, H, S, V, n]
        x = q[:, :, :, None] + near
        if before is not None:
            pad = LOCATION_TAPS // 2
            f = F.conv1d(before.reshape(-1, 1, before.shape[-1]), self.filters[:, None], padding=pad)  # [B * H, C, U]
            f = self.location.weight.view(self.heads, self.size, -1) @ f.view(b, self.heads, LOCATION_FILTERS, -1)  # [B, H, n, U]
            x = x + f.transpose(2, 3)[:, :, None].expand(-1, -1, n, -1, -1).gather(3, index)
        energy = torch.einsum("bhsvn,hn->bhsv", torch.tanh(x).float(), self.energy)
        out = energy.new_zeros(b, self.heads, n, keys.shape[2])
        return out.scatter(3, frames[:, None].expand(-1, self.heads, -1, -1), energy)

    def forward(self, s, keys, values, block, geometry, lengths, state=None):
        """s [B, S, state]; keys, values [B, H, U, n]; block [B, S] index of each step's block; lengths [B] valid U.
        Gives contexts [B, S, A], weights [B, H, S, U] and the state after the last step."""
        u = keys.shape[2]
        frame = torch.arange(u, device=s.device)
        end = (block.clamp(min=0) + 1) * geometry.block  # [B, S]
        first = end - geometry.block - geometry.look_back
        visible = (frame >= first[..., None]) & (frame < end[..., None] + geometry.look_ahead) & (frame < lengths[:, None, None])
        # A padded step may see nothing at all; it then sees every frame, and its loss is masked.
        visible = visible | ~visible.any(dim=-1, keepdim=True)
        if self.mix == "last":
            last = (torch.minimum(end, lengths[:, None]) - 1).clamp(0, u - 1)
            weights = F.one_hot(last, u).to(values.dtype)[:, None].expand(-1, self.heads, -1, -1)
            return (weights @ values).transpose(1, 2).flatten(2), weights, state
        if self.mix == "recurrent":
            back, ahead = self.positions * 3 // 4, self.positions - self.positions * 3 // 4
            assert geometry.block + geometry.look_back <= back and geometry.look_ahead <= ahead, "more frames than places"
        see = Sight(visible, end, frame, geometry, self.positions)
        for hop in range(self.hops):
            if hop:
                s = s + self.hop(context).to(s.dtype)
            if self.sequential:
                context, weights, state = self.step_by_step(s, keys, values, see, state)
            else:
                context, weights = self.look(s, keys, values, see)
        return context, weights, state

    def look(self, s, keys, values, see, before=None):
        """One look of every step, in parallel."""
        q = self.queries(s)
        energy = self.energies(q, keys, see.frames, before)
        if self.positions:
            bias = self.position_bias
            energy = energy + (PlaceBias.apply(bias, see.position) if bias.is_cuda else bias[:, see.position].transpose(0, 1))
        if self.mix == "area":
            return self.areas(q, energy, keys, values, see)
        energy = energy.masked_fill(~see.visible[:, None], float("-inf"))
        weights = energy.softmax(dim=-1)  # [B, H, S, U]
        if self.mix == "hard":
            chosen = torch.zeros_like(weights).scatter(-1, weights.argmax(dim=-1, keepdim=True), 1.0)
            weights = chosen + weights - weights.detach() if self.training else chosen
        elif self.mix == "predictive":
            weights = weights * self.nearness(s, see)
        return (weights.to(values.dtype) @ values).transpose(1, 2).flatten(2), weights

    def nearness(self, s, see):
        """Luong et al. 2015, local-p: exp(-(j - p)^2 / (2 (V / 4)^2)) with the place p that the query predicts among the V frames it sees."""
        first = see.visible.int().argmax(dim=-1)[:, None]  # [B, 1, S]
        count = see.visible.sum(dim=-1)[:, None]
        share = torch.sigmoid(torch.einsum("bhsn,hn->bhs", torch.tanh(self.split(self.place(s))).float(), self.place_energy))
        place = first + (count - 1) * share  # [B, H, S]
        spread = count.float() / 4
        return torch.exp(-(see.frame - place[..., None]).square() / (2 * spread[..., None].square()))

    def areas(self, q, energy, keys, values, see):
        """Li et al. 2019: items are runs of 1 to `max_area` adjacent frames; a run is known by the frame it ends in. Runs of one frame
        have the energies given."""
        energies, items, sights = [], [], []
        for width in range(1, self.max_area + 1):
            if width > keys.shape[2]:
                break
            pooled = lambda x: F.avg_pool1d(x.transpose(2, 3).flatten(0, 1), width, 1).unflatten(0, x.shape[:2]).transpose(2, 3)
            pad = lambda x: F.pad(x, (0, 0, width - 1, 0))  # [B, H, U, n], the end of the run as index
            mean = pad(pooled(keys))
            if self.area_key == "mean_std":
                spread = (pad(pooled(keys.float().square())) - mean.float().square()).clamp(min=0).add(1e-6).sqrt()
                wide = self.area_width[width - 1].expand_as(mean)
                mean = self.area_out(F.relu(self.area_in(torch.cat([mean.float(), spread, wide], dim=-1)))).to(keys.dtype)
            item = self.energies(q, mean, see.frames) + self.area_bias[:, width - 1, None, None]
            if self.positions:
                item = item + self.position_bias[:, see.position].transpose(0, 1)
            energies.append(item)
            items.append(pad(pooled(values)) * (width if self.area_value == "sum" else 1))
            sight = see.visible
            for back in range(1, width):
                sight = sight & F.pad(see.visible, (back, 0))[..., : sight.shape[-1]]
            sights.append(sight)
        visible = torch.cat(sights, dim=-1)[:, None]
        weights = torch.cat(energies, dim=-1).masked_fill(~visible, float("-inf")).softmax(dim=-1)
        context = weights.to(values.dtype) @ torch.cat(items, dim=2)
        by_end = weights.unflatten(-1, (len(items), -1))
        spread = sum(F.pad(by_end[..., w, :], (0, back))[..., back:] / (w + 1) for w in range(len(items)) for back in range(w + 1))
        return context.transpose(1, 2).flatten(2), spread

    def step_by_step(self, s, keys, values, see, state):
        contexts, all_weights = [], []
        for m in range(s.shape[1]):
            at, before, kept = see.step(m), None, {}
            if self.score == "location":
                # Frames out of sight count as never looked at.
                before = torch.zeros_like(keys[..., 0]).float() if state is None else state["weights"] * at.visible
            if self.mix == "recurrent":
                context, weights, kept["hidden"] = self.modulate(s[:, m : m + 1], keys, values, at, before, state)
            else:
                context, weights = self.look(s[:, m : m + 1], keys, values, at, before)
            if self.score == "location":
                kept["weights"] = weights[:, :, 0].float()
            state = kept
            contexts.append(context)
            all_weights.append(weights)
        return torch.cat(contexts, dim=1), torch.cat(all_weights, dim=2), state

    def modulate(self, s, keys, values, see, before, state):
        """The paper's LSTM-attention: the energies by place go through a recurrent net, whose softmax are the weights."""
        energy = self.energies(self.queries(s), keys, see.frames, before) + self.position_bias[:, see.position].transpose(0, 1)
        # [B, H, P]: by place; a frame beyond the places stands on the last one, which it shares with no visible frame.
        place = see.position[:, 0]
        inside = torch.where(see.visible[:, None, 0], energy[:, :, 0], 0.0)
        by_place = inside.new_zeros(*inside.shape[:2], self.positions).scatter_add(2, place[:, None].expand_as(inside), inside)
        hidden = self.cell(by_place.flatten(1), None if state is None else state["hidden"])
        out = self.weigh(hidden[0]).float().view(*by_place.shape).gather(2, place[:, None].expand_as(inside))
        weights = out.masked_fill(~see.visible[:, None, 0], float("-inf")).softmax(dim=-1)[:, :, None]
        return (weights.to(values.dtype) @ values).transpose(1, 2).flatten(2), weights, hidden


class Sight:
    """What each step sees: frames `visible` [B, S, U], the places of frames before and after the block's end `position` [B, S, U], and
    the frames of its window `frames` [B, S, V], clamped to those that exist."""

    def __init__(self, visible, end, frame, geometry, positions):
        self.visible, self.frame = visible, frame
        self.position = (frame - end[..., None] + positions * 3 // 4).clamp(0, max(positions - 1, 0))
        size = geometry.look_back + geometry.block + geometry.look_ahead
        first = end - geometry.block - geometry.look_back
        self.frames = (first[..., None] + torch.arange(size, device=frame.device)).clamp(0, len(frame) - 1)

    def step(self, m):
        one = object.__new__(Sight)
        one.visible, one.frame = self.visible[:, m : m + 1], self.frame
        one.position, one.frames = self.position[:, m : m + 1], self.frames[:, m : m + 1]
        return one
