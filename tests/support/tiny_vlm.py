# SPDX-License-Identifier: Apache-2.0
"""Small random vision-language models: a decoder with a chat vocabulary, and a vision tower."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from tiny_llama import TinyShape, random_weights, write_gguf

# Letters as GPT-2 writes bytes.
PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
OTHERS = [byte for byte in range(256) if byte not in PRINTABLE]
LETTERS = [chr(byte) for byte in PRINTABLE] + [chr(256 + i) for i in range(len(OTHERS))]
MERGES = ["t h", "th e", "i n", ". .", ".. .", "Ġ ..."]
SPECIAL = [
    "<|im_start|>", "<|im_end|>", "<end_of_utterance>", "<fake_token_around_image>",
    "<global-img>", "<image>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
]  # fmt: skip
TOKENS = [*LETTERS, *(merge.replace(" ", "") for merge in MERGES), *SPECIAL]


@dataclass(frozen=True)
class TinyTower:
    """The smallest of each kind that libmtmd takes; `n_out` is the decoder's width."""

    projector: str
    decoder: str  # its architecture
    image_size: int = 64
    patch_size: int = 8
    n_merge: int = 2
    n_embd: int = 32
    n_heads: int = 2
    n_ff: int = 48
    n_layers: int = 2
    n_out: int = 64
    deepstack: tuple[int, ...] = ()  # layers whose rows go to the decoder's layers

    @property
    def row_width(self) -> int:
        return self.n_out * (1 + len(self.deepstack))

    @property
    def is_smol(self) -> bool:
        return self.projector == "idefics3"

    @property
    def fused(self) -> bool:
        return self.projector == "qwen3vl_merger"


TOWERS = {
    "smolvlm": TinyTower("idefics3", "llama"),
    "qwen2.5vl": TinyTower("qwen2.5vl_merger", "qwen2vl"),
    "qwen3vl": TinyTower("qwen3vl_merger", "qwen3vl", deepstack=(0, 1)),
}


def add_chat_tokens(writer: gguf.GGUFWriter, shape: TinyShape, special: int = len(SPECIAL)) -> None:
    """A GPT-2 vocabulary whose first `special` of SPECIAL mean what they say."""
    control = [gguf.TokenType.CONTROL] * special
    kinds = [*[gguf.TokenType.NORMAL] * (len(TOKENS) - special), *control]
    names = TOKENS if special else [t.replace("<|", "<") for t in TOKENS]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(names)
    writer.add_token_types([int(kind) for kind in kinds])
    writer.add_token_merges(MERGES)
    end = "<end_of_utterance>" if shape.architecture == "llama" else "<|im_end|>"
    writer.add_eos_token_id(TOKENS.index(end))
    writer.add_add_bos_token(False)


def write_chat_decoder(path: Path, tower: TinyTower, seed: int = 0) -> Path:
    """A decoder that takes the tower's rows, float32."""
    heads = {"n_heads": 1, "n_kv_heads": 1} if tower.decoder != "llama" else {}
    shape = TinyShape(
        architecture=tower.decoder, n_embd=tower.n_out, n_ff=96, n_vocab=len(TOKENS),
        n_layers=2 + len(tower.deepstack), n_deepstack=len(tower.deepstack), **heads
    )  # fmt: skip
    return write_gguf(path, shape, random_weights(shape, seed), add_tokenizer=add_chat_tokens)


class _Weights(dict[str, np.ndarray]):
    """Random tensors by name, [output, input] float32."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def add(self, name: str, *shape: int, scale: float = 1.0) -> None:
        self[name] = (scale * self.rng.normal(size=shape)).astype(np.float32)

    def linear(self, name: str, n_in: int, n_out: int) -> None:
        self.add(f"{name}.weight", n_out, n_in, scale=n_in**-0.5)
        self.add(f"{name}.bias", n_out, scale=0.1)

    def norm(self, name: str, width: int, *, bias: bool) -> None:
        self[f"{name}.weight"] = self.rng.uniform(0.5, 1.5, width).astype(np.float32)
        if bias:
            self.add(f"{name}.bias", width, scale=0.1)

    def patches(self, tower: TinyTower) -> None:
        shape = (tower.n_embd, 3, tower.patch_size, tower.patch_size)
        self.add("v.patch_embd.weight", *shape, scale=1 / tower.patch_size)
        if not tower.is_smol:
            self.add("v.patch_embd.weight.1", *shape, scale=1 / tower.patch_size)
        if tower.is_smol or tower.fused:
            self.add("v.patch_embd.bias", tower.n_embd, scale=0.1)
            n_positions = (tower.image_size // tower.patch_size) ** 2
            self.add("v.position_embd.weight", n_positions, tower.n_embd)

    def layer(self, tower: TinyTower, name: str) -> None:
        n = tower.n_embd
        self.norm(f"{name}.ln1", n, bias=tower.is_smol or tower.fused)
        self.norm(f"{name}.ln2", n, bias=tower.is_smol or tower.fused)
        for part in ("qkv",) if tower.fused else ("q", "k", "v"):
            self.linear(f"{name}.attn_{part}", n, len(part) * n)
        self.linear(f"{name}.attn_out", n, n)
        for part in ("up",) if tower.is_smol or tower.fused else ("up", "gate"):
            self.linear(f"{name}.ffn_{part}", n, tower.n_ff)
        self.linear(f"{name}.ffn_down", tower.n_ff, n)


def tower_weights(tower: TinyTower, seed: int = 0) -> dict[str, np.ndarray]:
    """Tensors by name, [output, input] float32."""
    weights, merged = _Weights(seed), tower.n_embd * tower.n_merge**2
    weights.patches(tower)
    for i in range(tower.n_layers):
        weights.layer(tower, f"v.blk.{i}")
    weights.norm("v.post_ln", tower.n_embd, bias=tower.is_smol or tower.fused)
    if tower.is_smol:
        weights.add("mm.model.fc.weight", tower.n_out, merged, scale=merged**-0.5)
    else:
        weights.linear("mm.0", merged, merged)
        weights.linear("mm.2", merged, tower.n_out)
    for i in tower.deepstack:
        weights.norm(f"v.deepstack.{i}.norm", merged, bias=True)
        weights.linear(f"v.deepstack.{i}.fc1", merged, merged)
        weights.linear(f"v.deepstack.{i}.fc2", merged, tower.n_out)
    return dict(weights)


def write_tower(
    path: Path,
    tower: TinyTower,
    weights: dict[str, np.ndarray] | None = None,
    **changes: object,
) -> Path:
    """An mmproj file; `changes` replace or add keys of clip.vision by (kind, value), None drops."""
    keys: dict[str, object] = {
        "image_size": tower.image_size,
        "patch_size": tower.patch_size,
        "embedding_length": tower.n_embd,
        "feed_forward_length": tower.n_ff,
        "block_count": tower.n_layers,
        "projection_dim": tower.n_out,
        "attention.head_count": tower.n_heads,
    }
    if tower.is_smol:
        keys |= {"projector.scale_factor": tower.n_merge, "preproc_image_size": 128}
    else:
        keys["spatial_merge_size"] = tower.n_merge
    if tower.projector == "qwen2.5vl_merger":
        keys["n_wa_pattern"] = 2
    keys |= changes
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_string("clip.projector_type", tower.projector)
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.use_silu" if "n_wa_pattern" in keys else "clip.use_gelu", True)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    if "image_mean" not in keys:
        writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    for key, value in keys.items():
        if isinstance(value, int):
            writer.add_uint32(f"clip.vision.{key}", value)
        elif value is not None:
            writer.add_key_value(f"clip.vision.{key}", value[1], value[0])
    for name, values in (tower_weights(tower) if weights is None else weights).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def pictures(n: int, width: int = 96, height: int = 64, seed: int = 0) -> list[np.ndarray]:
    """A noisy background and a bright square that walks over it."""
    rng = np.random.default_rng(seed)
    background = rng.integers(0, 160, (height, width, 3)).astype(np.uint8)
    frames = []
    for i in range(n):
        frame = background.copy()
        x = 8 * i % (width - 16)
        frame[16:32, x : x + 16] = (250, 40 * (i % 6), 20)
        frames.append(frame)
    return frames
