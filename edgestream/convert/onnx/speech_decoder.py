# SPDX-License-Identifier: Apache-2.0
"""The merged decoder of an encoder-decoder for speech, in the layout of the public exports.

The branch without a cache computes keys and values of the encoder's states; the other takes them
out of the cache and gives empty ones back, as public exports do. Both give the attention to them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from edgestream.convert.onnx.graph import value
from edgestream.convert.onnx.speech import SpeechGraph
from edgestream.speech.reencoded.weights import CROSS_ATTENTIONS


class SpeechDecoderGraph(SpeechGraph):
    """A decoder's nodes: a few tokens at once, over caches."""

    def few(self, x: str, module: str) -> str:
        """A linear layer on the tokens."""
        return self.linear(x, module, few_rows=True)

    def past_rows(self) -> str:
        """How many rows the cache holds, int64 []."""
        shape = self.node("Shape", "past_key_values.0.decoder.key", start=2, end=3)
        return self.node("Squeeze", shape)

    def causal_bias(self, n_past: str) -> str:
        """0 where a row may look and -inf where not, [rows, past + rows]."""
        n_rows = self.node("Squeeze", self.node("Shape", "input_ids", start=1, end=2))
        n_all, one = self.node("Add", n_past, n_rows), self.constant("one", np.array(1, np.int64))
        zero = self.constant("zero", np.array(0, np.int64))
        seen = self.node("Range", zero, n_all, one)
        row = self.node("Unsqueeze", self.node("Range", n_past, n_all, one), self.integers(1))
        allowed = self.node("LessOrEqual", seen, row)
        return self.node("Where", allowed, self.number(0), self.number(-np.inf))

    def remembered(self, layer: int, kind: str, rows: str) -> str:
        """Rows of the decoder behind those of the cache; they are the next cache."""
        past = f"past_key_values.{layer}.decoder.{kind}"
        return self.node("Concat", past, rows, name=f"present.{layer}.decoder.{kind}", axis=2)

    def attend_across(self, layer: int, q: str, module: str) -> str:
        """Attention of q [1, n_heads, n, head_dim] over the encoder's states; [1, n, width].

        `module` + k_proj and v_proj project the states where there is no cache of them.
        """
        kinds = ("key", "value")
        cached = [f"past_key_values.{layer}.encoder.{kind}" for kind in kinds]
        empty = self.constant("empty", np.zeros((1, self.n_heads, 0, self.head_dim), np.float32))
        with_cache = self._branch(layer, q, cached, [empty] * 2)
        without = self._branch(layer, q, [f"{module}{kind[0]}_proj" for kind in kinds], None)
        outputs = [f"across.{layer}", f"{CROSS_ATTENTIONS}{layer}"]
        outputs += [f"present.{layer}.encoder.{kind}" for kind in kinds]
        self.nodes.append(
            helper.make_node(
                "If", ["use_cache_branch"], outputs, then_branch=with_cache, else_branch=without
            )
        )
        return outputs[0]

    def _branch(self, layer: int, q: str, given: list[str], kept: list[str] | None) -> Any:
        """A subgraph; `given` are keys and values, or without `kept` the modules that make them.

        Its outputs: what attention mixed, its weights, and keys and values for the cache.
        """
        outer, self.nodes = self.nodes, []
        if kept is None:
            given = [self.heads(self.linear("encoder_hidden_states", each)) for each in given]
        mixed = self.attend(q, given[0], given[1], weights="attention")
        held = [self.node("Identity", each, name=f"held.{i}") for i, each in
                enumerate(kept or given)]  # fmt: skip
        nodes, self.nodes = self.nodes, outer
        # Branches see the outer graph; their own names must not be taken there.
        prefix = f"{layer}.{'computed' if kept is None else 'cached'}."
        own = {name: prefix + name for node in nodes for name in node.output}
        for node in nodes:
            node.input[:] = [own.get(name, name) for name in node.input]
            node.output[:] = [own[name] for name in node.output]
        outputs = [value(own[mixed], 1, None, None)]
        outputs += [value(own[name], 1, None, None, None) for name in ("attention", *held)]
        return helper.make_graph(nodes, "branch", [], outputs)

    def caches(self, name: str, n_layers: int) -> list[Any]:
        """Keys and values of decoder and encoder, [1, n_heads, rows, head_dim]."""
        return [
            value(
                f"{name}.{i}.{side}.{kind}", 1, self.n_heads, f"{side}_{name}_rows", self.head_dim
            )
            for i in range(n_layers)
            for side in ("decoder", "encoder")
            for kind in ("key", "value")
        ]

    def save_decoder(self, path: Path, n_layers: int, width: int, n_vocab: int) -> None:
        """Writes a merged decoder whose nodes end in `logits`."""
        inputs = [
            value("input_ids", 1, "decoder_rows", kind=TensorProto.INT64),
            value("encoder_hidden_states", 1, "encoder_rows", width),
            *self.caches("past_key_values", n_layers),
            value("use_cache_branch", 1, kind=TensorProto.BOOL),
        ]
        seen = (1, self.n_heads, "decoder_rows", "encoder_rows")
        outputs = [
            value("logits", 1, "decoder_rows", n_vocab),
            *self.caches("present", n_layers),
            *(value(f"{CROSS_ATTENTIONS}{i}", *seen) for i in range(n_layers)),
        ]
        self.save(path, inputs, outputs)
