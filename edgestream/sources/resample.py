# SPDX-License-Identifier: Apache-2.0
"""Any rate to the model's rate, as a stream."""

from __future__ import annotations

import numpy as np
import soxr

from edgestream.sources.block import Samples, whole_rate


class Resampler:
    """Band-limited streaming conversion (soxr, HQ); the identity when the rates agree.

    Any cutting of the input gives the same output. [n] float32 in, [m] float32 out. A sample passes
    one of these between its source and the model.
    """

    def __init__(self, in_hz: int, out_hz: int) -> None:
        """Raises UsageError on a rate that sound cannot have; what soxr makes of it is a hang,
        gigabytes or an exception of its own."""
        self.out_hz = out_hz
        self._begin(whole_rate(in_hz, "stream"))

    def change_rate(self, in_hz: int) -> Samples:
        """From here on the input has this rate; returns what the filter held of the old one.

        Raises UsageError as the constructor does.
        """
        in_hz = whole_rate(in_hz, "stream")
        if in_hz == self.in_hz:
            return np.zeros(0, np.float32)
        held = self.finish()
        self._begin(in_hz)
        return held

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

    def _begin(self, in_hz: int) -> None:
        self.in_hz = in_hz
        self._stream = None
        if in_hz != self.out_hz:
            self._stream = soxr.ResampleStream(in_hz, self.out_hz, 1, "float32", quality="HQ")

    def _run(self, samples: Samples, *, last: bool) -> Samples:
        assert self._stream is not None
        out: Samples = self._stream.resample_chunk(np.ascontiguousarray(samples), last=last)
        return out


def resampled(samples: Samples, in_hz: int, out_hz: int) -> Samples:
    """A whole sound [n] at another rate."""
    resampler = Resampler(in_hz, out_hz)
    return np.concatenate([resampler.push(samples), resampler.finish()])
