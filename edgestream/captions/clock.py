# SPDX-License-Identifier: Apache-2.0
"""One timeline: from steps of the model to milliseconds on the source's clock."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Clock:
    """Maps stream time (what the model heard) to source time (which also ran through the gaps).

    Stream time stands still while input is lost; each loss moves all later times forward.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Back to a source without gaps."""
        self._starts_ms = [0.0]  # stream times from which an offset holds
        self._offsets_ms = [0.0]

    def skip(self, stream_ms: float, lost_ms: float) -> None:
        """From `stream_ms` on the source is `lost_ms` further than it was."""
        self._starts_ms.append(stream_ms)
        self._offsets_ms.append(self._offsets_ms[-1] + lost_ms)

    def source_ms(self, stream_ms: float) -> float:
        """The source time at which the model heard `stream_ms`."""
        return stream_ms + self._offsets_ms[bisect_right(self._starts_ms, stream_ms) - 1]

    def unbroken(self, begin_ms: float, end_ms: float) -> tuple[float, float]:
        """The longest part, in stream time, of what was heard in which no input was lost."""
        first, end = bisect_right(self._starts_ms, begin_ms), bisect_left(self._starts_ms, end_ms)
        cuts = [begin_ms, *self._starts_ms[first:end], end_ms]
        at = max(range(len(cuts) - 1), key=lambda i: cuts[i + 1] - cuts[i])
        return cuts[at], cuts[at + 1]

    def forget_before(self, stream_ms: float) -> None:
        """Drops what no caption can ask for any more, so that hours of gaps take no memory."""
        keep = max(0, bisect_right(self._starts_ms, stream_ms) - 1)
        del self._starts_ms[:keep], self._offsets_ms[:keep]
        self._starts_ms[0] = 0.0
