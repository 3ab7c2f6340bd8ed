# SPDX-License-Identifier: Apache-2.0
"""Smaller weights in ONNX graphs: int8 by onnxruntime's own tool, 4 bits as ours."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgestream.convert.onnx.graph import BLOCK, MICROSOFT, four_bit_blocks
from edgestream.errors import ModelError
from edgestream.onnx.session import one_line


def to_int8(source: Path, target: Path) -> None:
    """Writes `target` with int8 weights, a scale for each channel; activations are quantized as
    they come.

    Raises:
        ModelError: the source is damaged or has weights in other files.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def write(model: Any) -> None:
        logging.getLogger().setLevel(logging.ERROR)  # it advises what changes nothing here
        quantize_dynamic(
            model, target, weight_type=QuantType.QInt8, per_channel=True,
            extra_options={"EnableSubgraph": True},
        )  # fmt: skip

    _rewrite(source, write)


def to_int4(source: Path, target: Path) -> None:
    """Writes `target` with the constant matrices of products in blocks of 32 weights of 4 bits with
    one scale (MatMulNBits); all else stays. Weights may lie in files beside the source, which are
    read one by one; the target has all of its own.

    Raises:
        ModelError: the source is damaged, or the target would pass 2 GiB.
    """
    _rewrite(source, lambda model: _write_int4(model, source.parent, target), beside=True)


def _write_int4(model: Any, folder: Path, target: Path) -> None:
    graph, domains = model.graph, {each.domain for each in model.opset_import}
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    small: list[Any] = []
    for node in graph.node:
        tensor = tensors.get(node.input[1]) if node.op_type == "MatMul" else None
        if tensor and uses[tensor.name] == 1 and _fits(tensor):
            small += _in_four_bits(node, tensors.pop(tensor.name), folder)
    kept = [numpy_helper.from_array(_array(t, folder), name) for name, t in tensors.items()]
    del graph.initializer[:]
    graph.initializer.extend(kept + small)
    if MICROSOFT not in domains:
        model.opset_import.add(domain=MICROSOFT, version=1)
    onnx.save(model, target)


def _fits(tensor: Any) -> bool:
    """Whether it is a matrix whose columns are whole blocks."""
    is_matrix = tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2
    return is_matrix and tensor.dims[0] % BLOCK == 0


def _in_four_bits(node: Any, tensor: Any, folder: Path) -> list[Any]:
    """Makes a MatMul the product with blocks, and returns these."""
    k, n = tensor.dims
    nibbles, scales = four_bit_blocks(np.ascontiguousarray(_array(tensor, folder).T))
    blocks = {f"{tensor.name}.q4": nibbles, f"{tensor.name}.scales": scales}
    node.op_type, node.domain = "MatMulNBits", MICROSOFT
    node.input[1:] = list(blocks)
    # Level 4: activations in blocks of 8 bits.
    numbers = {"N": n, "K": k, "bits": 4, "block_size": BLOCK, "accuracy_level": 4}
    node.attribute.extend(helper.make_attribute(name, value) for name, value in numbers.items())
    return [numpy_helper.from_array(np.asarray(each), name) for name, each in blocks.items()]


def _array(tensor: Any, folder: Path) -> Any:
    return numpy_helper.to_array(tensor, str(folder))


def _rewrite(source: Path, write: Callable[[Any], None], *, beside: bool = False) -> None:
    try:
        model = onnx.load(source, load_external_data=False)
        if not beside and any(weight.external_data for weight in model.graph.initializer):
            raise ModelError(f"{source}: has weights in other files; int4 alone takes these")
        write(model)
    except (ModelError, OSError):
        raise
    except Exception as error:  # of onnx, onnxruntime and protobuf, on what they cannot read
        raise ModelError(f"{source}: cannot be quantized ({one_line(error)})") from None
