# SPDX-License-Identifier: Apache-2.0
"""The re-encoded family's stages in a row: samples in, events out, a window decoded every step."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgestream._native import ReencodedLoop
from edgestream.encoder_decoder import EncoderDecoder
from edgestream.errors import OperationError
from edgestream.events import Event
from edgestream.resample import Resampler
from edgestream.segment_caption import SegmentCaption
from edgestream.speech_config import RATE_HZ
from edgestream.speech_weights import HOP_SAMPLES
from edgestream.window_rows import WindowRows

ROW_MS = 1000 * HOP_SAMPLES / RATE_HZ


@dataclass(slots=True)
class ReencodedStages:
    """One stream's stages in the order that data takes."""

    resampler: Resampler  # [n] at the source's rate -> [m] at the model's
    window_rows: WindowRows  # [m] -> [rows, 2 + width]
    decoder: EncoderDecoder
    loop: ReencodedLoop  # -> tokens that are committed
    caption: SegmentCaption  # -> events
    unit_rows: int  # after which the window is decoded
    lag_units: int  # between a word and its commitment, at the least
    _n_rows: int = field(default=0, init=False)  # read so far

    def reset(self) -> None:
        """Back to an empty stream."""
        for stage in (self.resampler, self.window_rows, self.loop, self.caption):
            stage.reset()
        self.decoder.forget_language()
        self._n_rows = 0

    def push(self, samples: NDArray[np.float32]) -> list[Event]:
        """Samples [n] at the source's rate to the events that they make."""
        return self._decode(self.window_rows.push(self.resampler.push(samples)))

    def finish(self, silence: NDArray[np.float32]) -> list[Event]:
        """Commits what is left and closes the open line; needs no `silence` behind the end."""
        rest = self.window_rows.push(self.resampler.finish())
        events = self._decode(np.concatenate([rest, self.window_rows.finish()]))
        try:
            tokens, _, _ = self.loop.finish()
        except (RuntimeError, ValueError) as error:
            raise OperationError(str(error)) from None
        return events + self._caption(tokens, lag_units=0) + self.caption.finish()

    def close_line(self) -> list[Event]:
        """The line that is still open, if any."""
        return self.caption.finish()

    def _decode(self, rows: NDArray[np.float32]) -> list[Event]:
        """Reads rows up to the end of each unit: times in a window count from its start then."""
        events: list[Event] = []
        while len(rows):
            n = min(len(rows), self.unit_rows - self._n_rows % self.unit_rows)
            try:
                tokens, _, _ = self.loop.push(rows[:n])
            except (RuntimeError, ValueError) as error:  # weights that give no numbers
                raise OperationError(str(error)) from None
            rows, self._n_rows = rows[n:], self._n_rows + n
            if self._n_rows % self.unit_rows == 0:
                events += self._caption(tokens, self.lag_units)
        return events

    def _caption(self, tokens: NDArray[np.int32], lag_units: int) -> list[Event]:
        known_rows = max(0, self._n_rows - lag_units * self.unit_rows)
        hypothesis, heard = self.loop.hypothesis, []
        if len(tokens):
            heard = self.decoder.heard_at(self.decoder.n_tokens - len(hypothesis) - len(tokens))
        return self.caption.push(
            tokens.tolist(),
            hypothesis,
            begins_ms=[(self.loop.n_left + row) * ROW_MS for row in heard],
            window_ms=self.loop.n_left * ROW_MS,
            known_ms=known_rows * ROW_MS,
            now_ms=self._n_rows * ROW_MS,
        )
