# SPDX-License-Identifier: Apache-2.0
"""Writes the encoder as an ONNX graph with explicit state and checks it against PyTorch."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from encoder import Encoder
from shape import MEL_PER_STEP
from torch import Tensor, nn

OPSET = 18
TOLERANCE = 1e-5  # float32 sums in another order
CHECK_STEPS = 40


class Streaming(nn.Module):
    """The encoder without its training-only phone scores: (mel, *state) -> (embeddings, *state)."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, mel: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        embeddings, _, after = self.encoder(mel, *states)
        return (embeddings, *after)


def write_encoder(encoder: Encoder, path: Path) -> None:
    """Exports for mel [1, T, n_mels], T any multiple of 8; raises if the graph differs."""
    states = encoder.start(1)
    mel = torch.zeros(1, MEL_PER_STEP, encoder.conv1.state_shape[1])
    names = [f"state.{i}" for i in range(len(states))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces that it will be replaced
        torch.onnx.export(
            Streaming(encoder).eval(),
            (mel, *states),
            str(path),
            input_names=["mel", *names],
            output_names=["embeddings", *(f"{name}.out" for name in names)],
            dynamic_axes={"mel": {1: "frames"}, "embeddings": {1: "steps"}},
            opset_version=OPSET,
            dynamo=False,
        )
    worst = _worst_difference(encoder, path)
    if not worst <= TOLERANCE:
        raise RuntimeError(f"{path}: differs from PyTorch by {worst:.2e}, at most {TOLERANCE:.0e}")
    print(f"{path}: within {worst:.1e} of PyTorch, whole and in steps")


def _worst_difference(encoder: Encoder, path: Path) -> float:
    """Largest difference of the graph, run whole and step by step, from PyTorch run whole."""
    generator = torch.Generator().manual_seed(0)
    n_mels = encoder.conv1.state_shape[1]
    mel = torch.randn(1, CHECK_STEPS * MEL_PER_STEP, n_mels, generator=generator) * 3 - 5
    with torch.no_grad():
        wanted = encoder(mel, *encoder.start(1))[0].numpy()
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    whole = _run(session, encoder, mel, CHECK_STEPS * MEL_PER_STEP)
    steps = _run(session, encoder, mel, MEL_PER_STEP)
    return float(max(np.abs(whole - wanted).max(), np.abs(steps - wanted).max()))


def _run(session: ort.InferenceSession, encoder: Encoder, mel: Tensor, frames: int) -> np.ndarray:
    states = [s.numpy() for s in encoder.start(1)]
    parts = []
    for start in range(0, mel.shape[1], frames):
        feed = {f"state.{i}": s for i, s in enumerate(states)}
        feed["mel"] = mel[:, start : start + frames].numpy()
        embeddings, *states = session.run(None, feed)
        parts.append(embeddings)
    return np.concatenate(parts, 1)
