"""The same network in onnxruntime (one thread) and here: encoder blocks and transducer steps, f32 against f32.

    cargo bench --bench network --no-run          # prints the program's path
    python benches/onnx_compare.py MODEL_FOLDER NETWORK_PROGRAM

Needs torch, onnx, onnxruntime. The graphs are built from the weights in the model folder (8-bit ones widened), checked against
PyTorch, and timed in turns with the program; medians of five turns. Pin both with taskset.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "training"))
from export import read_weights  # noqa: E402
from model import Geometry, NeuralTransducer, RunningMean  # noqa: E402

BATCHES = [1, 8, 16]
TURNS, ROUNDS = 5, 300
# What a block takes of the transducer (`vivavoce bench` counts steps and rows): name, steps, hypotheses.
WHOLE_BLOCKS = [("greedy block", 2.7, "1"), ("beam block", 3.7, "8")]


class Graph:
    def __init__(self):
        self.nodes, self.weights, self.count = [], [], 0

    def const(self, value, dtype=np.float32):
        self.count += 1
        name = f"w{self.count}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=dtype), name))
        return name

    def add(self, op, *inputs, outputs=None, **attributes):
        self.count += 1
        names = outputs or [f"v{self.count}"]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0]

    def ints(self, *values):
        return self.const(values, np.int64)

    def linear(self, x, layer):
        return self.add("Add", self.add("MatMul", x, self.const(layer.weight.detach().numpy().T)), self.const(layer.bias.detach().numpy()))

    def norm(self, x, layer):
        return self.add("LayerNormalization", x, self.const(layer.weight.detach().numpy()), self.const(layer.bias.detach().numpy()), axis=-1, epsilon=layer.eps)

    def lstm(self, x, layer, h, c, prefix):
        """x [S, B, I] -> [S, B, H]; the new state are outputs of the graph."""
        hidden = layer.hidden_size
        order = np.r_[0:hidden, 3 * hidden : 4 * hidden, hidden : 2 * hidden, 2 * hidden : 3 * hidden]  # onnx: i o f c
        get = lambda n: getattr(layer, n).detach().numpy()
        w, r = get("weight_ih_l0")[order][None], get("weight_hh_l0")[order][None]
        b = np.concatenate([get("bias_ih_l0")[order], get("bias_hh_l0")[order]])[None]
        y = f"{prefix}_y"
        self.add("LSTM", x, self.const(w), self.const(r), self.const(b), "", h, c, outputs=[y, f"{prefix}_h", f"{prefix}_c"], hidden_size=hidden)
        return self.add("Squeeze", y, self.ints(1))

    def session(self, inputs, outputs):
        info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        taken = [info(name, shape) for name, shape in inputs.items()]
        graph = helper.make_graph(self.nodes, "g", taken, [info(name, None) for name in outputs], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def sides(layer):
    """Frames that a context layer sees before and after its own."""
    return max(0, -min(layer.offsets)), max(0, max(layer.offsets))


def reference(encoder, x, state):
    """The same block in PyTorch, by the encoder's own parts: x [1, frames, mel] and a state in the middle of a stream -> [U, 1, dim]."""
    if isinstance(encoder.running_mean, RunningMean):
        total, centred = state["sum"][0, 0, 0], []
        for frame, share in zip(x[0], state["shares"][0, 0, :, 0]):
            total = total * encoder.running_mean.fade + frame
            centred.append(frame - total * share)
        x = torch.stack(centred)[None]
    z = encoder.frontend(x).transpose(0, 1)  # [U, 1, W]
    if hasattr(encoder, "context_layers"):
        stack = encoder.frontend.stack
        rows = len(z) * stack
        z = encoder.context_input(z.reshape(rows, 1, -1))
        for i, layer in enumerate(encoder.context_layers):
            before, after = sides(layer)
            seen = torch.cat([state[f"seen{i}"], layer.norm(z)])
            inner = torch.cat([seen[before + o : before + o + rows] for o in layer.offsets], dim=-1)
            z = torch.cat([state[f"waiting{i}"], z])[:rows] if after else z
            z = z + layer.outer(torch.relu(layer.inner(inner)))
        z = encoder.context_norm(z).reshape(rows // stack, 1, -1)
        return encoder.norm(encoder.recur(encoder.layers, encoder.input(z)))
    return encoder(x).transpose(0, 1)


def encoder_session(encoder, attention, frames, inputs):
    g, front = Graph(), encoder.frontend
    conv = lambda x, layer: g.add("Relu", g.add("Conv", x, g.const(layer.weight.detach().numpy()), g.const(layer.bias.detach().numpy()),
                                                strides=[2, 2], pads=[0, 1, 0, 1]))
    x, outputs = "x", ["next2"]
    if isinstance(encoder.running_mean, RunningMean):
        # Sums of the frames so far by one product; `shares` are 1 / (count + prior), which the caller counts.
        fade = encoder.running_mean.fade
        ago = np.arange(frames)[:, None] - np.arange(frames)
        within = np.where(ago >= 0, fade ** np.maximum(ago, 0), 0.0)
        sums = g.add("Add", g.add("MatMul", g.const(within), x), g.add("Mul", "sum", g.const(fade ** np.arange(1, frames + 1)[:, None])))
        g.add("Slice", sums, g.ints(-1), g.ints(2**31), g.ints(2), outputs=["next_sum"])
        x = g.add("Sub", x, g.add("Mul", sums, "shares"))
        outputs.append("next_sum")
    x = conv(g.add("Concat", "before1", x, axis=2), front.conv1)
    last = g.add("Slice", x, g.ints(-1), g.ints(2**31), g.ints(2))
    g.add("Identity", last, outputs=["next2"])
    x = conv(g.add("Concat", "before2", x, axis=2), front.conv2)
    x = g.add("Transpose", x, perm=[2, 0, 1, 3])  # [T/4, 1, C, mel/4]

    def residual(x, layers, prefix):
        for i, layer in enumerate(layers):
            y = g.lstm(g.norm(x, layer.norm), layer.lstm, f"h{prefix}{i}", f"c{prefix}{i}", f"l{prefix}{i}")
            x = g.add("Add", x, y)
            outputs.extend((f"l{prefix}{i}_h", f"l{prefix}{i}_c"))
        return x

    fine = g.add("Reshape", x, g.ints(frames // front.factor * front.stack, 1, -1))
    if hasattr(encoder, "context_layers"):
        rows = frames // front.factor * front.stack
        x = g.linear(fine, encoder.context_input)
        for i, layer in enumerate(encoder.context_layers):
            before, after = sides(layer)
            seen = g.add("Concat", f"seen{i}", g.norm(x, layer.norm), axis=0)
            place = lambda start, end: g.add("Slice", seen, g.ints(start), g.ints(end), g.ints(0))
            inner = g.add("Relu", g.linear(g.add("Concat", *(place(before + o, before + o + rows) for o in layer.offsets), axis=-1), layer.inner))
            g.add("Slice", seen, g.ints(rows), g.ints(2**31), g.ints(0), outputs=[f"next_seen{i}"])
            if after:
                waiting = g.add("Concat", f"waiting{i}", x, axis=0)
                g.add("Slice", waiting, g.ints(rows), g.ints(2**31), g.ints(0), outputs=[f"next_waiting{i}"])
                x = g.add("Slice", waiting, g.ints(0), g.ints(rows), g.ints(0))
                outputs.append(f"next_waiting{i}")
            x = g.add("Add", x, g.linear(inner, layer.outer))
            outputs.append(f"next_seen{i}")
        x = g.norm(x, encoder.context_norm)
    x = g.linear(g.add("Reshape", x, g.ints(frames // front.factor, 1, -1)), encoder.input)
    if hasattr(encoder, "fine_layers"):
        fine = g.norm(residual(g.linear(fine, encoder.fine_input), encoder.fine_layers, "f"), encoder.fine_norm)
        fine = g.add("Reshape", fine, g.ints(frames // front.factor, 1, -1))
        x = g.add("Add", x, g.add("MatMul", fine, g.const(encoder.fine_output.weight.detach().numpy().T)))
    x = residual(x, encoder.layers, "")
    x = g.norm(x, encoder.norm)
    for name, layer in (("keys", attention.key), ("values", attention.value)):
        g.add("Identity", g.linear(x, layer), outputs=[name])
    return g.session(inputs, outputs + ["keys", "values"])


def step_session(t, batch, seen, inputs):
    g, a = Graph(), t.attention
    heads, width = a.heads, a.dim // a.heads
    s = g.lstm("x", t.state_rnn[0], "sh", "sc", "s")  # [1, B, S]
    q = g.add("Transpose", g.add("Reshape", g.linear(s, a.query), g.ints(batch, heads, 1, width)), perm=[0, 1, 2, 3])
    k = g.add("Transpose", g.add("Reshape", "keys", g.ints(1, seen, heads, width)), perm=[0, 2, 3, 1])
    v = g.add("Transpose", g.add("Reshape", "values", g.ints(1, seen, heads, width)), perm=[0, 2, 1, 3])
    energy = g.add("Mul", g.add("MatMul", q, k), g.const(width**-0.5))
    weights = g.add("Softmax", g.add("Add", energy, "position"), axis=-1)
    context = g.add("Reshape", g.add("MatMul", weights, v), g.ints(1, batch, a.dim))
    p = g.lstm(g.add("Concat", context, s, axis=-1), t.emit_rnn[0], "eh", "ec", "e")
    g.add("LogSoftmax", g.linear(p, t.output), outputs=["log_probs"], axis=-1)
    return g.session(inputs, ["log_probs", "s_h", "s_c", "e_h", "e_c"])


def median_us(work):
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e6)
    return float(np.median(times))


def bound(session, feed):
    """A call without the cost of making and copying Python objects."""
    binding = session.io_binding()
    for name, value in feed.items():
        binding.bind_cpu_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return lambda: session.run_with_iobinding(binding)


@torch.no_grad()
def main():
    folder, program = Path(sys.argv[1]), sys.argv[2]
    config = json.loads((folder / "config.json").read_text())
    weights = read_weights(folder / "model.safetensors")
    model = NeuralTransducer(config, len(weights["transducer.embedding.weight"])).eval()
    missing = model.load_state_dict(weights, strict=False)
    assert not missing.missing_keys and not missing.unexpected_keys, missing
    mode = Geometry.from_config(config["latency_modes"][config["default_latency"]])
    mel, dim = config["features"]["num_mel_bins"], config["encoder"]["dim"]
    t, a = model.transducer, model.transducer.attention
    frames = mode.block * model.subsampling
    seen = mode.look_back + mode.block + mode.look_ahead
    rng = np.random.default_rng(1)
    noise = lambda *shape: rng.standard_normal(shape).astype(np.float32)

    shapes = lambda feed: {name: value.shape for name, value in feed.items()}
    channels = model.encoder.frontend.conv1.out_channels
    x = noise(1, 1, frames, mel)
    feed = {"x": x, "before1": np.zeros((1, 1, 1, mel), np.float32), "before2": np.zeros((1, channels, 1, mel // 2), np.float32)}
    layers = {str(i): dim for i in range(config["encoder"]["num_layers"])}
    if fine := config["encoder"].get("fine_layers"):
        layers |= {f"f{i}": fine["dim"] for i in range(fine["num_layers"])}
    for name, width in layers.items():
        feed |= {f"h{name}": np.zeros((1, 1, width), np.float32), f"c{name}": np.zeros((1, 1, width), np.float32)}
    if mean := config["encoder"].get("running_mean"):
        feed |= {"sum": noise(1, 1, 1, mel), "shares": np.full((1, 1, frames, 1), 1 / (mean["prior_frames"] + 300), np.float32)}
    if context := config["encoder"].get("context_layers"):
        for i, layer in enumerate(model.encoder.context_layers):
            before, after = sides(layer)
            feed[f"seen{i}"] = noise(before + after, 1, context["dim"])
            if after:
                feed[f"waiting{i}"] = noise(after, 1, context["dim"])
    encoder = encoder_session(model.encoder, a, frames, shapes(feed))
    h = reference(model.encoder, torch.from_numpy(x[0]), {k: torch.from_numpy(v) for k, v in feed.items()}).transpose(0, 1)
    keys, values = a.key(h)[0].numpy(), a.value(h)[0].numpy()
    got = dict(zip([o.name for o in encoder.get_outputs()], encoder.run(None, feed)))
    assert np.abs(got["keys"][:, 0] - keys).max() < 1e-4 and np.abs(got["values"][:, 0] - values).max() < 1e-4

    calls = {"encoder": bound(encoder, feed)}
    keys, values = noise(seen, a.dim), noise(seen, a.dim)
    frame = np.arange(seen) + mode.look_back * 0
    end = mode.look_back + mode.block
    place = np.clip(frame - end + a.positions * 3 // 4, 0, a.positions - 1)
    position = a.position_bias.detach().numpy()[:, place][None, :, None]
    for batch in BATCHES:
        tokens = torch.arange(1, batch + 1)
        state = {"state": [tuple(torch.from_numpy(noise(1, batch, t.state_rnn[0].hidden_size)) for _ in range(2))],
                 "emit": [tuple(torch.from_numpy(noise(1, batch, t.emit_rnn[0].hidden_size)) for _ in range(2))], "context": torch.zeros(batch, 1, a.dim)}
        (sh, sc), (eh, ec) = state["state"][0], state["emit"][0]
        feed = {"x": t.embedding(tokens)[None].numpy(), "sh": sh.numpy(), "sc": sc.numpy(), "eh": eh.numpy(), "ec": ec.numpy(),
                "keys": keys, "values": values, "position": position}
        session = step_session(t, batch, seen, shapes(feed))
        both = (a.split(torch.from_numpy(keys)[None]).expand(batch, -1, -1, -1), a.split(torch.from_numpy(values)[None]).expand(batch, -1, -1, -1))
        # Frames are numbered so that the block that ends at look_back + block sees all of them.
        geometry = Geometry(end, 0, mode.look_ahead, mode.max_tokens)
        logits, *_ = t.run(tokens[:, None], *both, torch.zeros(batch, 1, dtype=torch.long), geometry, torch.full((batch,), seen), state)
        got = session.run(None, feed)[0][0]
        assert np.abs(got - logits[:, 0].log_softmax(-1).numpy()).max() < 1e-3
        calls[str(batch)] = bound(session, feed)

    ours, theirs = {}, {}
    for _ in range(TURNS):
        for name, call in calls.items():
            theirs.setdefault(name, []).append(median_us(call))
        for precision in ("f32", "int8"):
            result = json.loads(subprocess.run([program, str(folder), precision, str(ROUNDS)], check=True, capture_output=True, text=True).stdout)
            for name in calls:
                value = result["encoder"] if name == "encoder" else result["step"][name]
                ours.setdefault((precision, name), []).append(value)
    print(f"{'microseconds':<16}{'onnxruntime':>12}{'ours f32':>12}{'ratio':>8}{'ours int8':>12}{'f32/int8':>10}")
    for name in calls:
        o, f, i = (float(np.median(v)) for v in (theirs[name], ours["f32", name], ours["int8", name]))
        label = "encoder block" if name == "encoder" else f"step of {name}"
        print(f"{label:<16}{o:12.0f}{f:12.0f}{o / f:8.2f}{i:12.0f}{f / i:10.2f}")
    for label, steps, batch in WHOLE_BLOCKS:
        total = lambda by: float(np.median(by["encoder"])) + steps * float(np.median(by[batch]))
        o, f, i = (total(by) for by in (theirs, *({n: ours[p, n] for n in calls} for p in ("f32", "int8"))))
        print(f"{label:<16}{o:12.0f}{f:12.0f}{o / f:8.2f}{i:12.0f}{f / i:10.2f}")


if __name__ == "__main__":
    main()
