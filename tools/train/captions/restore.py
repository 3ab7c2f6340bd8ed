# SPDX-License-Identifier: Apache-2.0
"""Turns a model directory back into a checkpoint, so that training can go on from a shipped model.

    python restore.py ../../models/synthetic-en start.pt
    python train.py data run --tokenizer ../../models/synthetic-en/tokenizer.json --start start.pt

The encoder comes back exactly, the decoder as Q8_0 keeps it. The phone scores of training are not
shipped: their last layer starts anew and is learned again within minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gguf
import numpy as np
import onnx
import torch
from network import CaptionNetwork, save_network
from onnx import numpy_helper
from shape import Shape
from torch import Tensor

LINEAR = ("encoder.blocks.0.out", "encoder.blocks.1.out", "encoder.out")  # in the graph's order


def encoder_weights(path: Path) -> dict[str, Tensor]:
    """Named as in CaptionNetwork. The exporter keeps names, but for transposed linear layers."""
    graph = onnx.load(str(path)).graph
    arrays = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}
    products = [node.input[1] for node in graph.node if node.op_type == "MatMul"]
    linear = {
        f"{name}.weight": arrays.pop(product).T
        for name, product in zip(LINEAR, products, strict=True)
    }
    return {name: t for name, t in arrays.items() if name.startswith("encoder.")} | linear


def decoder_weights(path: Path, shape: Shape) -> dict[str, Tensor]:
    """Named as in CaptionNetwork."""
    read = {
        t.name.removesuffix(".weight"): torch.from_numpy(
            np.array(gguf.quants.dequantize(t.data, t.tensor_type), np.float32)
        )
        for t in gguf.GGUFReader(str(path)).tensors
    }
    weights = {
        "tokens": read["token_embd"][: shape.delay_0],
        "delays": read["token_embd"][shape.delay_0 :],
        "head": read["output"][: shape.n_text],
        "norm": read["output_norm"],
    }
    parts = {
        "norm_attn": "attn_norm", "norm_ffn": "ffn_norm", "v": "attn_v", "o": "attn_output",
        "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down",
    }  # fmt: skip
    for i in range(shape.n_layers):
        layer = {name: read[f"blk.{i}.{stored}"] for name, stored in parts.items()}
        layer["q"] = _halves(read[f"blk.{i}.attn_q"], shape.n_heads)
        layer["k"] = _halves(read[f"blk.{i}.attn_k"], shape.n_kv_heads)
        weights |= {f"layers.{i}.{name}": t for name, t in layer.items()}
    return {f"decoder.{name}.weight": t for name, t in weights.items()}


def _halves(weight: Tensor, n_heads: int) -> Tensor:
    """Rows from the pairs of llama models in ggml to the half-split rotary layout."""
    rows, width = weight.shape
    return weight.view(n_heads, rows // n_heads // 2, 2, width).swapaxes(1, 2).reshape(rows, width)


def restore(model_dir: Path) -> CaptionNetwork:
    """The network of a model directory; raises if anything but the phone layer is missing."""
    network = CaptionNetwork(Shape())
    weights = encoder_weights(model_dir / "encoder.onnx")
    weights |= decoder_weights(model_dir / "decoder.gguf", network.shape)
    missing, unknown = network.load_state_dict(weights, strict=False)
    if unknown or any(not name.startswith("encoder.phone.") for name in missing):
        raise ValueError(f"{model_dir}: missing {missing}, unknown {unknown}")
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("checkpoint", type=Path)
    args = parser.parse_args()
    save_network(restore(args.model_dir), args.checkpoint)


if __name__ == "__main__":
    main()
