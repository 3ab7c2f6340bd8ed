# SPDX-License-Identifier: Apache-2.0
"""Writes a checkpoint's decoder as a GGUF file."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgestream.convert.gguf.tensors import (
    Source,
    StoredTensor,
    check_shapes,
    write_tensors,
)
from edgestream.convert.models.decoder_config import DecoderConfig
from edgestream.convert.tokenizer.vocabulary import Vocabulary
from edgestream.decoder.tokenizer import NORMALIZER
from edgestream.library.progress import Progress

if TYPE_CHECKING:
    import gguf


def write_gguf_decoder(
    path: Path,
    checkpoint: Source,
    config: DecoderConfig,
    vocabulary: Vocabulary | None,
    kind: str,
    progress: Progress,
    extra: Mapping[str, NDArray[np.float32]] = MappingProxyType({}),
) -> None:
    """Writes `path` with matrices of the type `kind`, f32, f16 or bf16; vectors are float32, and
    so is what the file holds besides, `extra` by its name there.

    Raises:
        ModelError: a tensor is missing, has another shape, or has no place; nothing was written.
    """
    import gguf

    check_tensors(checkpoint, config)
    besides = {**_rope_factors(config), **extra}
    tensors = [_stored(tensor, checkpoint, config, kind) for tensor in config.shapes()]
    tensors += [
        StoredTensor(name, values.shape, "f32", partial(np.asarray, values))
        for name, values in besides.items()
    ]
    with closing(gguf.GGUFWriter(path, config.architecture.gguf)) as writer:
        add_config(writer, config, checkpoint)
        add_vocabulary(writer, vocabulary)
        write_tensors(writer, tensors, "writing", progress)


def check_tensors(checkpoint: Source, config: DecoderConfig) -> None:
    """Raises ModelError unless the checkpoint has exactly the tensors that its config asks for."""
    expected = {name: shape for name, _, shape in config.shapes()}
    # Some files have the embeddings twice.
    check_shapes(checkpoint, expected, allowed=["lm_head.weight"] if config.tied else [])


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
    if rope.sections:
        writer.add_rope_dimension_sections([*rope.sections, 0])  # a fourth axis turns nothing
    if config.n_deepstack:
        writer.add_num_deepstack_layers(config.n_deepstack)
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
    if vocabulary.normalizer:  # libllama has none; our Tokenizer heeds it
        writer.add_string(NORMALIZER, vocabulary.normalizer)
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


def _stored(
    tensor: tuple[str, str, tuple[int, ...]], checkpoint: Source, config: DecoderConfig, kind: str
) -> StoredTensor:
    here, there, shape = tensor

    def read() -> NDArray[Any]:
        return _turned(checkpoint.array(here), here, config)

    return StoredTensor(there, shape, kind if len(shape) == 2 else "f32", read)


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
