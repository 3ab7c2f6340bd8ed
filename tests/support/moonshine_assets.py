# SPDX-License-Identifier: Apache-2.0
"""A tiny Moonshine as its makers keep it: graphs with masks, .ort files, tokenizer.bin."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import tiny_moonshine as tiny
from onnx import TensorProto, helper, numpy_helper

STATES, STEP = "encoder_hidden_states", 384


def with_masks(folder) -> None:
    """Adds the masks to the graphs of `folder`/onnx: the encoder's multiplies the samples, and the
    decoder's, of the samples behind its states, the states."""
    path = folder / "onnx" / "encoder_model.onnx"
    _masked(path, "input_values", "attention_mask", 1)
    _masked(folder / "onnx" / "decoder_model_merged.onnx", STATES, "encoder_attention_mask", STEP)


def _masked(path, name: str, mask: str, step: int) -> None:
    """Multiplies an input by every `step`-th number of a mask; lengths that differ fail."""
    model = onnx.load(path)
    graph = model.graph
    _renamed(graph, name, "masked")
    numbers = {"mask.start": [0], "mask.end": [1 << 40], "mask.axes": [1], "mask.steps": [step]}
    for each, value in numbers.items():
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), each))
    nodes = [
        helper.make_node("Slice", [mask, *numbers], ["mask.taken"]),
        helper.make_node("Cast", ["mask.taken"], ["mask.floats"], to=TensorProto.FLOAT),
        # Ones of a wrong length are not spread out: they fail.
        helper.make_node("Shape", [name], ["mask.shape"], start=0, end=2),
        helper.make_node("Reshape", ["mask.floats", "mask.shape"], ["mask.fits"]),
    ]
    fits = "mask.fits"
    if name == STATES:
        graph.initializer.append(numpy_helper.from_array(np.array([2], np.int64), "mask.last"))
        nodes.append(helper.make_node("Unsqueeze", [fits, "mask.last"], ["mask.columns"]))
        fits = "mask.columns"
    nodes.append(helper.make_node("Mul", [name, fits], ["masked"]))
    for i, node in enumerate(nodes):
        graph.node.insert(i, node)
    shape = helper.make_tensor_value_info(mask, TensorProto.INT64, [1, "masked_length"])
    graph.input.append(shape)
    onnx.save(model, path)


def _renamed(graph, old: str, new: str) -> None:
    for node in graph.node:
        node.input[:] = [new if each == old else each for each in node.input]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _renamed(attribute.g, old, new)


def tokenizer_bin() -> bytes:
    """The pieces of the tiny tokenizer; a byte's own piece is that byte."""
    vocab = tiny.tokenizer()["model"]["vocab"]
    data = b""
    for piece in sorted(vocab, key=vocab.get):
        raw = bytes([int(piece[3:5], 16)]) if piece.startswith("<0x") else piece.encode()
        data += bytes([len(raw)]) + raw
    return data


def write(folder, public):
    """The folder as `moonshine-voice` keeps it, out of one in the public layout with masks."""
    folder.mkdir()
    for name in ("encoder_model", "decoder_model_merged"):
        options = ort.SessionOptions()
        options.add_session_config_entry("session.save_model_format", "ORT")
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folder / f"{name}.ort")
        ort.InferenceSession(str(public / "onnx" / f"{name}.onnx"), options)
    (folder / "tokenizer.bin").write_bytes(tokenizer_bin())
    return folder
