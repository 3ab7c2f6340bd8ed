# SPDX-License-Identifier: Apache-2.0
"""Writes a llama as an ONNX decoder whose keys and values are a ring that the host plans.

`decoder.onnx` has these inputs and outputs (opset 24; C slots and T rows are the host's choice):

    inputs_embeds               [1, T, n_embd] float32
    rope_cos, rope_sin          [1, T, head_dim / 2] float32, computed by the host in double
    write_index                 [1] int64, slot of the first row; the others follow it
    attention_bias              [1, 1, T, C] float32, 0 where a row sees a slot, else very negative
    past_key_values.N.key/value [1, n_kv_heads, C, head_dim] float32, keys rotated
    logits                      [1, T, n_vocab] float32
    present.N.key/value         as past, to be bound to the same memory

`embed_tokens.onnx` beside it maps `input_ids` [N] int64 to `inputs_embeds` [N, n_embd].
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgestream.config import EMBEDDINGS_FILE
from edgestream.convert.llama import Floats, LlamaConfig, checked_weights
from edgestream.errors import ModelError, OutputError

OPSET, IR_VERSION = 24, 11
BLOCK = 32  # weights that share a scale, as in GGUF's 4-bit types
PROTOBUF_LIMIT_BYTES = (1 << 31) - 1


def write_onnx_decoder(
    folder: Path, weights: Mapping[str, Any], config: LlamaConfig, *, four_bit: bool = False
) -> Path:
    """Writes `decoder.onnx` and `embed_tokens.onnx` into `folder`; returns the decoder's path.

    Each file appears whole or not at all. `weights` as for `checked_weights`. With `four_bit` the
    matrices of the layers and the output are stored in blocks of 32 weights of 4 bits with one
    scale (MatMulNBits); norms and embeddings stay float32.

    Raises:
        ModelError: the weights do not fit the configuration or a file would pass 2 GiB.
        OutputError: a file cannot be written.
    """
    values = checked_weights(weights, config)
    if four_bit and (config.n_embd % BLOCK or config.n_ff % BLOCK):
        raise ModelError(f"4-bit weights need widths that are multiples of {BLOCK}")
    path = folder / "decoder.onnx"
    _write(folder / EMBEDDINGS_FILE, _embeddings(values["model.embed_tokens.weight"]))
    _write(path, _Graph(values, config, four_bit).model())
    return path


def four_bit_blocks(weight: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """[n, k] to nibbles [n, k / 32, 16] and scales [n, k / 32]: weight = scale * (nibble - 8).

    The weight of the largest magnitude in a block becomes -8 exactly, as in GGUF's Q4_0.
    """
    blocks = weight.reshape(len(weight), -1, BLOCK)
    extreme = np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)
    scales = extreme / np.float32(-8)
    steps = blocks / np.where(scales == 0, np.float32(1), scales)
    nibbles = np.clip(np.rint(steps) + 8, 0, 15).astype(np.uint8)
    return nibbles[..., 0::2] | nibbles[..., 1::2] << 4, scales[..., 0]


class _Graph:
    """Nodes and initializers in the order of computation."""

    def __init__(self, weights: dict[str, Floats], config: LlamaConfig, four_bit: bool) -> None:
        self.weights, self.config, self.four_bit = weights, config, four_bit
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def model(self) -> Any:
        c = self.config
        x = "inputs_embeds"
        for i in range(c.n_layers):
            x = self._add(x, self._attention(x, i))
            x = self._add(x, self._feed_forward(x, f"model.layers.{i}."))
        self._linear(self._norm(x, "model.norm"), "lm_head", name="logits")
        graph = helper.make_graph(
            self.nodes, "decoder", self._inputs(), self._outputs(),
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )  # fmt: skip
        properties = {
            "edgestream.inv_freq": json.dumps(c.inv_freq),
            "edgestream.token_texts": json.dumps(c.token_texts),
        }
        return _model(graph, properties)

    def _attention(self, x: str, i: int) -> str:
        """Self-attention of layer i over the ring."""
        c, at = self.config, f"model.layers.{i}.self_attn."
        x = self._norm(x, f"model.layers.{i}.input_layernorm")
        q = self._heads(self._rotate(self._linear(x, at + "q_proj"), c.n_heads), c.n_heads)
        k = self._heads(self._rotate(self._linear(x, at + "k_proj"), c.n_kv_heads), c.n_kv_heads)
        v = self._heads(self._linear(x, at + "v_proj"), c.n_kv_heads)
        for kind, rows in (("key", k), ("value", v)):
            past = f"past_key_values.{i}.{kind}"
            self._node(
                "TensorScatter", past, rows, "write_index", name=f"present.{i}.{kind}", axis=2
            )
        ring = f"present.{i}.key", f"present.{i}.value"
        mixed = self._node("Attention", q, *ring, "attention_bias")
        rows = self._node("Transpose", mixed, perm=[0, 2, 1, 3])
        return self._linear(self._shape(rows, c.n_heads * c.head_dim), at + "o_proj")

    def _feed_forward(self, x: str, at: str) -> str:
        """Gated linear unit with SiLU (Shazeer 2020)."""
        x = self._norm(x, at + "post_attention_layernorm")
        gate = self._linear(x, at + "mlp.gate_proj")
        gate = self._node("Mul", gate, self._node("Sigmoid", gate))
        gated = self._node("Mul", gate, self._linear(x, at + "mlp.up_proj"))
        return self._linear(gated, at + "mlp.down_proj")

    def _linear(self, x: str, module: str, name: str = "") -> str:
        weight = self.weights[module + ".weight"]
        if not self.four_bit:
            return self._node("MatMul", x, self._constant(module, weight.T), name=name)
        nibbles, scales = four_bit_blocks(weight)
        stored = self._constant(module + ".q4", nibbles), self._constant(module + ".scales", scales)
        n, k = weight.shape
        # Level 4: activations in blocks of 8 bits, as ggml computes with 4-bit weights too.
        return self._node(
            "MatMulNBits", x, *stored, name=name, domain="com.microsoft", N=n, K=k, bits=4,
            block_size=BLOCK, accuracy_level=4,
        )  # fmt: skip

    def _norm(self, x: str, module: str) -> str:
        scale = self._constant(module, self.weights[module + ".weight"])
        epsilon = self.config.rms_epsilon
        return self._node("RMSNormalization", x, scale, axis=-1, epsilon=epsilon)

    def _rotate(self, x: str, n_heads: int) -> str:
        return self._node("RotaryEmbedding", x, "rope_cos", "rope_sin", num_heads=n_heads)

    def _heads(self, x: str, n_heads: int) -> str:
        """[1, T, n_heads * head_dim] to [1, n_heads, T, head_dim]."""
        split = self._shape(x, n_heads, self.config.head_dim)
        return self._node("Transpose", split, perm=[0, 2, 1, 3])

    def _shape(self, x: str, *widths: int) -> str:
        shape = np.array([1, -1, *widths], np.int64)
        name = "shape." + ".".join(str(width) for width in widths)
        return self._node("Reshape", x, self._constant(name, shape))

    def _add(self, a: str, b: str) -> str:
        return self._node("Add", a, b)

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants[name] = np.ascontiguousarray(value)
        return name

    def _node(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        output = name or f"{op}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def _inputs(self) -> list[Any]:
        c = self.config
        angles = ("rows", c.head_dim // 2)
        return [
            _value("inputs_embeds", 1, "rows", c.n_embd),
            _value("rope_cos", 1, *angles),
            _value("rope_sin", 1, *angles),
            _value("write_index", 1, kind=TensorProto.INT64),
            _value("attention_bias", 1, 1, "rows", "slots"),
            *self._ring("past_key_values"),
        ]

    def _outputs(self) -> list[Any]:
        return [_value("logits", 1, "rows", self.config.n_vocab), *self._ring("present")]

    def _ring(self, name: str) -> list[Any]:
        c = self.config
        shape = (1, c.n_kv_heads, "slots", c.head_dim)
        return [
            _value(f"{name}.{i}.{kind}", *shape)
            for i in range(c.n_layers)
            for kind in ("key", "value")
        ]


def _embeddings(table: Floats) -> Any:
    node = helper.make_node("Gather", ["embed_tokens.weight", "input_ids"], ["inputs_embeds"])
    ids = _value("input_ids", "tokens", kind=TensorProto.INT64)
    rows = _value("inputs_embeds", "tokens", table.shape[1])
    weight = numpy_helper.from_array(table, "embed_tokens.weight")
    return _model(helper.make_graph([node], "embed_tokens", [ids], [rows], [weight]), {})


def _value(name: str, *shape: int | str, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def _model(graph: Any, properties: dict[str, str]) -> Any:
    domains = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(
        graph, opset_imports=domains, ir_version=IR_VERSION, producer_name="edgestream"
    )
    helper.set_model_props(model, properties)
    return model


def _write(path: Path, model: Any) -> None:
    """Through a file beside it that takes its name when it is whole."""
    n_bytes = model.ByteSize()
    if n_bytes > PROTOBUF_LIMIT_BYTES:
        raise ModelError(f"{path}: would have {n_bytes} bytes, ONNX files hold 2 GiB; try 4 bits")
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
            part.write(model.SerializeToString())
        os.chmod(part.name, 0o644)
        os.replace(part.name, path)
    except OSError as error:
        if part is not None:
            Path(part.name).unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from None
