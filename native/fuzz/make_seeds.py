# SPDX-License-Identifier: Apache-2.0
"""Seeds for the fuzz targets: small valid files to start from.

python native/fuzz/make_seeds.py FOLDER   makes FOLDER/gguf_model_fuzz and FOLDER/saved_state_fuzz
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from tiny_llama import ARCHITECTURES, TinyShape, random_weights, write_gguf

SMALL = {"n_layers": 1, "n_embd": 32, "n_ff": 32, "n_heads": 2, "n_kv_heads": 1, "n_vocab": 8}
SHAPES = {
    "plain": TinyShape(**SMALL),
    "tied": TinyShape(**SMALL, tied=True),
    "rope-factors": TinyShape(**SMALL, rope_factors=True),
    "deepstack": TinyShape(
        **SMALL | {"n_layers": 2}, architecture="qwen3vl", head_width=64, n_deepstack=1
    ),
} | {name: TinyShape(**SMALL, architecture=name, head_width=64) for name in ARCHITECTURES}


def write_models(folder: Path) -> None:
    """Of every shape and type, as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, shape in SHAPES.items():
        for kind in ("f32", "f16", "q8_0", "q4_0"):
            write_gguf(folder / f"{name}-{kind}.gguf", shape, random_weights(shape), kind)


def write_changes(folder: Path) -> None:
    """To a saved state, as saved_state_fuzz.cc reads them: memory, then index and value of each."""
    folder.mkdir(parents=True, exist_ok=True)
    for memory in range(5):
        for index in range(0, 64, 2):  # numbers of the plan; odd ones are bytes of the ring
            change = struct.pack("<B HQ HQ", 2 * memory, index, 2**63, index + 1, 0x7F)
            (folder / f"{memory}-{index}").write_bytes(change)


def main() -> None:
    folder = Path(sys.argv[1])
    write_models(folder / "gguf_model_fuzz")
    write_changes(folder / "saved_state_fuzz")


if __name__ == "__main__":
    main()
