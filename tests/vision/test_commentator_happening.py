# SPDX-License-Identifier: Apache-2.0
"""Sentences of the built-in commentator as fields: all that it was taught, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgestream.captions.step_caption import truecase
from edgestream.events import Happening
from edgestream.vision.commentator.happening import happening_of

TOOLS = Path(__file__).parents[2] / "tools" / "train" / "watch"


@pytest.fixture
def vocabulary(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(TOOLS), *sys.path])
    import vocabulary

    return vocabulary


def test_every_sentence_of_the_training_is_known(vocabulary) -> None:
    for size in vocabulary.SIZES:
        for colour in vocabulary.COLOURS:
            for side in vocabulary.SIDES:
                for kind in vocabulary.OF_THINGS:
                    event = vocabulary.Event(kind, 0.0, size, colour, side)
                    where = {"stops": {}, "moves": {"direction": side}}.get(kind, {"side": side})
                    said = truecase(event.text, sentence_start=True)
                    assert happening_of(said) == Happening(kind, colour=colour, **where)
    for kind, text in vocabulary.PLAIN.items():
        assert happening_of(text) == Happening(kind.replace(" ", "-"))


@pytest.mark.parametrize(
    "text",
    ["", "A large", "a large red thing enters from the", "the thing stops", "a red thing stops",
     "the large red thing stops…", "the light goes on off", "the camera is",
     "a large red thing enters to the left", "a huge red thing stops"],
)  # fmt: skip
def test_what_it_was_not_taught_is_not_known(text) -> None:
    assert happening_of(text) is None
