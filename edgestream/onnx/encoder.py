# SPDX-License-Identifier: Apache-2.0
"""The streaming encoder: chunks of mel, samples or pictures in, embeddings out, state in place."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import ModelError, OperationError
from edgestream.library.stand_in import refuse_stand_in
from edgestream.system.names import native_name
from edgestream.system.process import is_out_of_memory

Floats = NDArray[np.float32]
MEL, SAMPLES, PICTURE, OUTPUT = "mel", "samples", "picture", "embeddings"
STATE, RING, STATE_OUT = "state.", "ring.", ".out"
STATE_LIMIT = 1 << 26  # floats; real encoders carry some thousands


class EncoderWeights:
    """An encoder graph loaded once and shared by any number of streams.

    The graph has an input `mel` [1, T, n_mels], `samples` [1, T, 1] or `picture` [1, height, width,
    3], an output `embeddings` [1, rows, n_embd], and for each state an input `state.N` with an
    output `state.N.out` of the same shape. Of an input `ring.N` a run replaces a few rows: its
    output `ring.N.out` is bound to the same memory, so that a long window is not copied each time.
    """

    def __init__(self, path: Path, *, input_name: str, chunk_shape: tuple[int, ...]) -> None:
        import onnxruntime as ort  # 0.2 s: only when a model is loaded

        refuse_stand_in(path)
        options = ort.SessionOptions()
        # A tiny network on 80 ms of audio: a second thread costs more in hand-over than it saves.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # its errors come back as exceptions
        try:
            self.session = ort.InferenceSession(
                native_name(path), options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except ModelError:
            raise
        except Exception as error:  # onnxruntime raises its own types, not one base
            if is_out_of_memory(error):
                raise OperationError(f"{path}: not enough memory: {_line(error)}") from None
            raise ModelError(f"{path}: onnxruntime cannot load it: {_line(error)}") from None
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
            self._rows = self._probe()  # [rows, n_embd]
            self._bindings = [self._bind(0, 1), self._bind(1, 0)]
            self.push(np.zeros((2, *self._chunk.shape[1:]), np.float32))
        except Exception as error:  # whatever a damaged graph makes onnxruntime say
            raise ModelError(f"{weights.path}: does not run on a chunk: {_line(error)}") from None
        self.reset()

    @property
    def n_embd(self) -> int:
        """Width of an embedding."""
        return int(self._rows.shape[1])

    def push(self, chunks: Floats) -> Floats:
        """Chunks [n, *chunk_shape] to embeddings [n * rows, n_embd]."""
        embeddings = np.empty((len(chunks), *self._rows.shape), np.float32)
        for chunk, out in zip(chunks, embeddings, strict=True):
            self._chunk[0] = chunk
            try:
                self._session.run_with_iobinding(self._bindings[self._turn])
            except Exception as error:  # onnxruntime raises its own types, not one base
                raise OperationError(f"encoder: onnxruntime failed: {_line(error)}") from None
            self._turn ^= 1
            out[:] = self._rows
        return embeddings.reshape(-1, self.n_embd)

    def finish(self) -> Floats:
        """Nothing waits here: a chunk is answered at once."""
        return np.empty((0, self.n_embd), np.float32)

    def reset(self) -> None:
        """Back to the state before the first chunk: zeros."""
        for buffers in self._states:
            for state in buffers.values():
                state.fill(0)

    def _probe(self) -> Floats:
        """A buffer for one chunk's embeddings; its shape is found by running the graph once."""
        feed: dict[str, Any] = {self._input_name: self._chunk, **self._states[0]}
        _, rows, n_embd = self._session.run([OUTPUT], feed)[0].shape
        if rows != 1:
            raise ModelError(f"{rows} embeddings for a chunk; a step of the decoder takes one")
        return np.empty((rows, n_embd), np.float32)

    def _bind(self, source: int, target: int) -> Any:
        binding = self._session.io_binding()
        bound = {self._input_name: self._chunk, **self._states[source]}
        for name, array in bound.items():
            binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        results = {OUTPUT: self._rows[None]}
        results |= {name + STATE_OUT: array for name, array in self._states[target].items()}
        for name, array in results.items():
            binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        return binding


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
