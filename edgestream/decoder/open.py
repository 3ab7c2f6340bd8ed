# SPDX-License-Identifier: Apache-2.0
"""A decoder's file, GGUF or ONNX, and the memory of its streams, as its `model.toml` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgestream._native import Decoder, GgufModel, RingDecoder
from edgestream.errors import ModelError, UsageError
from edgestream.library.manifest.ring import RingSpec
from edgestream.library.stand_in import refuse_stand_in
from edgestream.onnx.decoder import OnnxDecoder
from edgestream.onnx.weights import OnnxModel
from edgestream.system.names import native_name


def open_decoder(folder: Path, spec: RingSpec, device: str | None = None) -> GgufModel | OnnxModel:
    """Reads the weights. They are computed with on `device`; None: as the manifest says.

    Raises:
        ModelError: as `open_gguf()`, or the ONNX file is damaged or not supported.
        UsageError: a device for an ONNX decoder, which onnxruntime runs.
    """
    if not spec.is_onnx:
        return open_gguf(folder, spec, device)
    if device is not None:
        raise UsageError(f"{folder / spec.file}: a device is for GGUF decoders; leave it out")
    return OnnxModel(folder / spec.file)


def open_gguf(folder: Path, spec: RingSpec, device: str | None = None) -> GgufModel:
    """As `open_decoder()` where the manifest allows GGUF alone.

    Raises:
        ModelError: there is no such device, the file is damaged or not supported, or has too few
            layers for the manifest.
    """
    path = folder / spec.file
    weights = read_gguf(path, spec.device if device is None else device)
    if spec.exit_layer >= weights.n_layers:
        raise ModelError(
            f"{path}: decoder.exit_layer is {spec.exit_layer}, must be below the number of layers,"
            f" {weights.n_layers}"
        )
    return weights


def read_gguf(path: Path, device: str) -> GgufModel:
    """The weights of a GGUF file on a device; raises ModelError where either is not to be had."""
    refuse_stand_in(path)
    try:
        return GgufModel(native_name(path), device=native_name(device))
    except (ValueError, RuntimeError) as error:
        raise ModelError(str(error)) from None


def make_ring(
    weights: GgufModel | OnnxModel, spec: RingSpec, *, max_rows: int | None = None, delay: int = 0
) -> Decoder:
    """A stream's memory; at most `max_rows` rows are computed at once, or the decoder's default.

    Raises:
        ValueError: a number is out of range; the message names it.
        RuntimeError: the device has too little memory, or lacks an operation.
    """
    ring: dict[str, Any] = {"n_sinks": spec.n_sinks, "window": spec.window}
    if max_rows is not None:
        ring["max_rows"] = max_rows
    if isinstance(weights, OnnxModel):
        return OnnxDecoder(weights, **ring)
    return RingDecoder(weights, **ring, **spec.memory, delay=delay)
