# SPDX-License-Identifier: Apache-2.0
"""Writes a checkpoint's decoder as a GGUF file, tensor by tensor: one is in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgestream.convert.architecture import DecoderConfig
from edgestream.convert.vocabulary import Vocabulary
from edgestream.errors import ModelError

if TYPE_CHECKING:
    import gguf

Step = Callable[[int, int], None]  # done, in all


class Source(Protocol):
    """Tensors by their names in a decoder's checkpoint: a Checkpoint, or a view of one."""

    folder: Path
    model_type: str

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of each tensor by name."""

    @property
    def dtype(self) -> str:
        """F32, F16 or BF16: the type of most matrices."""

    def array(self, name: str) -> NDArray[Any]:
        """A tensor as stored: float32, float16 or bfloat16."""

    def license(self) -> str:
        """The licence of the weights."""


PLAIN_TYPES = {"f32": 4, "f16": 2, "bf16": 2}  # bytes of a number


def write_gguf_decoder(
    path: Path,
    checkpoint: Source,
    config: DecoderConfig,
    vocabulary: Vocabulary | None,
    kind: str,
    step: Step,
    extra: Mapping[str, NDArray[np.float32]] = MappingProxyType({}),
) -> None:
    """Writes `path` with matrices of the type `kind`, f32, f16 or bf16; vectors are float32, and
    so is what the file holds besides, `extra` by its name there.

    Raises:
        ModelError: a tensor is missing, has another shape, or has no place; nothing was written.
    """
    import gguf

    check_tensors(checkpoint, config)
    tensors = list(config.shapes())
    with closing(gguf.GGUFWriter(path, config.architecture.gguf)) as writer:
        add_config(writer, config, checkpoint)
        add_vocabulary(writer, vocabulary)
        besides = {**_rope_factors(config), **extra}
        for name, shape, stored in [
            *((there, shape, _stored(shape, kind)) for _, there, shape in tensors),
            *((name, values.shape, "f32") for name, values in besides.items()),
        ]:
            n_bytes = int(np.prod(shape, dtype=np.int64)) * PLAIN_TYPES[stored]
            raw = gguf.GGMLQuantizationType[stored.upper()]
            writer.add_tensor_info(name, shape, np.dtype(np.float32), n_bytes, raw)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for i, (here, _, shape) in enumerate(tensors):
            values = _turned(checkpoint.array(here), here, config)
            writer.write_tensor_data(_cast(values, _stored(shape, kind), here))
            step(i + 1, len(tensors))
        for values in besides.values():
            writer.write_tensor_data(values)


def check_tensors(checkpoint: Source, config: DecoderConfig) -> None:
    """Raises ModelError unless the checkpoint has exactly the tensors that its config asks for."""
    shapes = dict(checkpoint.shapes)
    for name, _, shape in config.shapes():
        if name not in shapes:
            raise ModelError(f"{checkpoint.folder}: the tensor {name} is missing")
        if shapes.pop(name) != shape:
            met = list(checkpoint.shapes[name])
            raise ModelError(
                f"{checkpoint.folder}: {name} has the shape {met}, its config asks for"
                f" {list(shape)}"
            )
    if config.tied:
        shapes.pop("lm_head.weight", None)  # some files have the embeddings twice
    others = [name for name in shapes if not name.endswith("rotary_emb.inv_freq")]
    if others:
        raise ModelError(
            f"{checkpoint.folder}: the tensor {others[0]!r:.100} has no place in"
            f" {checkpoint.model_type}"
        )


def add_config(writer: gguf.GGUFWriter, config: DecoderConfig, checkpoint: Source) -> None:
    """Hyper-parameters as GGUF's metadata."""
    import gguf

    writer.add_license(checkpoint.license())
    writer.add_block_count(config.n_layers)
    writer.add_context_length(config.n_rows)
    writer.add_embedding_length(config.n_embd)
    writer.add_feed_forward_length(config.n_ff)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_epsilon)
    writer.add_vocab_size(config.n_vocab)
    rope = config.rope
    writer.add_rope_freq_base(rope.theta)
    if rope.scaling != "none":
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope.scaling))
        writer.add_rope_scaling_factor(rope.factor)
    if rope.n_trained_rows:
        writer.add_rope_scaling_orig_ctx_len(rope.n_trained_rows)
    if config.local_rows:
        writer.add_sliding_window(config.local_rows)
        writer.add_sliding_window_pattern(config.local_period)
        writer.add_rope_freq_base_swa(config.local_theta)


def add_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary | None) -> None:
    """The tokenizer as GGUF's metadata."""
    if vocabulary is None:
        writer.add_tokenizer_model("no_vocab")
        return
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types([int(kind) for kind in vocabulary.types])
    if vocabulary.scores:
        writer.add_token_scores(vocabulary.scores)
    if vocabulary.merges:
        writer.add_token_merges(vocabulary.merges)
    for role, token in vocabulary.roles.items():
        getattr(writer, f"add_{role}_token_id")(token)
    writer.add_add_bos_token(vocabulary.add_bos)
    writer.add_add_eos_token(vocabulary.add_eos)
    writer.add_add_space_prefix(vocabulary.add_space_prefix)
    if vocabulary.chat_template:
        writer.add_chat_template(vocabulary.chat_template.encode("utf-8", "replace").decode())


def write_vocabulary(path: Path, architecture: str, vocabulary: Vocabulary) -> None:
    """A GGUF file with a tokenizer alone, for decoders of other formats."""
    import gguf

    with closing(gguf.GGUFWriter(path, architecture)) as writer:
        add_vocabulary(writer, vocabulary)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()


def _rope_factors(config: DecoderConfig) -> dict[str, NDArray[np.float32]]:
    factors = config.rope.factors
    return {"rope_freqs.weight": np.array(factors, np.float32)} if factors else {}


def _stored(shape: tuple[int, ...], kind: str) -> str:
    return kind if len(shape) == 2 else "f32"


def _turned(values: NDArray[Any], name: str, config: DecoderConfig) -> NDArray[Any]:
    """A tensor as GGUF's graph of the architecture wants it."""
    if config.architecture.is_gemma and values.ndim == 1:
        return values.astype(np.float32) + np.float32(1)
    heads = {"q_proj.weight": config.n_heads, "k_proj.weight": config.n_kv_heads}
    n_heads = heads.get(name.split("self_attn.")[-1])
    if config.architecture.pairs_neighbours and n_heads:
        halves = values.reshape(n_heads, 2, -1, values.shape[1])
        return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape)
    return values


def _cast(values: NDArray[Any], kind: str, name: str) -> NDArray[Any]:
    import ml_dtypes

    dtypes = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
    with np.errstate(over="ignore"):
        cast: NDArray[Any] = values.astype(dtypes[kind])
    if kind == "f16" and not np.isfinite(cast).all():
        raise ModelError(f"{name} holds numbers that float16 cannot; convert with --quant bf16")
    return cast
