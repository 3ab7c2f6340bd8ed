# SPDX-License-Identifier: Apache-2.0
"""Any rate to the model's rate, as a stream."""

from __future__ import annotations

import numpy as np
import soxr

from edgestream.sources.block import Samples, whole_rate


class Resampler:
    """Band-limited streaming conversion (soxr, HQ); the identity when the rates agree.

    Any cutting of the input gives the same output. [n] float32 in, [m] float32 out.
    """

    def __init__(self, in_hz: int, out_hz: int) -> None:
        """Raises UsageError on a rate that sound cannot have; what soxr makes of it is a hang,
        gigabytes or an exception of its own."""
        in_hz = whole_rate(in_hz, "stream")
        self.in_hz = in_hz
        self.out_hz = out_hz
        self._stream = (
            None
            if in_hz == out_hz
            else soxr.ResampleStream(in_hz, out_hz, 1, dtype="float32", quality="HQ")
        )

    def push(self, samples: Samples) -> Samples:
        """Take samples at `in_hz`; return those at `out_hz` that are final."""
        if self._stream is None:
            return samples
        return self._run(samples, last=False)

    def finish(self) -> Samples:
        """Return what the filter still holds. Call `reset` before the next `push`."""
        empty = np.zeros(0, np.float32)
        return empty if self._stream is None else self._run(empty, last=True)

    def reset(self) -> None:
        """Forget everything heard."""
        if self._stream is not None:
            self._stream.clear()

    def _run(self, samples: Samples, *, last: bool) -> Samples:
        assert self._stream is not None
        out: Samples = self._stream.resample_chunk(np.ascontiguousarray(samples), last=last)
        return out
