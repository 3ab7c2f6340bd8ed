# SPDX-License-Identifier: Apache-2.0
"""What must be said: the same sound through one stream of the library; and how far others differ.

By the streaming law a session that was resumed says exactly these lines. One that was begun anew
behind a final line may cut its first line elsewhere: there the words are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jiwer
from client import BYTES, RATE_HZ, Sound, shifted

import edgestream
from edgestream.events import Final
from edgestream.outlets.records import record
from edgestream.scoring.words import spoken_words
from edgestream.sources.pcm_decoder import PcmDecoder
from edgestream.sources.sample_formats import SampleFormat

AT_ONCE = 4 * RATE_HZ * BYTES
Line = dict[str, Any]
Word = tuple[str, float]  # as it is spoken, and when it ended


def reference(model: str, sound: Sound) -> list[Line]:
    """The final lines of all of it."""
    stream = edgestream.load(model).stream(rate_hz=RATE_HZ)
    decoder = PcmDecoder(SampleFormat.s16le, 1, RATE_HZ)
    events = []
    for at in range(0, sound.n_bytes, AT_ONCE):
        events += stream.push(decoder.push(sound.read(at, AT_ONCE)))
    events += stream.finish()
    return [shifted(record(event), 0.0) for event in events if isinstance(event, Final)]


@dataclass
class Difference:
    """Words that were said otherwise. `border_ms`: from there to the nearest new session."""

    at_ms: float
    border_ms: float
    wanted: list[str]
    said: list[str]


@dataclass
class Comparison:
    """Of what a client was told with what must be said."""

    n_lines: int
    n_words: int
    identical: bool  # line by line, with their times
    differences: list[Difference] = field(default_factory=list)

    @property
    def n_lost(self) -> int:
        """Words that are missing."""
        return sum(max(0, len(d.wanted) - len(d.said)) for d in self.differences)

    @property
    def n_doubled(self) -> int:
        """Words too many."""
        return sum(max(0, len(d.said) - len(d.wanted)) for d in self.differences)


def compare(wanted: list[Line], said: list[Line], begins_ms: list[float]) -> Comparison:
    """`begins_ms`: where the client's sessions begin."""
    ours, theirs = _words(wanted), _words(said)
    found = Comparison(len(said), len(theirs), said == wanted)
    for part in jiwer.process_words(_text(ours), _text(theirs)).alignments[0]:
        if part.type == "equal":
            continue
        at_ms = ours[min(part.ref_start_idx, len(ours) - 1)][1]
        found.differences.append(
            Difference(
                at_ms,
                min(abs(at_ms - begin_ms) for begin_ms in begins_ms),
                [word for word, _ in ours[part.ref_start_idx : part.ref_end_idx]],
                [word for word, _ in theirs[part.hyp_start_idx : part.hyp_end_idx]],
            )
        )
    return found


def _text(words: list[Word]) -> str:
    return " ".join(word for word, _ in words)


def _words(lines: list[Line]) -> list[Word]:
    return [
        (spoken, word["end_ms"])
        for line in lines
        for word in line["words"]
        for spoken in spoken_words(word["text"])
    ]
