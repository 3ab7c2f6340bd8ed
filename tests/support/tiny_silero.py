# SPDX-License-Identifier: Apache-2.0
"""A random network with Silero VAD's inputs, outputs and shapes of state, and what numpy says."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CONTEXT, BLOCK, WIDTH, N_BANDS = 64, 512, 128, 8
TAPS, STRIDE = 256, 160


def weights(seed: int = 8) -> dict[str, np.ndarray]:
    """Filters, an LSTM and an output that answers yes and no about equally often."""
    rng = np.random.default_rng(seed)
    shapes = {
        "filters": (N_BANDS, 1, TAPS), "wx": (1, 4 * WIDTH, N_BANDS), "wh": (1, 4 * WIDTH, WIDTH),
        "bias": (1, 8 * WIDTH), "out": (WIDTH, 1),
    }  # fmt: skip
    scales = {"filters": 0.5, "wx": 0.4, "wh": 0.1, "bias": 0.1, "out": 1.0}
    return {
        name: (scales[name] * rng.standard_normal(shape)).astype(np.float32)
        for name, shape in shapes.items()
    }


def write(path, seed: int = 8, offset: float = 0):
    """The ONNX file, as `onnx/model.onnx` of onnx-community/silero-vad; `offset` of the logits."""
    info, floats, node = helper.make_tensor_value_info, TensorProto.FLOAT, helper.make_node
    nodes = [
        node("Unsqueeze", ["input", "one"], ["samples"]),
        node("Conv", ["samples", "filters"], ["bands"], strides=[STRIDE]),
        node("Abs", ["bands"], ["loud"]),
        node("ReduceMean", ["loud", "two"], ["means"], keepdims=0),
        node("Unsqueeze", ["means", "zero"], ["x"]),
        node("Split", ["state"], ["h", "c"], axis=0, num_outputs=2),
        node("LSTM", ["x", "wx", "wh", "bias", "", "h", "c"], ["", "hn", "cn"], hidden_size=WIDTH),
        node("Concat", ["hn", "cn"], ["stateN"], axis=0),
        node("Squeeze", ["hn", "zero"], ["last"]),
        node("MatMul", ["last", "out"], ["plain"]),
        node("Add", ["plain", "offset"], ["logit"]),
        node("Sigmoid", ["logit"], ["output"]),
        node("Identity", ["sr"], ["rate"]),
    ]
    numbers = {"zero": [0], "one": [1], "two": [2]}
    constants = [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in numbers.items()]
    constants.append(numpy_helper.from_array(np.array(offset, np.float32), "offset"))
    constants += [numpy_helper.from_array(v, n) for n, v in weights(seed).items()]
    state = [2, "batch", WIDTH]
    graph = helper.make_graph(
        nodes, "vad",
        [info("input", floats, ["batch", "samples"]), info("state", floats, state),
         info("sr", TensorProto.INT64, [])],
        [info("output", floats, ["batch", 1]), info("stateN", floats, state)], constants,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


def probabilities(samples: np.ndarray, seed: int = 8) -> list[float]:
    """Of each block of 512 with the 64 samples before it, in double precision."""
    w = {name: array.astype(np.float64) for name, array in weights(seed).items()}
    h, c = np.zeros(WIDTH), np.zeros(WIDTH)
    padded, found = np.concatenate([np.zeros(CONTEXT), samples]), []
    for start in range(0, len(samples) - BLOCK + 1, BLOCK):
        heard = padded[start : start + CONTEXT + BLOCK]
        steps = range(0, len(heard) - TAPS + 1, STRIDE)
        bands = np.abs([w["filters"][:, 0] @ heard[at : at + TAPS] for at in steps]).mean(0)
        gates = w["wx"][0] @ bands + w["wh"][0] @ h + w["bias"][0].reshape(2, -1).sum(0)
        i, o, f, g = np.split(gates, 4)  # ONNX's order
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
        found.append(float(_sigmoid(h @ w["out"][:, 0])))
    return found


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def write_loudness(path):
    """A network of Silero VAD's interface: loud blocks are voice, and the state counts blocks."""
    info, floats = helper.make_tensor_value_info, TensorProto.FLOAT
    constants = {"gain": np.float32(400), "bias": np.float32(-2), "one": np.float32(1)}
    nodes = [
        helper.make_node("ReduceL2", ["input"], ["norm"], keepdims=1, axes=[1]),
        helper.make_node("Mul", ["norm", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["output"]),
        helper.make_node("Add", ["state", "one"], ["stateN"]),
        helper.make_node("Identity", ["sr"], ["unused"]),
    ]
    graph = helper.make_graph(
        nodes, "vad",
        [info("input", floats, [1, CONTEXT + BLOCK]),
         info("state", floats, [2, "batch", 128]), info("sr", TensorProto.INT64, [])],
        [info("output", floats, ["batch", 1]), info("stateN", floats, [2, "batch", 128])],
        [numpy_helper.from_array(np.array(v), name) for name, v in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return path
