# SPDX-License-Identifier: Apache-2.0
"""What an encoder-decoder may write next: the rules it was trained with, and guards.

The rules are those of Whisper's reference decoder (Radford et al. 2022, "Robust Speech Recognition
via Large-Scale Weak Supervision"): tokens that are never written, times that come in pairs and do
not go back. The guards end a hypothesis that is invented.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgestream.speech.reencoded.config import SpeechConfig

FORBIDDEN = np.float32(-1e9)  # finite: native loops refuse logits that are not
NO_SPEECH_THRESHOLD = 0.6  # probability from which on a window is taken as silent, as Whisper does
COMPRESSION_LIMIT = 2.4  # text that deflates by more is a loop, as in Whisper's decoder
COMPRESSION_BYTES = 64  # of text, before which the ratio says nothing
REPEATS = 4  # of the same tokens in a row
MAX_PERIOD = 8  # tokens


class HypothesisRules:
    """Applied to logits; stateless, may be shared."""

    def __init__(self, config: SpeechConfig, texts: Sequence[bytes], *, times: bool) -> None:
        self._config, self._texts = config, texts
        self._first_time = config.first_time if times else None
        self._never = list(config.suppressed)
        if config.no_times is not None:
            self._never.append(config.no_times)
        self._never_first = [t for t in config.suppressed_first if t not in self._never]

    def apply(self, logits: NDArray[np.float32], written: Sequence[int]) -> None:
        """Forbids in `logits` [n_vocab] what may not follow the tokens `written` so far."""
        logits[self._never] = FORBIDDEN
        if not written:
            logits[self._never_first] = FORBIDDEN
        if self._first_time is not None:
            self._apply_times(logits, written, self._first_time)
        elif self._config.first_time is not None:
            logits[self._config.first_time :] = FORBIDDEN
        if self.is_loop(written):
            self.end(logits)

    def end(self, logits: NDArray[np.float32]) -> None:
        """Leaves nothing but the end."""
        logits[:] = FORBIDDEN
        logits[self._config.end] = 0

    def is_loop(self, written: Sequence[int]) -> bool:
        """Whether the hypothesis repeats itself: the same tokens in a row, or too compressible."""
        n = len(written)
        for period in range(1, MAX_PERIOD + 1):
            span = period * REPEATS
            if n >= span and all(
                written[i] == written[i - period] for i in range(n - span + period, n)
            ):
                return True
        text = b"".join(self._texts[token] for token in written)
        return len(text) >= COMPRESSION_BYTES and (
            len(text) / len(zlib.compress(text)) > COMPRESSION_LIMIT
        )

    def is_silent(self, logits: NDArray[np.float32]) -> bool:
        """Whether the model itself says that nobody speaks; `logits` are those after the start."""
        if self._config.no_speech is None:
            return False
        return bool(np.exp(_log_softmax(logits)[self._config.no_speech]) > NO_SPEECH_THRESHOLD)

    def _apply_times(self, logits: NDArray[np.float32], written: Sequence[int], first: int) -> None:
        """Times come in pairs, except the first and the last, and never go back."""
        after_time = bool(written) and written[-1] >= first
        paired = len(written) < 2 or written[-2] >= first
        if after_time:
            logits[slice(first, None) if paired else slice(self._config.end)] = FORBIDDEN
        if times := [token for token in written if token >= first]:
            may_repeat = after_time and not paired
            logits[first : times[-1] + (not may_repeat)] = FORBIDDEN
        if not written:
            logits[:first] = FORBIDDEN
        scores = _log_softmax(logits)
        if np.logaddexp.reduce(scores[first:]) > scores[:first].max():
            logits[:first] = FORBIDDEN


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), np.float32)
