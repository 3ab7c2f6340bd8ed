# SPDX-License-Identifier: Apache-2.0
"""How far the writing lags behind the input, and how much of it is taken back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise


def average_lagging(delays_ms: Sequence[float], source_ms: float, n_reference: int) -> float:
    """AL (Ma et al. 2019, "STACL"; for speech: Ma et al. 2020, "SimulMT to SimulST").

    How much later than an ideal writer, who spreads the `n_reference` words of the reference evenly
    over the source, each word was written; the mean up to the first that was written after the
    source's end. `delays_ms` is how much of the source had been read at each word. Negative for a
    writer who writes too many words. Not a number when nothing was written.
    """
    if not delays_ms or n_reference < 1 or source_ms <= 0:
        return math.nan
    pace_ms = source_ms / n_reference
    lag_ms, n_words = 0.0, 0
    for i, delay_ms in enumerate(delays_ms):
        lag_ms += delay_ms - i * pace_ms
        n_words += 1
        if delay_ms >= source_ms:
            break
    return lag_ms / n_words


def length_adaptive_average_lagging(
    delays_ms: Sequence[float], source_ms: float, n_reference: int
) -> float:
    """LAAL (Papi et al. 2022): AL that is not made smaller by writing too many words.

    The ideal writer writes as many words as the reference or the hypothesis, whichever is longer.
    """
    return average_lagging(delays_ms, source_ms, max(n_reference, len(delays_ms)))


def normalised_erasure(hypotheses: Sequence[Sequence[str]]) -> float:
    """NE (Arivazhagan et al. 2020, "Re-translation versus Streaming"): 0 for append-only writing.

    Words taken back, over all hypotheses of a stream in the order that they were shown, for each
    word of the last one. Not a number when the last one is empty.
    """
    if not hypotheses or not hypotheses[-1]:
        return math.nan
    erased = 0
    for before, after in pairwise(hypotheses):
        kept = 0
        while kept < min(len(before), len(after)) and before[kept] == after[kept]:
            kept += 1
        erased += len(before) - kept
    return erased / len(hypotheses[-1])
