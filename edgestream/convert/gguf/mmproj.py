# SPDX-License-Identifier: Apache-2.0
"""Writes a vision tower as libmtmd reads it: the GGUF file that llama.cpp calls mmproj."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from edgestream.convert.gguf.tensors import (
    Source,
    StoredTensor,
    check_shapes,
    write_tensors,
)
from edgestream.convert.models.tower import TowerConfig, TowerTensor
from edgestream.library.progress import Progress

if TYPE_CHECKING:
    import gguf

ARCHITECTURE = "clip"  # llama.cpp's name for every tower


def write_mmproj(
    path: Path, source: Source, config: TowerConfig, kind: str, progress: Progress
) -> None:
    """Writes `path` with matrices of the type `kind`, f32 or f16. Vectors, positions and what
    patches are convolved with are float32: they are small, and libmtmd adds them as they are.

    Raises:
        ModelError: a tensor is missing, has another shape, or has no place; nothing was written.
    """
    import gguf

    tensors = list(config.tensors(config))
    check_shapes(source, {tensor.here: tensor.shape for tensor in tensors})
    with closing(gguf.GGUFWriter(path, ARCHITECTURE)) as writer:
        _add_config(writer, config, source)
        stored = [_stored(tensor, source, kind) for tensor in tensors]
        write_tensors(writer, stored, "tower", progress)


def _stored(tensor: TowerTensor, source: Source, kind: str) -> StoredTensor:
    def read() -> NDArray[Any]:
        part: NDArray[Any] = source.array(tensor.here)[tensor.index]
        return part

    shape = tensor.stored_shape
    is_matrix = len(shape) == 2 and not tensor.there.startswith("v.position_embd")
    return StoredTensor(tensor.there, shape, kind if is_matrix else "f32", read)


def _add_config(writer: gguf.GGUFWriter, c: TowerConfig, source: Source) -> None:
    """Hyper-parameters as GGUF's metadata."""
    import gguf

    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_license(source.license())
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type(c.projector)
    writer.add_vision_block_count(c.sizes.n_layers)
    writer.add_vision_embedding_length(c.sizes.n_embd)
    writer.add_vision_feed_forward_length(c.sizes.n_ff)
    writer.add_vision_head_count(c.sizes.n_heads)
    writer.add_vision_attention_layernorm_eps(c.epsilon)
    writer.add_vision_projection_dim(c.n_out)
    writer.add_vision_image_size(c.image_size)
    writer.add_vision_patch_size(c.sizes.patch_size)
    writer.add_vision_image_mean(c.normalization.mean)
    writer.add_vision_image_std(c.normalization.deviation)
    if c.gate == "silu":
        writer.add_vision_use_silu(True)
    else:
        writer.add_vision_use_gelu(True)
    if c.longest_edge:
        writer.add_vision_preproc_image_size(c.longest_edge)
        writer.add_vision_projector_scale_factor(c.n_merge)
    else:
        writer.add_vision_spatial_merge_size(c.n_merge)
    if c.whole_view_step is not None:
        writer.add_vision_n_wa_pattern(c.whole_view_step)
    if c.deepstack_layers:
        flags = [layer in c.deepstack_layers for layer in range(c.sizes.n_layers)]
        writer.add_vision_is_deepstack_layers(flags)
