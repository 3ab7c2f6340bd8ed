# SPDX-License-Identifier: Apache-2.0
"""An ONNX decoder over an endless stream, behind the interface of the native one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream._native import Decoder
from edgestream.errors import ModelError, OperationError
from edgestream.onnx.layouts import LAYOUTS
from edgestream.onnx.rope import turned
from edgestream.onnx.weights import OnnxModel

RANGES = {"n_sinks": (0, 1 << 16), "window": (1, 1 << 20), "max_rows": (1, 1 << 10)}
PROBE_POSITION = 7
PROBE_TOLERANCE = 1e-3  # of a float32 angle; float16 keys are off by less than 1e-2 of theirs


class OnnxDecoder(Decoder):
    """One stream over an `OnnxModel`: attention sinks, a window, constant memory.

    Driven by the native loops as a `RingDecoder` is. Not thread-safe. All memory is taken at
    construction. Layout B computes up to `max_rows` rows in one run; A and C compute row by row,
    and `max_rows` is only how many may be proposed.
    """

    def __init__(self, model: OnnxModel, *, n_sinks: int, window: int, max_rows: int = 8) -> None:
        """Raises ValueError on a number out of range, ModelError when the graph does not run."""
        for name, value in (("n_sinks", n_sinks), ("window", window), ("max_rows", max_rows)):
            low, high = RANGES[name]
            if not low <= value <= high:
                raise ValueError(f"ring: {name} is {value}, it must be {low} to {high}")
        super().__init__(n_embd=model.n_embd, n_vocab=model.n_vocab, max_proposal=max_rows)
        self.model = model
        self._layout = LAYOUTS[model.layout](model, n_sinks, window, max_rows)
        self._ring = self._layout.ring
        self._probe()

    @property
    def state_bytes(self) -> int:
        """Memory of keys and values."""
        return self._ring.keys.nbytes + self._ring.values.nbytes + self._ring.masters.nbytes

    def _step(self, rows: list[NDArray[np.float32]], logits: str) -> NDArray[Any]:
        """Computes rows, some [n, n_embd] together; float32 logits [0, 1 or all n, n_vocab]."""
        wanted = []
        for together in rows:
            done = 0
            while done < len(together):
                n = self._ring.run_length(len(together) - done)
                result = self._layout.run(together[done : done + n])
                done += n
                if logits == "every":
                    wanted.append(result.astype(np.float32))
        if logits == "every":
            return np.concatenate(wanted)
        return np.asarray(result[len(result) - (logits == "last") :], np.float32)

    def _take_back(self, n_rows: int) -> None:
        """The newest rows were never taken; what the rows before them see was not overwritten."""
        self._layout.take_back(n_rows)

    def _token_embedding(self, token: int) -> NDArray[np.float32]:
        """The input embedding of a token, float32 [n_embd]."""
        return self.model.token_embedding(token)

    def _fork(self) -> OnnxDecoder:
        """A second stream with the same past."""
        shape = self._ring.shape
        other = OnnxDecoder(
            self.model, n_sinks=shape.n_sinks, window=shape.window, max_rows=self.max_proposal
        )
        other._ring.copy_from(self._ring)
        return other

    def _reset(self) -> None:
        """Forgets everything."""
        self._ring.reset()

    def _probe(self) -> None:
        """Runs one row at two positions: the graph must run, and its keys must turn as `inv_freq`
        says, else sinks would be turned wrongly and nothing would tell."""
        row = np.cos(np.arange(self.model.n_embd, dtype=np.float32))[None]
        keys = []
        for position in (0, PROBE_POSITION):
            self._ring.reset()
            self._ring.base = -position
            try:
                self._layout.run(row)
            except OperationError as error:
                raise ModelError(f"{error} (on the first row)") from None
            keys.append(self._ring.keys[:1, :, 0].astype(np.float32))
        self._ring.reset()
        expected = turned(keys[0], PROBE_POSITION * self.model.inv_freq)
        limit = PROBE_TOLERANCE if self.model.dtype is np.float32 else 10 * PROBE_TOLERANCE
        if not np.abs(keys[1] - expected).max() <= limit * np.abs(expected).max():
            raise ModelError(
                f"{self.model.path}: keys do not turn with positions as rope_theta says, in pairs"
                " of halves; is the config.json another model's?"
            )
