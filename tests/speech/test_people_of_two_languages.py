# SPDX-License-Identifier: Apache-2.0
"""People who speak English and Russian in one stream, heard by a Whisper with its real weights.

Only where `whisper-base` was pulled.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgestream.errors import EdgestreamError
from edgestream.events import Final
from edgestream.library.folders import find
from edgestream.scoring.clips import PEOPLE, read_samples
from edgestream.speech.reencoded.model import ReencodedModel

RUSSIAN = Path(__file__).parents[1] / "data" / "russian" / "conference.ogg"
PAUSE = np.zeros(19200, np.float32)


@pytest.fixture(scope="module")
def model():
    try:
        return ReencodedModel(find("whisper-base"))
    except EdgestreamError:
        pytest.skip("whisper-base is not on this machine")


def test_words_are_written_in_the_language_that_is_spoken(model):
    english, russian = read_samples(PEOPLE / "LJ001-0013.flac"), read_samples(RUSSIAN)
    parts = [english, PAUSE, russian, PAUSE, english]
    begins_ms = np.cumsum([0, *(len(part) / 16 for part in parts)])
    stream = model.stream()
    events = stream.push(np.concatenate(parts)) + stream.finish()
    words = [word for event in events if isinstance(event, Final) for word in event.words]
    assert len(words) > 12
    for word in words:
        in_russian = begins_ms[1] + 600 < word.start_ms < begins_ms[4] - 600
        assert in_russian == any("\u0400" <= letter <= "\u04ff" for letter in word.text), word
