# SPDX-License-Identifier: Apache-2.0
"""The towers of Qwen 2.5 VL (Bai et al. 2025), whose layers see windows of the picture, and of
Qwen 3 VL, with learned positions and deepstack's mergers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.models.tower import (
    CHANNELS,
    MAX_COUNT,
    MAX_WIDTH,
    TowerConfig,
    TowerSizes,
    TowerTensor,
    linear,
    norm,
    read_normalization,
    read_preprocessor,
    read_sizes,
)
from edgestream.errors import ModelError
from edgestream.library.json_file import Fields

TOWER = "visual"
N_MERGE, N_TIMES, WINDOW_PIXELS = 2, 2, 112  # all that libmtmd's graphs have
EPSILON = 1e-6  # of the norms; no config.json states it
PATCHES_OF_A_SIDE = 40  # libmtmd asks for a size, but Qwen 2.5's tower takes pictures of any


def read_qwen25(checkpoint: Checkpoint, n_out: int) -> TowerConfig:
    """As tower_siglip.read_tower(), of a Qwen 2.5 VL."""
    vision = checkpoint.config.table("vision_config")
    vision.refuse("hidden_act", "silu")
    vision.refuse("window_size", WINDOW_PIXELS)
    sizes = _sizes(vision, n_out)
    if WINDOW_PIXELS % (sizes.patch_size * N_MERGE):
        raise ModelError(f"{vision.where}: patch_size {sizes.patch_size} does not part a window")
    return TowerConfig(
        projector="qwen2.5vl_merger",
        sizes=sizes,
        normalization=read_normalization(read_preprocessor(checkpoint)),
        image_size=PATCHES_OF_A_SIDE * sizes.patch_size,
        n_merge=N_MERGE,
        n_out=n_out,
        epsilon=EPSILON,
        gate="silu",
        tensors=_tensors_of_qwen25,
        whole_view_step=_whole_view_step(vision, sizes.n_layers),
    )


def read_qwen3(checkpoint: Checkpoint, n_out: int) -> TowerConfig:
    """As tower_siglip.read_tower(), of a Qwen 3 VL."""
    vision = checkpoint.config.table("vision_config")
    vision.refuse("hidden_act", "gelu_pytorch_tanh")
    sizes = _sizes(vision, n_out)
    n_positions = vision.integer("num_position_embeddings", 1, MAX_WIDTH)
    side = math.isqrt(n_positions)
    if side**2 != n_positions:
        raise ModelError(f"{vision.where}: num_position_embeddings {n_positions} is no square")
    return TowerConfig(
        projector="qwen3vl_merger",
        sizes=sizes,
        normalization=read_normalization(read_preprocessor(checkpoint)),
        image_size=side * sizes.patch_size,
        n_merge=N_MERGE,
        n_out=n_out,
        epsilon=EPSILON,
        gate="gelu",
        tensors=_tensors_of_qwen3,
        deepstack_layers=_deepstack_layers(vision, sizes.n_layers),
    )


def _sizes(vision: Fields, n_out: int) -> TowerSizes:
    vision.refuse("in_channels", CHANNELS)
    vision.refuse("in_chans", CHANNELS)
    vision.refuse("spatial_merge_size", N_MERGE)
    vision.refuse("temporal_patch_size", N_TIMES)
    vision.refuse("out_hidden_size", n_out)
    rope = vision.table("rope_parameters")
    rope.refuse("rope_theta", 10000.0)
    return read_sizes(vision, "depth", "num_heads")


def _whole_view_step(vision: Fields, n_layers: int) -> int:
    """From the numbers of the layers that see the whole picture, which must be a regular series."""
    layers = vision.get("fullatt_block_indexes", list)
    whole = layers and all(type(i) is int and 0 <= i < n_layers for i in layers)
    step = layers[0] + 1 if whole else 0
    if not whole or layers != list(range(step - 1, n_layers, step)):
        raise ModelError(
            f"{vision.where}: fullatt_block_indexes {layers!r:.80} are not every so-many-th of"
            f" {n_layers} layers"
        )
    return int(step) if step > 1 else 0  # libmtmd stops the process where no layer uses its mask


def _deepstack_layers(vision: Fields, n_layers: int) -> tuple[int, ...]:
    layers = vision.get("deepstack_visual_indexes", list, [])
    inside = all(type(i) is int and 0 <= i < n_layers for i in layers)
    if not inside or len(layers) > MAX_COUNT or layers != sorted(set(layers)):
        raise ModelError(
            f"{vision.where}: deepstack_visual_indexes {layers!r:.80} are not layers in order"
        )
    return tuple(layers)


def _patches(c: TowerConfig) -> Iterator[TowerTensor]:
    """A convolution over two pictures in time becomes one for each."""
    d, p, here = c.sizes.n_embd, c.sizes.patch_size, f"{TOWER}.patch_embed.proj"
    for time, end in enumerate(("weight", "weight.1")):
        yield TowerTensor(
            f"v.patch_embd.{end}", f"{here}.weight", (d, CHANNELS, N_TIMES, p, p),
            (slice(None), slice(None), time),
        )  # fmt: skip


def _tensors_of_qwen25(c: TowerConfig) -> Iterator[TowerTensor]:
    d, f = c.sizes.n_embd, c.sizes.n_ff
    yield from _patches(c)
    for i in range(c.sizes.n_layers):
        here, there = f"{TOWER}.blocks.{i}", f"v.blk.{i}"
        for n in (1, 2):
            yield TowerTensor(f"{there}.ln{n}.weight", f"{here}.norm{n}.weight", (d,))
        for third, part in enumerate(("attn_q", "attn_k", "attn_v")):
            rows = slice(third * d, (third + 1) * d)
            for end, shape in (("weight", (3 * d, d)), ("bias", (3 * d,))):
                yield TowerTensor(f"{there}.{part}.{end}", f"{here}.attn.qkv.{end}", shape, rows)
        yield from linear(f"{there}.attn_out", f"{here}.attn.proj", d, d)
        yield from linear(f"{there}.ffn_gate", f"{here}.mlp.gate_proj", f, d)
        yield from linear(f"{there}.ffn_up", f"{here}.mlp.up_proj", f, d)
        yield from linear(f"{there}.ffn_down", f"{here}.mlp.down_proj", d, f)
    yield TowerTensor("v.post_ln.weight", f"{TOWER}.merger.ln_q.weight", (d,))
    yield from linear("mm.0", f"{TOWER}.merger.mlp.0", c.n_merged, c.n_merged)
    yield from linear("mm.2", f"{TOWER}.merger.mlp.2", c.n_out, c.n_merged)


def _tensors_of_qwen3(c: TowerConfig) -> Iterator[TowerTensor]:
    d, f = c.sizes.n_embd, c.sizes.n_ff
    n_positions = (c.image_size // c.sizes.patch_size) ** 2
    yield from _patches(c)
    yield TowerTensor("v.patch_embd.bias", f"{TOWER}.patch_embed.proj.bias", (d,))
    yield TowerTensor("v.position_embd.weight", f"{TOWER}.pos_embed.weight", (n_positions, d))
    for i in range(c.sizes.n_layers):
        here, there = f"{TOWER}.blocks.{i}", f"v.blk.{i}"
        for n in (1, 2):
            yield from norm(f"{there}.ln{n}", f"{here}.norm{n}", d)
        yield from linear(f"{there}.attn_qkv", f"{here}.attn.qkv", 3 * d, d)
        yield from linear(f"{there}.attn_out", f"{here}.attn.proj", d, d)
        yield from linear(f"{there}.ffn_up", f"{here}.mlp.linear_fc1", f, d)
        yield from linear(f"{there}.ffn_down", f"{here}.mlp.linear_fc2", d, f)
    yield from norm("v.post_ln", f"{TOWER}.merger.norm", d)
    yield from _merger("mm.0", "mm.2", f"{TOWER}.merger", c)
    for i, layer in enumerate(c.deepstack_layers):
        here, there = f"{TOWER}.deepstack_merger_list.{i}", f"v.deepstack.{layer}"
        yield from norm(f"{there}.norm", f"{here}.norm", c.n_merged)
        yield from _merger(f"{there}.fc1", f"{there}.fc2", here, c)


def _merger(first: str, second: str, here: str, c: TowerConfig) -> Iterator[TowerTensor]:
    yield from linear(first, f"{here}.linear_fc1", c.n_merged, c.n_merged)
    yield from linear(second, f"{here}.linear_fc2", c.n_out, c.n_merged)
