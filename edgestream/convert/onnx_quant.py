# SPDX-License-Identifier: Apache-2.0
"""Smaller weights in ONNX graphs, by onnxruntime's own tools."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgestream.errors import ModelError
from edgestream.onnx_session import one_line


def to_int8(source: Path, target: Path, operators: Sequence[str] | None = None) -> None:
    """Writes `target` with int8 weights, a scale for each channel; activations are quantized as
    they come. `operators`: those with such weights; None: all that onnxruntime quantizes.

    Raises:
        ModelError: the source is damaged or has weights in other files.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def write(model: Any) -> None:
        logging.getLogger().setLevel(logging.ERROR)  # it advises what changes nothing here
        quantize_dynamic(
            model, target, weight_type=QuantType.QInt8, per_channel=True,
            op_types_to_quantize=operators, extra_options={"EnableSubgraph": True},
        )  # fmt: skip

    _rewrite(source, write)


def to_float16(source: Path, target: Path) -> None:
    """Writes `target` with float16 inside; its inputs and outputs stay float32.

    Raises:
        ModelError: the source is damaged or has weights in other files.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    _rewrite(
        source, lambda model: onnx.save(convert_float_to_float16(model, keep_io_types=True), target)
    )


def _rewrite(source: Path, write: Callable[[Any], None]) -> None:
    import onnx

    try:
        model = onnx.load(source, load_external_data=False)
        if any(weight.external_data for weight in model.graph.initializer):
            raise ModelError(f"{source}: has weights in other files, which are not read")
        write(model)
    except (ModelError, OSError):
        raise
    except Exception as error:  # of onnx, onnxruntime and protobuf, on what they cannot read
        raise ModelError(f"{source}: cannot be quantized ({one_line(error)})") from None
