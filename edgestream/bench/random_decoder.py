# SPDX-License-Identifier: Apache-2.0
"""Random decoders of the llama architecture as GGUF files: shapes without what was learnt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import UsageError

BLOCK_WEIGHTS = 32  # of q8_0, with one float16 scale each
ROPE_BASE = 10_000.0
RMS_EPSILON = 1e-5
Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Shape:
    """Hyper-parameters of a llama; the output is tied to the token embeddings."""

    n_layers: int
    n_embd: int
    n_ff: int
    n_heads: int
    n_kv_heads: int
    n_vocab: int

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.n_embd // self.n_heads

    def matrices(self) -> Iterator[tuple[str, int, int]]:
        """GGUF name, width of the output, width of the input of every matrix."""
        kv_width = self.n_kv_heads * self.head_dim
        yield "token_embd.weight", self.n_vocab, self.n_embd
        for i in range(self.n_layers):
            yield f"blk.{i}.attn_q.weight", self.n_embd, self.n_embd
            yield f"blk.{i}.attn_k.weight", kv_width, self.n_embd
            yield f"blk.{i}.attn_v.weight", kv_width, self.n_embd
            yield f"blk.{i}.attn_output.weight", self.n_embd, self.n_embd
            yield f"blk.{i}.ffn_gate.weight", self.n_ff, self.n_embd
            yield f"blk.{i}.ffn_up.weight", self.n_ff, self.n_embd
            yield f"blk.{i}.ffn_down.weight", self.n_embd, self.n_ff

    def norms(self) -> Iterator[str]:
        """GGUF name of every norm, [n_embd] each."""
        for i in range(self.n_layers):
            yield f"blk.{i}.attn_norm.weight"
            yield f"blk.{i}.ffn_norm.weight"
        yield "output_norm.weight"


HALF_BILLION = Shape(24, 896, 4864, 14, 2, 151_936)  # Qwen2.5-0.5B's
TINY = Shape(2, 256, 256, 4, 4, 96)  # each head has keys of its own: sums in libllama's order


def random_weights(shape: Shape, seed: int = 0) -> Weights:
    """Float32 [output, input] and [n_embd] by GGUF name, such that activations keep their size."""
    rng = np.random.default_rng(seed)
    weights: Weights = {}
    for name, n_out, n_in in shape.matrices():
        scale = 4.0 if name.startswith("token_embd") else 1.0
        values = rng.standard_normal((n_out, n_in), np.float32)
        weights[name] = values * np.float32(scale / np.sqrt(n_in))
    for name in shape.norms():
        weights[name] = rng.uniform(0.5, 1.5, shape.n_embd).astype(np.float32)
    return weights


def write_weights(
    path: Path,
    shape: Shape,
    weights: Weights,
    kind: str,
    add_tokenizer: Callable[[Any], None] | None = None,
) -> Path:
    """Writes matrices as `kind` (F32, F16 or Q8_0), norms as float32; without a vocabulary unless
    `add_tokenizer` gives the writer one."""
    gguf = gguf_package()
    stored = gguf.GGMLQuantizationType[kind]
    writer = _writer(path, shape, add_tokenizer)
    for name, values in weights.items():
        dtype = stored if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(values, dtype), raw_dtype=dtype)
    return _finish(writer, path)


def write_for_timing(path: Path, shape: Shape, seed: int = 0) -> Path:
    """Writes q8_0 matrices that are random by the block: quick also for half a billion weights.

    All begin alike, which changes no timing; what a decoder of them says has no meaning.
    """
    q8_0 = gguf_package().GGMLQuantizationType.Q8_0
    n_blocks = max(n_out * n_in for _, n_out, n_in in shape.matrices()) // BLOCK_WEIGHTS
    pool = np.empty(n_blocks, [("scale", "<f2"), ("weights", "i1", BLOCK_WEIGHTS)])
    pool["scale"] = 1 / (64 * np.sqrt(shape.n_embd))
    rng = np.random.default_rng(seed)
    pool["weights"] = rng.integers(-127, 128, (n_blocks, BLOCK_WEIGHTS), np.int8)
    block_bytes = pool.view(np.uint8).reshape(n_blocks, -1)
    writer = _writer(path, shape)
    for name, n_out, n_in in shape.matrices():
        values = block_bytes[: n_out * n_in // BLOCK_WEIGHTS].reshape(n_out, -1)
        writer.add_tensor(name, values, raw_dtype=q8_0)
    for name in shape.norms():
        writer.add_tensor(name, np.ones(shape.n_embd, np.float32))
    return _finish(writer, path)


def _writer(path: Path, shape: Shape, add_tokenizer: Callable[[Any], None] | None = None) -> Any:
    writer = gguf_package().GGUFWriter(path, "llama")
    writer.add_block_count(shape.n_layers)
    writer.add_context_length(1 << 20)
    writer.add_embedding_length(shape.n_embd)
    writer.add_feed_forward_length(shape.n_ff)
    writer.add_head_count(shape.n_heads)
    writer.add_head_count_kv(shape.n_kv_heads)
    writer.add_layer_norm_rms_eps(RMS_EPSILON)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_vocab_size(shape.n_vocab)
    if add_tokenizer:
        add_tokenizer(writer)
    else:
        writer.add_tokenizer_model("no_vocab")
    return writer


def _finish(writer: Any, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gguf_package() -> Any:
    """The package that writes GGUF; raises UsageError where it is missing."""
    try:
        import gguf
    except ImportError:
        raise UsageError(
            "bench: random models are written with gguf; pip install 'edgestream[bench]'"
        ) from None
    return gguf
