# SPDX-License-Identifier: Apache-2.0
"""The table `[decoder]` of a `model.toml`: a decoder's file and the memory of its streams."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

EMBEDDINGS_FILE = "embed_tokens.onnx"  # beside an ONNX decoder; a GGUF file has its own
MEMORY = ("retention", "recent", "evict_rows", "exit_layer", "exit_threshold", "attention_layers")
A_DEVICE = "decoder.device must be cpu, auto, or ggml's name for it"
RETENTIONS = ("window", "heavy-hitter", "merge")


@dataclass(frozen=True, slots=True, kw_only=True)
class RingSpec:
    """The decoder's file and its ring: `n_sinks` rows that stay, `window` rows that move.

    What has a default is for GGUF files: the device that computes (`auto`, or ggml's name for it),
    and as a RingDecoder takes it, who leaves a full window and which rows leave the layers early.
    """

    file: str
    n_sinks: int
    window: int
    device: str = "cpu"
    retention: str = "window"
    recent: int = 0
    evict_rows: int = 0
    exit_layer: int = 0
    exit_threshold: float = 0.9
    attention_layers: tuple[int, ...] = ()

    @property
    def is_onnx(self) -> bool:
        """Whether the file is an ONNX decoder, not GGUF: its name says."""
        return self.file.endswith(".onnx")

    @property
    def memory(self) -> dict[str, Any]:
        """Options of a RingDecoder beside attention sinks and window."""
        return {name: getattr(self, name) for name in MEMORY}


PLAIN = RingSpec(file="", n_sinks=0, window=1)


def written(spec: RingSpec) -> dict[str, Any]:
    """The table as a file has it: nothing that it says by being absent."""
    values = {field.name: (getattr(spec, field.name), field.default) for field in fields(spec)}
    return {name: value for name, (value, default) in values.items() if value != default}


def is_device(name: str) -> bool:
    """Whether a device could be called so; whether it is there is known when it is opened."""
    return name.isprintable() and 0 < len(name) <= 64


def ring_rules(spec: RingSpec, files: Collection[str]) -> list[tuple[bool, str]]:
    """What the table may say beside the names of `files`; each line names what is wrong. How many
    layers and rows there are is known when the weights are read."""
    as_it_is = spec.memory == PLAIN.memory and spec.device == PLAIN.device
    return [
        (0 <= spec.n_sinks <= 4096, "decoder.n_sinks must be 0 to 4096"),
        (0 < spec.window <= 1 << 20, "decoder.window must be 1 to 1048576"),
        (is_device(spec.device), A_DEVICE),
        (spec.retention in RETENTIONS, f"decoder.retention must be {', '.join(RETENTIONS)}"),
        (0 <= spec.recent <= spec.window, "decoder.recent must be 0 to decoder.window"),
        (0 <= spec.evict_rows <= spec.window, "decoder.evict_rows must be 0 to decoder.window"),
        (spec.retention != "window" or spec.recent == spec.evict_rows == 0,
         "decoder.recent and decoder.evict_rows need a retention other than window"),
        (0 <= spec.exit_layer <= 4096, "decoder.exit_layer must be 0 (none) to 4096"),
        (0 <= spec.exit_threshold <= 1, "decoder.exit_threshold must be 0 to 1"),
        (spec.retention == "window" or spec.exit_layer == 0,
         "decoder.exit_layer needs the retention window"),
        (all(0 <= layer < 4096 for layer in spec.attention_layers),
         "decoder.attention_layers must be layers, 0 to 4095"),
        (spec.retention == "window" or not spec.attention_layers,
         "decoder.attention_layers needs the retention window"),
        (not spec.is_onnx or as_it_is,
         f"device, {', '.join(MEMORY[:-1])} and {MEMORY[-1]} are for GGUF; leave them out"),
        (spec.file in files, "decoder.file must be listed with its sha256 in [files]"),
        (not spec.is_onnx or EMBEDDINGS_FILE in files,
         f"an ONNX decoder needs {EMBEDDINGS_FILE}, listed with its sha256 in [files]"),
    ]  # fmt: skip
