# SPDX-License-Identifier: Apache-2.0
"""A random Whisper in the form of CTranslate2, as faster-whisper keeps it."""

from __future__ import annotations

import json
import struct

import numpy as np
import tiny_whisper as tiny

KINDS = {"float32": 0, "int8": 1, "int16": 2, "float16": 4}
GELU = 3


def variables(tensors: dict, config: dict = tiny.CONFIG) -> dict[str, np.ndarray]:
    """Names and numbers as CTranslate2's converter writes them."""
    t, found = tensors, {}

    def norm(name, module):
        found[name + "/gamma"], found[name + "/beta"] = t[module + ".weight"], t[module + ".bias"]

    def linear(name, *modules):
        found[name + "/weight"] = np.concatenate([t[m + ".weight"] for m in modules])
        none = np.zeros(len(t[modules[0] + ".weight"]), np.float32)
        found[name + "/bias"] = np.concatenate([t.get(m + ".bias", none) for m in modules])

    for side in ("encoder", "decoder"):
        at = f"model.{side}."
        found[f"{side}/num_heads"] = np.int16(config[f"{side}_attention_heads"])
        found[f"{side}/position_encodings/encodings"] = t[at + "embed_positions.weight"]
        norm(f"{side}/layer_norm", at + "layer_norm")
        for i in range(config[f"{side}_layers"]):
            layer, m = f"{side}/layer_{i}", f"{at}layers.{i}."
            norm(f"{layer}/self_attention/layer_norm", m + "self_attn_layer_norm")
            linear(f"{layer}/self_attention/linear_0", *(f"{m}self_attn.{p}_proj" for p in "qkv"))
            linear(f"{layer}/self_attention/linear_1", m + "self_attn.out_proj")
            norm(f"{layer}/ffn/layer_norm", m + "final_layer_norm")
            linear(f"{layer}/ffn/linear_0", m + "fc1")
            linear(f"{layer}/ffn/linear_1", m + "fc2")
            if side == "decoder":
                norm(f"{layer}/attention/layer_norm", m + "encoder_attn_layer_norm")
                linear(f"{layer}/attention/linear_0", m + "encoder_attn.q_proj")
                linear(f"{layer}/attention/linear_1", *(f"{m}encoder_attn.{p}_proj" for p in "kv"))
                linear(f"{layer}/attention/linear_2", m + "encoder_attn.out_proj")
    for i in (1, 2):
        linear(f"encoder/conv{i}", f"model.encoder.conv{i}")
    found["decoder/embeddings/weight"] = t["model.decoder.embed_tokens.weight"]
    found["decoder/activation"], found["decoder/pre_norm"] = np.int8(GELU), np.int8(1)
    found["decoder/scale_embeddings"], found["decoder/alignment_layer"] = np.int8(0), np.int16(-1)
    return found


def stored(found: dict, kind: str) -> dict[str, np.ndarray]:
    """The same in another type; int8 with a scale for each row of a matrix."""
    out = {}
    for name, values in sorted(found.items()):
        if np.ndim(values) == 0 or kind == "float32":
            out[name] = values
        elif kind == "int8" and np.ndim(values) == 2 and "encodings" not in name:
            scales = 127 / np.abs(values).max(1)
            out[name] = np.rint(values * scales[:, None]).astype(np.int8)
            out[name + "_scale"] = scales.astype(np.float32)
        else:
            out[name] = values.astype(np.float16 if kind == "float16" else np.float32)
    return out


def text(value: str) -> bytes:
    """As names are stored."""
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def model_bin(found: dict, *, spec: str = "WhisperSpec", version: int = 6) -> bytes:
    """The file's bytes."""
    parts = [struct.pack("<I", version), text(spec), struct.pack("<II", 3, len(found))]
    for name, values in found.items():
        values = np.asarray(values)
        shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
        kind = struct.pack("<BI", KINDS[values.dtype.name], values.nbytes)
        parts += [text(name), shape, kind, values.tobytes()]
    aliases = [text("decoder/projection/weight"), text("decoder/embeddings/weight")]
    return b"".join([*parts, struct.pack("<I", 1), *aliases])


def write(folder, tensors: dict, kind: str = "float16"):
    """The folder as it lies in a cache; returns it."""
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(model_bin(stored(variables(tensors), kind)))
    config = {
        "alignment_heads": [[1, 0], [1, 3]], "lang_ids": [tiny.FIRST_LANGUAGE],
        "suppress_ids": tiny.GENERATION["suppress_tokens"],
        "suppress_ids_begin": tiny.GENERATION["begin_suppress_tokens"],
    }  # fmt: skip
    for name, data in (("config.json", config), ("tokenizer.json", tiny.tokenizer())):
        (folder / name).write_text(json.dumps(data), encoding="utf-8")
    (folder / "vocabulary.txt").write_text("a\n", encoding="utf-8")
    return folder
