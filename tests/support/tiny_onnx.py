# SPDX-License-Identifier: Apache-2.0
"""Small ONNX decoders: a GGUF model's weights in our layout and in the community's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream.convert.gguf.llama import read_gguf_llama
from edgestream.convert.onnx.decoder import write_onnx_decoder

NAMES = ("past_key_values.{}.{}", "present.{}.{}")


def write_ours(folder: Path, shape: TinyShape, seed: int = 0, **options) -> Path:
    """`decoder.onnx` and `decoder.gguf` of the same random weights."""
    path = write_gguf(folder / "decoder.gguf", shape, random_weights(shape, seed))
    return write_onnx_decoder(folder, *read_gguf_llama(path), **options)


def write_community(
    folder: Path, shape: TinyShape, seed: int = 0, *, names=NAMES, without=(), extra=None
) -> Path:
    """The same in the layout that exports of `transformers` have, with plain operators: positions
    to angles in float32 inside the graph, past and new keys joined, heads repeated. `without` names
    inputs to leave out, `extra` adds one that is not used."""
    write_ours(folder, shape, seed)
    weights, _ = read_gguf_llama(folder / "decoder.gguf")
    config = {"rope_theta": shape.rope_base}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    graph = CommunityGraph(shape, weights, names)
    path = folder / "community.onnx"
    path.write_bytes(graph.model(without, extra or {}).SerializeToString())
    return path


class CommunityGraph:
    """Nodes and constants of a decoder of plain operators (opset 17)."""

    def __init__(self, shape, weights, names):
        self.shape, self.weights, self.names = shape, weights, names
        self.nodes, self.constants = [], {}

    def model(self, without, extra):
        s = self.shape
        half = np.arange(s.head_dim // 2)
        self.constants["inv_freq"] = (s.rope_base ** (-2.0 * half / s.head_dim)).astype(np.float32)
        position = self.node("Unsqueeze", self.cast("position_ids"), self.ints(2))
        angles = self.node("Mul", position, "inv_freq")  # [1, T, head_dim / 2]
        angles = self.node("Unsqueeze", angles, self.ints(1))
        self.cos, self.sin = self.node("Cos", angles), self.node("Sin", angles)
        hidden = self.node("Sub", self.float(1.0), self.cast("attention_mask"))
        hidden = self.node("Mul", hidden, self.float(-1e30))
        self.hidden = self.node("Unsqueeze", hidden, self.ints(1, 2))  # [1, 1, 1, C + 1]
        x = "inputs_embeds"
        for i in range(s.n_layers):
            at = f"model.layers.{i}."
            x = self.node("Add", x, self.attention(self.norm(x, at + "input_layernorm"), i))
            x = self.node("Add", x, self.feed_forward(x, at))
        self.linear(self.norm(x, "model.norm"), "lm_head", "logits")
        return self.finished(without, extra)

    def attention(self, x, i):
        s, at = self.shape, f"model.layers.{i}.self_attn."
        q = self.rotate(self.heads(self.linear(x, at + "q_proj"), s.n_heads))
        k = self.rotate(self.heads(self.linear(x, at + "k_proj"), s.n_kv_heads))
        v = self.heads(self.linear(x, at + "v_proj"), s.n_kv_heads)
        past, present = self.names
        joined = [
            self.node("Concat", past.format(i, kind), new, out=present.format(i, kind), axis=2)
            for kind, new in (("key", k), ("value", v))
        ]
        keys, values = (self.repeated(rows) for rows in joined)
        scores = self.node("MatMul", q, self.node("Transpose", keys, perm=[0, 1, 3, 2]))
        scores = self.node("Mul", scores, self.float(s.head_dim**-0.5))
        weights = self.node("Softmax", self.node("Add", scores, self.hidden), axis=-1)
        mixed = self.node("Transpose", self.node("MatMul", weights, values), perm=[0, 2, 1, 3])
        rows = self.node("Reshape", mixed, self.ints(1, -1, s.n_embd))
        return self.linear(rows, at + "o_proj")

    def repeated(self, rows):
        s = self.shape
        if s.n_heads == s.n_kv_heads:
            return rows
        group = self.node("Unsqueeze", rows, self.ints(2))
        many = self.node("Expand", group, self.ints(1, 1, s.n_heads // s.n_kv_heads, 1, 1))
        return self.node("Reshape", many, self.ints(1, s.n_heads, -1, s.head_dim))

    def rotate(self, x):
        left, right = (
            self.node("Slice", x, self.ints(a), self.ints(b), self.ints(3))
            for a, b in ((0, self.shape.head_dim // 2), (self.shape.head_dim // 2, 1 << 30))
        )
        turn = lambda a, b: (self.node("Mul", a, self.cos), self.node("Mul", b, self.sin))  # noqa: E731
        first = self.node("Sub", *turn(left, right))
        second = self.node("Add", *turn(right, left))
        return self.node("Concat", first, second, axis=3)

    def feed_forward(self, x, at):
        x = self.norm(x, at + "post_attention_layernorm")
        gate = self.linear(x, at + "mlp.gate_proj")
        gate = self.node("Mul", gate, self.node("Sigmoid", gate))
        gated = self.node("Mul", gate, self.linear(x, at + "mlp.up_proj"))
        return self.linear(gated, at + "mlp.down_proj")

    def norm(self, x, module):
        self.constants[module] = self.weights[module + ".weight"]
        mean = self.node("ReduceMean", self.node("Mul", x, x), axes=[-1])
        mean = self.node("Add", mean, self.float(self.shape.rms_epsilon))
        return self.node("Mul", self.node("Div", x, self.node("Sqrt", mean)), module)

    def linear(self, x, module, out=""):
        source = "model.embed_tokens" if module + ".weight" not in self.weights else module
        self.constants[module] = np.ascontiguousarray(self.weights[source + ".weight"].T)
        return self.node("MatMul", x, module, out=out)

    def heads(self, x, n_heads):
        split = self.node("Reshape", x, self.ints(1, -1, n_heads, self.shape.head_dim))
        return self.node("Transpose", split, perm=[0, 2, 1, 3])

    def cast(self, x):
        return self.node("Cast", x, to=TensorProto.FLOAT)

    def ints(self, *values):
        name = "ints." + ".".join(map(str, values))
        self.constants[name] = np.array(values, np.int64)
        return name

    def float(self, value):
        self.constants[f"float.{value}"] = np.array(value, np.float32)
        return f"float.{value}"

    def node(self, op, *inputs, out="", **attributes):
        out = out or f"{op}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out], **attributes))
        return out

    def finished(self, without, extra):
        s = self.shape
        ring = [1, s.n_kv_heads, "past", s.head_dim]
        inputs = {
            "inputs_embeds": (TensorProto.FLOAT, [1, "rows", s.n_embd]),
            "attention_mask": (TensorProto.INT64, [1, "all"]),
            "position_ids": (TensorProto.INT64, [1, "rows"]),
        }
        outputs = {"logits": (TensorProto.FLOAT, [1, "rows", s.n_vocab])}
        for i in range(s.n_layers):
            for kind in ("key", "value"):
                inputs[self.names[0].format(i, kind)] = (TensorProto.FLOAT, ring)
                outputs[self.names[1].format(i, kind)] = (TensorProto.FLOAT, ring)
        for name in without:  # as exports without it have it: a constant
            del inputs[name]
            self.constants[name] = np.zeros((1, 1), np.int64)
        inputs |= extra
        values = [
            [helper.make_tensor_value_info(name, *value) for name, value in side.items()]
            for side in (inputs, outputs)
        ]
        constants = [numpy_helper.from_array(v, name) for name, v in self.constants.items()]
        graph = helper.make_graph(self.nodes, "decoder", *values, constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
