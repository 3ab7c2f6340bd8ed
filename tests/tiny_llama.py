# SPDX-License-Identifier: Apache-2.0
"""Small random decoders of the llama architecture, written as GGUF files."""

from __future__ import annotations

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
class TinyShape:
    """Hyper-parameters of a tiny llama; widths of 256 suit every quantization."""

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

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_heads


def random_weights(shape: TinyShape, seed: int = 0) -> dict[str, np.ndarray]:
    """Tensors by GGUF name, [output, input] float32."""
    rng = np.random.default_rng(seed)
    kv_width = shape.n_kv_heads * shape.head_dim

    def matrix(n_out: int, n_in: int) -> np.ndarray:
        return (rng.standard_normal((n_out, n_in)) / np.sqrt(n_in)).astype(np.float32)

    def norm() -> np.ndarray:
        return rng.uniform(0.5, 1.5, shape.n_embd).astype(np.float32)

    weights = {"token_embd.weight": 8 * matrix(shape.n_vocab, shape.n_embd)}
    for i in range(shape.n_layers):
        weights |= {
            f"blk.{i}.attn_norm.weight": norm(),
            f"blk.{i}.attn_q.weight": 2 * matrix(shape.n_embd, shape.n_embd),
            f"blk.{i}.attn_k.weight": 2 * matrix(kv_width, shape.n_embd),
            f"blk.{i}.attn_v.weight": matrix(kv_width, shape.n_embd),
            f"blk.{i}.attn_output.weight": matrix(shape.n_embd, shape.n_embd),
            f"blk.{i}.ffn_norm.weight": norm(),
            f"blk.{i}.ffn_gate.weight": matrix(shape.n_ff, shape.n_embd),
            f"blk.{i}.ffn_up.weight": matrix(shape.n_ff, shape.n_embd),
            f"blk.{i}.ffn_down.weight": matrix(shape.n_embd, shape.n_ff),
        }
    weights["output_norm.weight"] = norm()
    if not shape.tied:
        weights["output.weight"] = 4 * matrix(shape.n_vocab, shape.n_embd)
    if shape.rope_factors:
        factors = rng.uniform(1.0, 8.0, shape.head_dim // 2)
        weights["rope_freqs.weight"] = factors.astype(np.float32)
    return weights


def add_metadata(writer: gguf.GGUFWriter, shape: TinyShape) -> None:
    writer.add_block_count(shape.n_layers)
    writer.add_context_length(4096)
    writer.add_embedding_length(shape.n_embd)
    writer.add_feed_forward_length(shape.n_ff)
    writer.add_head_count(shape.n_heads)
    writer.add_head_count_kv(shape.n_kv_heads)
    writer.add_layer_norm_rms_eps(shape.rms_epsilon)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_vocab_size(shape.n_vocab)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([f"<{i}>" for i in range(shape.n_vocab)])
    writer.add_token_scores([0.0] * shape.n_vocab)
    writer.add_token_types([int(gguf.TokenType.NORMAL)] * shape.n_vocab)


def write_gguf(
    path: Path,
    shape: TinyShape,
    weights: dict[str, np.ndarray],
    kind: str = "f32",
    architecture: str = "llama",
) -> Path:
    """Writes `weights` with matrices of the type `kind`; vectors stay float32."""
    plain = path.with_suffix(".f32.gguf") if kind in K_TYPES else path
    matrix_type = PLAIN_TYPES.get(kind, F32)
    writer = gguf.GGUFWriter(plain, architecture)
    add_metadata(writer, shape)
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
