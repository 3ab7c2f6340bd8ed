# SPDX-License-Identifier: Apache-2.0
"""Moonshine: parity with transformers, the streaming law."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny_moonshine
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers_moonshine import ANSWERS
from transformers_whisper import SEEDS, sound

from edgestream._native import WaitK
from edgestream.events import Final
from edgestream.hypothesis_rules import HypothesisRules
from edgestream.reencoded_model import ReencodedModel, WindowSpec

EXPECTED = json.loads(ANSWERS.read_text(encoding="utf-8"))
SPOKEN = np.concatenate([sound(i, 3.3) for i in range(4)])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_whole_input_gives_the_tokens_of_transformers(tmp_path, monkeypatch, seed):
    """All sound as one unit, no guards; 7.3 s are no whole number of rows, and none is padded."""
    monkeypatch.setattr(HypothesisRules, "is_loop", lambda self, written: False)
    folder = tiny_moonshine.write(tmp_path / "m", seed)
    model = ReencodedModel(folder, WindowSpec(step_ms=30000, keep_ms=30000, max_ms=30000))
    stream = model.stream(policy=WaitK(0))
    written: list[int] = []
    stream._stages.caption.push = lambda tokens, *_, **__: written.extend(tokens) or []
    stream.push(sound(seed))
    stream.finish()
    assert len(set(written)) > 1
    expected = [token for token in EXPECTED[str(seed)] if token != tiny_moonshine.END]
    assert written[: len(expected)] == expected


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    folder = tiny_moonshine.write(tmp_path_factory.mktemp("model") / "m", 2)
    return ReencodedModel(folder, WindowSpec(step_ms=500, keep_ms=1500, max_ms=4000))


@settings(max_examples=8)
@given(st.lists(st.integers(1, 30000), min_size=1, max_size=4))
def test_any_cutting_gives_the_captions_of_the_whole(short, sizes):
    def events(cuts):
        stream, found, at = short.stream(), [], 0
        for i in range(len(SPOKEN)):
            size = cuts[i % len(cuts)]
            found += stream.push(SPOKEN[at : at + size])
            at += size
            if at >= len(SPOKEN):
                break
        return found + stream.finish(), stream

    (whole, _), (pieces, stream) = events([len(SPOKEN)]), events([*sizes, 9000])
    assert pieces == whole
    assert any(isinstance(event, Final) for event in whole)
    assert stream._stages.loop.n_left > 500  # rows: the window is trimmed without times too


def test_a_moment_of_sound_is_too_short_for_the_convolutions_and_no_error(short):
    stream = short.stream()
    assert stream.push(sound(0)[:200]) == []
    assert all(isinstance(event, Final) or event for event in stream.finish())
