# SPDX-License-Identifier: Apache-2.0
"""Small random decoders of every supported architecture, written as GGUF files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gguf
import llama_cpp
import numpy as np

F32 = gguf.GGMLQuantizationType.F32
PLAIN_TYPES = {
    "f32": F32,
    "f16": gguf.GGMLQuantizationType.F16,
    "bf16": gguf.GGMLQuantizationType.BF16,
    "q4_0": gguf.GGMLQuantizationType.Q4_0,
    "q8_0": gguf.GGMLQuantizationType.Q8_0,
}
# gguf writes no K-quants; libllama's own quantizer does.
K_TYPES = {
    "q4_K": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_S,
    "q6_K": llama_cpp.LLAMA_FTYPE_MOSTLY_Q6_K,
}


@dataclass(frozen=True)
class Traits:
    """In what an architecture differs from llama."""

    pairs_halves: bool = False  # rotation turns i with i + head_dim / 2
    biases: bool = False  # of query, key and value
    head_norms: bool = False  # of query and key
    is_gemma: bool = False  # norms behind attention and feed-forward, GELU, scaled tokens
    unrotated_layer_step: int = 0
    sections: tuple[int, ...] = ()  # pairs of a head of 64 by axis of position
    interleaved: bool = False


ARCHITECTURES = {
    "llama": Traits(),
    "smollm3": Traits(unrotated_layer_step=4),
    "qwen2": Traits(pairs_halves=True, biases=True),
    "qwen3": Traits(pairs_halves=True, head_norms=True),
    "qwen2vl": Traits(pairs_halves=True, biases=True, sections=(8, 12, 12, 0)),
    "qwen3vl": Traits(
        pairs_halves=True, head_norms=True, sections=(12, 10, 10, 0), interleaved=True
    ),
    "gemma3": Traits(pairs_halves=True, head_norms=True, is_gemma=True),
}


@dataclass(frozen=True)
class TinyShape:
    """Hyper-parameters of a tiny decoder; widths of 256 suit every quantization."""

    architecture: str = "llama"
    n_layers: int = 2
    n_embd: int = 256
    n_ff: int = 256
    n_heads: int = 4
    n_kv_heads: int = 2
    n_vocab: int = 96
    rms_epsilon: float = 1e-5
    rope_base: float = 10000.0
    tied: bool = False
    rope_factors: bool = False
    rope_scaling: str = "none"  # or linear or yarn, by
    rope_factor: float = 1.0
    trained_rows: int = 64  # before YaRN
    head_width: int = 0  # 0: n_embd / n_heads
    local_window: int = 0  # of gemma3's local layers; 0: there are none
    local_period: int = 6  # of layers, the last of which is not local
    n_deepstack: int = 0  # layers behind which a part of the row is added

    @property
    def traits(self) -> Traits:
        return ARCHITECTURES[self.architecture]

    @property
    def head_dim(self) -> int:
        return self.head_width or self.n_embd // self.n_heads

    @property
    def query_width(self) -> int:
        return self.n_heads * self.head_dim

    @property
    def kv_width(self) -> int:
        return self.n_kv_heads * self.head_dim

    def is_rotated(self, layer: int) -> bool:
        step = self.traits.unrotated_layer_step
        return not step or (layer + 1) % step != 0

    def reach(self, layer: int) -> int | None:
        """Distance from which on a layer sees nothing."""
        is_global = layer % self.local_period == self.local_period - 1
        return self.local_window if self.local_window and not is_global else None


AddTokenizer = Callable[[gguf.GGUFWriter, TinyShape], None]


def random_weights(shape: TinyShape, seed: int = 0) -> dict[str, np.ndarray]:
    """Tensors by GGUF name, [output, input] float32."""
    rng = np.random.default_rng(seed)

    def matrix(n_out: int, n_in: int) -> np.ndarray:
        return (rng.standard_normal((n_out, n_in)) / np.sqrt(n_in)).astype(np.float32)

    def norm(width: int = shape.n_embd) -> np.ndarray:
        return rng.uniform(0.5, 1.5, width).astype(np.float32)

    weights = {"token_embd.weight": 8 * matrix(shape.n_vocab, shape.n_embd)}
    for i in range(shape.n_layers):
        weights |= {
            f"blk.{i}.attn_norm.weight": norm(),
            f"blk.{i}.attn_q.weight": 2 * matrix(shape.query_width, shape.n_embd),
            f"blk.{i}.attn_k.weight": 2 * matrix(shape.kv_width, shape.n_embd),
            f"blk.{i}.attn_v.weight": matrix(shape.kv_width, shape.n_embd),
            f"blk.{i}.attn_output.weight": matrix(shape.n_embd, shape.query_width),
            f"blk.{i}.ffn_norm.weight": norm(),
            f"blk.{i}.ffn_gate.weight": matrix(shape.n_ff, shape.n_embd),
            f"blk.{i}.ffn_up.weight": matrix(shape.n_ff, shape.n_embd),
            f"blk.{i}.ffn_down.weight": matrix(shape.n_embd, shape.n_ff),
        }
        if shape.traits.biases:
            for name, width in (("q", shape.query_width), ("k", shape.kv_width)):
                weights[f"blk.{i}.attn_{name}.bias"] = norm(width) - 1
            weights[f"blk.{i}.attn_v.bias"] = norm(shape.kv_width) - 1
        if shape.traits.head_norms:
            weights[f"blk.{i}.attn_q_norm.weight"] = norm(shape.head_dim)
            weights[f"blk.{i}.attn_k_norm.weight"] = norm(shape.head_dim)
        if shape.traits.is_gemma:
            weights[f"blk.{i}.post_attention_norm.weight"] = norm()
            weights[f"blk.{i}.post_ffw_norm.weight"] = norm()
    weights["output_norm.weight"] = norm()
    if not shape.tied:
        weights["output.weight"] = 4 * matrix(shape.n_vocab, shape.n_embd)
    if shape.rope_factors:
        factors = rng.uniform(1.0, 8.0, shape.head_dim // 2)
        weights["rope_freqs.weight"] = factors.astype(np.float32)
    return weights


def add_numbered_tokens(writer: gguf.GGUFWriter, shape: TinyShape) -> None:
    writer.add_tokenizer_model("llama")
    writer.add_token_list([f"<{i}>" for i in range(shape.n_vocab)])
    writer.add_token_scores([0.0] * shape.n_vocab)
    writer.add_token_types([int(gguf.TokenType.NORMAL)] * shape.n_vocab)


def add_metadata(
    writer: gguf.GGUFWriter,
    shape: TinyShape,
    add_tokenizer: AddTokenizer = add_numbered_tokens,
) -> None:
    writer.add_block_count(shape.n_layers)
    writer.add_context_length(4096)
    if shape.head_width:
        writer.add_key_length(shape.head_width)
        writer.add_value_length(shape.head_width)
    writer.add_embedding_length(shape.n_embd)
    writer.add_feed_forward_length(shape.n_ff)
    writer.add_head_count(shape.n_heads)
    writer.add_head_count_kv(shape.n_kv_heads)
    writer.add_layer_norm_rms_eps(shape.rms_epsilon)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_rope_dimension_count(shape.head_dim)
    if shape.rope_scaling != "none":
        writer.add_rope_scaling_type(gguf.RopeScalingType(shape.rope_scaling))
        writer.add_rope_scaling_factor(shape.rope_factor)
        writer.add_rope_scaling_orig_ctx_len(shape.trained_rows)
    if shape.traits.sections:
        writer.add_rope_dimension_sections(shape.traits.sections)
    if shape.n_deepstack:
        writer.add_num_deepstack_layers(shape.n_deepstack)
    if shape.local_window:
        writer.add_sliding_window(shape.local_window)
        writer.add_sliding_window_pattern(shape.local_period)
    writer.add_vocab_size(shape.n_vocab)
    add_tokenizer(writer, shape)


def write_gguf(
    path: Path,
    shape: TinyShape,
    weights: dict[str, np.ndarray],
    kind: str = "f32",
    add_tokenizer: AddTokenizer = add_numbered_tokens,
) -> Path:
    """Writes `weights` with matrices of the type `kind`; vectors stay float32."""
    plain = path.with_suffix(".f32.gguf") if kind in K_TYPES else path
    matrix_type = PLAIN_TYPES.get(kind, F32)
    writer = gguf.GGUFWriter(plain, shape.architecture)
    add_metadata(writer, shape, add_tokenizer)
    for name, values in weights.items():
        stored = matrix_type if values.ndim == 2 else F32
        writer.add_tensor(name, gguf.quants.quantize(values, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if kind in K_TYPES:
        params = llama_cpp.llama_model_quantize_default_params()
        params.ftype, params.nthread, params.pure = K_TYPES[kind], 1, True
        assert llama_cpp.llama_model_quantize(str(plain).encode(), str(path).encode(), params) == 0
    return path


def stored_weights(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a GGUF file as they are after quantization, [output, input] float32."""
    return {
        t.name: gguf.quants.dequantize(t.data, t.tensor_type).reshape(tuple(t.shape[::-1]))
        for t in gguf.GGUFReader(path).tensors
    }
