# SPDX-License-Identifier: Apache-2.0
"""The streaming encoder: chunks of mel, samples or pictures in, embeddings out, state in place."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import ModelError
from edgestream.onnx.session import bind, one_line, open_session, run_bound

Floats = NDArray[np.float32]
MEL, SAMPLES, PICTURE, OUTPUT = "mel", "samples", "picture", "embeddings"
STATE, RING, STATE_OUT = "state.", "ring.", ".out"
STATE_LIMIT = 1 << 26  # floats; real encoders carry some thousands


class EncoderWeights:
    """An encoder graph loaded once and shared by any number of streams.

    The graph has an input `mel` [1, T, n_mels], `samples` [1, T, 1] or `picture` [1, height, width,
    3], an output `embeddings` [1, 1, n_embd], and for each state an input `state.N` with an
    output `state.N.out` of the same shape. Of an input `ring.N` a run replaces a few rows: its
    output `ring.N.out` is bound to the same memory, so that a long window is not copied each time.
    """

    def __init__(self, path: Path, *, input_name: str, chunk_shape: tuple[int, ...]) -> None:
        # A tiny network on 80 ms of audio: a second thread costs more in hand-over than it saves.
        self.session = open_session(path)
        self.path, self.input_name = path, input_name
        self.chunk_shape = (1, *chunk_shape)
        self.state_shapes = self._check()
        self.providers: list[str] = self.session.get_providers()

    def _check(self) -> dict[str, tuple[int, ...]]:
        inputs = {i.name: i for i in self.session.get_inputs()}
        outputs = {o.name: o for o in self.session.get_outputs()}
        states = {name for name in inputs if name.startswith((STATE, RING))}
        if set(inputs) != states | {self.input_name} or set(outputs) != {
            s + STATE_OUT for s in states
        } | {OUTPUT}:
            raise ModelError(
                f"{self.path}: inputs {sorted(inputs)} and outputs {sorted(outputs)} are not those"
                f" of a streaming encoder ({self.input_name}, {STATE}N -> {OUTPUT},"
                f" {STATE}N{STATE_OUT})"
            )
        taken = inputs[self.input_name].shape
        if taken[-1] != self.chunk_shape[-1]:
            raise ModelError(
                f"{self.path}: takes {self.input_name} of {taken[-1]}, model.toml says"
                f" {self.chunk_shape[-1]}"
            )
        shapes = {name: tuple(inputs[name].shape) for name in sorted(states)}
        for name, shape in shapes.items():
            fixed = all(isinstance(n, int) and n > 0 for n in shape)
            if not fixed or math.prod(shape) > STATE_LIMIT:
                raise ModelError(f"{self.path}: {name} has no usable shape ({shape})")
        return shapes


class Encoder:
    """One stream through an encoder. Not thread-safe; `weights` may be shared.

    The state never leaves onnxruntime: two sets of buffers are bound once, each run reads one and
    writes the other. Rings are in both.
    """

    def __init__(self, weights: EncoderWeights) -> None:
        self._session, self._input_name = weights.session, weights.input_name
        self._chunk: Floats = np.zeros(weights.chunk_shape, np.float32)
        shapes = weights.state_shapes.items()
        rings = {name: np.zeros(of, np.float32) for name, of in shapes if name.startswith(RING)}
        self._states = [
            {name: np.zeros(of, np.float32) for name, of in shapes if name not in rings} | rings
            for _ in range(2)
        ]
        self._turn = 0
        try:
            self._row = self._probe()  # [n_embd]
            self._bindings = [self._bind(0, 1), self._bind(1, 0)]
            self.push(np.zeros((2, *self._chunk.shape[1:]), np.float32))
        except Exception as error:  # whatever a damaged graph makes onnxruntime say
            raise ModelError(
                f"{weights.path}: does not run on a chunk: {one_line(error)}"
            ) from None
        self.reset()

    @property
    def n_embd(self) -> int:
        """Width of an embedding."""
        return len(self._row)

    def push(self, chunks: Floats) -> Floats:
        """Chunks [n, *chunk_shape] to embeddings [n, n_embd]."""
        embeddings = np.empty((len(chunks), self.n_embd), np.float32)
        for chunk, out in zip(chunks, embeddings, strict=True):
            self._chunk[0] = chunk
            run_bound(self._session, self._bindings[self._turn], "encoder")
            self._turn ^= 1
            out[:] = self._row
        return embeddings

    def finish(self) -> Floats:
        """Nothing waits here: a chunk is answered at once."""
        return np.empty((0, self.n_embd), np.float32)

    def reset(self) -> None:
        """Back to the state before the first chunk: zeros."""
        for buffers in self._states:
            for state in buffers.values():
                state.fill(0)

    def _probe(self) -> Floats:
        """A buffer for a chunk's embedding; its width is found by running the graph once."""
        feed: dict[str, Any] = {self._input_name: self._chunk, **self._states[0]}
        _, rows, n_embd = self._session.run([OUTPUT], feed)[0].shape
        if rows != 1:
            raise ModelError(f"{rows} embeddings for a chunk; a step of the decoder takes one")
        return np.empty(n_embd, np.float32)

    def _bind(self, source: int, target: int) -> Any:
        binding = self._session.io_binding()
        for name, array in {self._input_name: self._chunk, **self._states[source]}.items():
            bind(binding, "input", name, array, array.shape)
        for name, array in self._states[target].items():
            bind(binding, "output", name + STATE_OUT, array, array.shape)
        bind(binding, "output", OUTPUT, self._row, (1, 1, self.n_embd))
        return binding
