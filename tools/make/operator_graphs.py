# SPDX-License-Identifier: Apache-2.0
"""Writes the one-node graphs by which edgestream tries out onnxruntime's operators at start.

python tools/make/operator_graphs.py edgestream/data/operators
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
INTEGERS = {"index": TensorProto.INT64, "last": TensorProto.INT32, "total": TensorProto.INT32}


def graphs() -> dict[str, bytes]:
    """The files by their operator's name."""
    return {
        "TensorScatter": _model(
            helper.make_node("TensorScatter", ["past", "rows", "index"], ["y"], axis=2),
            {"past": [1, 2, 10, 8], "rows": [1, 2, 3, 8], "index": [1]}, [1, 2, 10, 8],
        ),
        "Attention": _model(
            helper.make_node("Attention", ["q", "k", "v", "bias"], ["y"]),
            {"q": [1, 4, 3, 8], "k": [1, 2, 10, 8], "v": [1, 2, 10, 8], "bias": [1, 1, 3, 10]},
            [1, 4, 3, 8],
        ),
        "RotaryEmbedding": _model(
            helper.make_node("RotaryEmbedding", ["x", "cos", "sin"], ["y"], num_heads=2),
            {"x": [1, 3, 16], "cos": [1, 3, 4], "sin": [1, 3, 4]}, [1, 3, 16],
        ),
        "RMSNormalization": _model(
            helper.make_node("RMSNormalization", ["x", "scale"], ["y"], axis=-1, epsilon=1e-5),
            {"x": [1, 3, 16], "scale": [16]}, [1, 3, 16],
        ),
        "GroupQueryAttention": _model(
            helper.make_node(
                "GroupQueryAttention", ["q", "k", "v", "past_k", "past_v", "last", "total"],
                ["y", "present_k", "present_v"], domain="com.microsoft",
                num_heads=4, kv_num_heads=2,
            ),
            {"q": [1, 1, 32], "k": [1, 1, 16], "v": [1, 1, 16], "past_k": [1, 2, 6, 8],
             "past_v": [1, 2, 6, 8], "last": [1], "total": []}, [1, 1, 32],
        ),
        "MatMulNBits": _four_bit(),
    }  # fmt: skip


def _four_bit() -> bytes:
    row, column = np.mgrid[:4, :32]
    nibbles = ((row + column) % 16).astype(np.uint8).reshape(4, 1, 32)
    packed = nibbles[..., 0::2] | nibbles[..., 1::2] << 4
    scales = (1 / np.arange(1, 5, dtype=np.float32)).reshape(4, 1)
    node = helper.make_node(
        "MatMulNBits", ["x", "nibbles", "scales"], ["y"], domain="com.microsoft",
        N=4, K=32, bits=4, block_size=32, accuracy_level=4,
    )  # fmt: skip
    stored = [numpy_helper.from_array(packed, "nibbles"), numpy_helper.from_array(scales, "scales")]
    return _model(node, {"x": [1, 3, 32]}, [1, 3, 4], stored)


def _model(
    node: Any, inputs: dict[str, list[int]], output: list[int], constants: list[Any] | None = None
) -> bytes:
    values = [
        helper.make_tensor_value_info(name, INTEGERS.get(name, FLOAT), shape)
        for name, shape in inputs.items()
    ]
    result = helper.make_tensor_value_info("y", FLOAT, output)
    graph = helper.make_graph([node], node.op_type, values, [result], constants or [])
    domains = [helper.make_opsetid("", 24), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=11)
    model.producer_version = ""
    return bytes(model.SerializeToString(deterministic=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in graphs().items():
        (folder / f"{name}.onnx").write_bytes(data)


if __name__ == "__main__":
    main()
