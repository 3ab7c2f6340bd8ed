# SPDX-License-Identifier: Apache-2.0
"""Clips captioned by a stream, and the errors in what it wrote."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from edgestream.events import Event, Final
from edgestream.scoring.clips import Clip, blocks, padded, silence
from edgestream.scoring.words import Score, spoken_words
from edgestream.speech.stream import Stream

LEAD_MS = 300.0  # silence before a clip that is a stream of its own


def score_clips(stream: Stream, clips: list[Clip]) -> dict[str, Score]:
    """Word errors by voice, each clip a stream of its own."""
    scores: dict[str, Score] = {}
    lead = silence(LEAD_MS)
    for clip in clips:
        stream.reset()
        events: list[Event] = []
        for block in blocks(np.concatenate([lead, padded(clip.samples, 0)])):
            events += stream.push(block)
        text = " ".join(e.text for e in [*events, *stream.finish()] if isinstance(e, Final))
        score = scores.setdefault(clip.voice, Score())
        score.add(spoken_words(clip.text), spoken_words(text))
    return scores


def total(scores: Iterable[Score]) -> Score:
    """Errors and words of all of them together."""
    whole = Score()
    for score in scores:
        whole.errors += score.errors
        whole.words += score.words
    return whole
