# SPDX-License-Identifier: Apache-2.0
"""A random vision-language model as a folder: shapes without what was learnt.

What it says has no meaning; what it costs is that of any model of its sizes. The tower is the
smaller part of that.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from edgestream.bench.random_decoder import Shape, gguf_package, random_weights, write_weights
from edgestream.library.byte_letters import BYTE_LETTERS
from edgestream.library.manifest.manifest import MANIFEST

SPECIAL = ("<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<global-img>")
DECODER = Shape(n_layers=6, n_embd=256, n_ff=768, n_heads=4, n_kv_heads=2, n_vocab=260)
IMAGE_PX, PATCH_PX, MERGE = 128, 8, 2  # 256 patches become 64 rows
TOWER_EMBD, TOWER_FF, TOWER_HEADS, TOWER_LAYERS = 128, 384, 2, 8
MAX_TOKENS = 16  # a short sentence
TEXT = f"""\
format = 1
name = "random-vlm"
family = "vlm"
description = "Random weights, for timing"
languages = ["en"]
license = "Apache-2.0"

[tower]
file = "mmproj.gguf"

[decoder]
file = "decoder.gguf"
text_sink = 128
text_window = 256
vision_window_s = 8.0

[prompt]
system = "Say in a sentence what happens here."

[pictures]
fps = 5.0

[policy]
asks = "pictures"
max_tokens = {MAX_TOKENS}

[files]
"""


def write_vlm(folder: Path) -> Path:
    """Writes decoder.gguf, mmproj.gguf and model.toml into the folder and returns it."""
    weights = random_weights(DECODER)
    write_weights(folder / "decoder.gguf", DECODER, weights, "Q8_0", add_tokenizer=_add_tokens)
    _write_tower(folder / "mmproj.gguf")
    text = TEXT
    for name in ("decoder.gguf", "mmproj.gguf"):
        text += f'"{name}" = "{hashlib.sha256((folder / name).read_bytes()).hexdigest()}"\n'
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return folder


def _add_tokens(writer: Any) -> None:
    """Bytes as GPT-2 writes them, and the special tokens of a chat."""
    kind = gguf_package().TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([*sorted(BYTE_LETTERS), *SPECIAL])
    writer.add_token_types([int(kind.NORMAL)] * 256 + [int(kind.CONTROL)] * len(SPECIAL))
    writer.add_token_merges(["t h"])
    writer.add_eos_token_id(256 + SPECIAL.index("<end_of_utterance>"))
    writer.add_add_bos_token(False)


def _write_tower(path: Path) -> None:
    """A SigLIP-shaped tower with the connector of Idefics3."""
    writer = gguf_package().GGUFWriter(path, "clip")
    writer.add_string("clip.projector_type", "idefics3")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.use_gelu", True)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    sizes = {
        "image_size": IMAGE_PX, "patch_size": PATCH_PX, "embedding_length": TOWER_EMBD,
        "feed_forward_length": TOWER_FF, "block_count": TOWER_LAYERS,
        "projection_dim": DECODER.n_embd, "attention.head_count": TOWER_HEADS,
        "projector.scale_factor": MERGE, "preproc_image_size": 2 * IMAGE_PX,
    }  # fmt: skip
    for key, value in sizes.items():
        writer.add_uint32(f"clip.vision.{key}", value)
    rng = np.random.default_rng(1)
    for name, shape in _tower_shapes().items():
        values = np.ones(shape, np.float32)  # of a norm
        if len(shape) > 1:
            values = rng.standard_normal(shape, np.float32) / np.sqrt(np.prod(shape[1:]))
        elif name.endswith("bias"):
            values = np.zeros(shape, np.float32)
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tower_shapes() -> dict[str, tuple[int, ...]]:
    """By name, [output, input]."""
    n, n_positions = TOWER_EMBD, (IMAGE_PX // PATCH_PX) ** 2
    shapes: dict[str, tuple[int, ...]] = {
        "v.patch_embd.weight": (n, 3, PATCH_PX, PATCH_PX),
        "v.patch_embd.bias": (n,),
        "v.position_embd.weight": (n_positions, n),
        "mm.model.fc.weight": (DECODER.n_embd, n * MERGE**2),
    }
    for norm in ["v.post_ln", *(f"v.blk.{i}.ln{k}" for i in range(TOWER_LAYERS) for k in (1, 2))]:
        shapes |= {f"{norm}.weight": (n,), f"{norm}.bias": (n,)}
    for i in range(TOWER_LAYERS):
        sizes = {f"attn_{part}": (n, n) for part in ("q", "k", "v", "out")}
        sizes |= {"ffn_up": (TOWER_FF, n), "ffn_down": (n, TOWER_FF)}
        for part, (n_out, n_in) in sizes.items():
            name = f"v.blk.{i}.{part}"
            shapes |= {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}
    return shapes
