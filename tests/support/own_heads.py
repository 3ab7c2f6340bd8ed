# SPDX-License-Identifier: Apache-2.0
"""A GGUF file in which every query head has keys and values of its own, copies of those it shared.

It computes the same, but nothing is left that the ring multiplies in another order than libllama.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

SHARED = ("attn_k.weight", "attn_v.weight", "attn_k.bias", "attn_v.bias")


def write_own_heads(source: Path, target: Path) -> Path:
    """Copies `source` with the rows of each key and value head repeated; returns `target`."""
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    heads = {
        name: int(reader.fields[f"{architecture}.attention.{name}"].contents())
        for name in ("head_count", "head_count_kv")
    }
    group = heads["head_count"] // heads["head_count_kv"]
    writer = gguf.GGUFWriter(target, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = heads["head_count"] if name.endswith(".head_count_kv") else field.contents()
        kinds = field.types
        writer.add_key_value(name, value, kinds[0], kinds[-1] if len(kinds) > 1 else None)
    for tensor in reader.tensors:
        data = tensor.data
        if tensor.name.endswith(SHARED):
            rows = data.reshape(heads["head_count_kv"], -1, *data.shape[1:])
            data = np.repeat(rows, group, axis=0).reshape(-1, *data.shape[1:])
        writer.add_tensor(tensor.name, data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target
