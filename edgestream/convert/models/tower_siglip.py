# SPDX-License-Identifier: Apache-2.0
"""The tower of SmolVLM 2 and Idefics 3: SigLIP (Zhai et al. 2023), pixels shuffled into rows."""

from __future__ import annotations

from collections.abc import Iterator

from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.models.tower import (
    CHANNELS,
    MAX_PIXELS,
    TowerConfig,
    TowerTensor,
    linear,
    norm,
    read_normalization,
    read_preprocessor,
    read_sizes,
)
from edgestream.errors import ModelError
from edgestream.library.json_file import Fields

# What transformers takes where the config of a published checkpoint is silent.
DEFAULTS = {
    "hidden_size": 1152, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 16, "image_size": 224, "patch_size": 32,
}  # fmt: skip
TOWER, CONNECTOR = "model.vision_model", "model.connector.modality_projection.proj.weight"
PARTS = {
    "layer_norm1": "ln1", "layer_norm2": "ln2", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.out_proj": "attn_out",
    "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down",
}  # fmt: skip


def read_tower(checkpoint: Checkpoint, n_out: int) -> TowerConfig:
    """From config.json and preprocessor_config.json; `n_out` is the width of the decoder's rows.

    Raises:
        ModelError: a value is missing, out of range, or not what libmtmd computes.
    """
    vision = checkpoint.config.table("vision_config")
    vision = Fields(DEFAULTS | vision.data, vision.where)
    vision.refuse("hidden_act", "gelu_pytorch_tanh")
    vision.refuse("num_channels", CHANNELS)
    vision.refuse("use_base_siglip")
    preprocessor = read_preprocessor(checkpoint)
    sizes = read_sizes(vision, "num_hidden_layers", "num_attention_heads")
    image_size = vision.integer("image_size", 1, MAX_PIXELS)
    n_merge = checkpoint.config.integer("scale_factor", 1, 64, 2)
    if image_size % (sizes.patch_size * n_merge):
        raise ModelError(
            f"{vision.where}: {image_size} pixels are not whole patches of"
            f" {sizes.patch_size} in groups of {n_merge}"
        )
    return TowerConfig(
        projector="idefics3",
        sizes=sizes,
        normalization=read_normalization(preprocessor),
        image_size=image_size,
        n_merge=n_merge,
        n_out=n_out,
        epsilon=vision.positive("layer_norm_eps", 1e-6),
        gate="gelu",
        tensors=tensors,
        longest_edge=_longest_edge(preprocessor, image_size),
    )


def _longest_edge(preprocessor: Fields, image_size: int) -> int:
    """Pixels to which pictures are brought before they are cut into tiles of `image_size`."""
    tile = preprocessor.table("max_image_size").integer("longest_edge", 1, MAX_PIXELS, image_size)
    if tile != image_size:
        raise ModelError(
            f"{preprocessor.where}: max_image_size {tile} is not the tower's {image_size}"
        )
    return preprocessor.table("size").integer("longest_edge", 1, MAX_PIXELS, image_size)


def tensors(c: TowerConfig) -> Iterator[TowerTensor]:
    """Every tensor of the tower and the connector."""
    d, p, n_ff = c.sizes.n_embd, c.sizes.patch_size, c.sizes.n_ff
    patches = f"{TOWER}.embeddings.patch_embedding"
    yield TowerTensor("v.patch_embd.weight", f"{patches}.weight", (d, CHANNELS, p, p))
    yield TowerTensor("v.patch_embd.bias", f"{patches}.bias", (d,))
    n_patches = (c.image_size // p) ** 2
    positions = f"{TOWER}.embeddings.position_embedding.weight"
    yield TowerTensor("v.position_embd.weight", positions, (n_patches, d))
    for i in range(c.sizes.n_layers):
        for name, part in PARTS.items():
            here, there = f"{TOWER}.encoder.layers.{i}.{name}", f"v.blk.{i}.{part}"
            if part.startswith("ln"):
                yield from norm(there, here, d)
            else:
                n_out, n_in = n_ff if part == "ffn_up" else d, n_ff if part == "ffn_down" else d
                yield from linear(there, here, n_out, n_in)
    yield from norm("v.post_ln", f"{TOWER}.post_layernorm", d)
    yield TowerTensor("mm.model.fc.weight", CONNECTOR, (c.n_out, c.n_merged))
