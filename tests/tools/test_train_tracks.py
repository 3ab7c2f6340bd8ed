# SPDX-License-Identifier: Apache-2.0
"""The simulated tracks that the model of tracks learns from, its words, and how it is scored."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laid_out import expect_words_in_order

TOOLS = Path(__file__).parents[2] / "tools" / "train" / "watch"
KINDS = ("single", "several", "group", "crowd", "meeting", "cars", "hands", "quiet", "left-things")
SIDES = ("left", "right", "top", "bottom")
seeds = st.integers(0, 10_000)
kinds = st.sampled_from(KINDS)


@pytest.fixture(scope="module", autouse=True)
def _tools_on_path():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(TOOLS), *sys.path])
        yield


def made(kind: str, seed: int):
    from sim_script import scene
    from simulate import Simulated

    return Simulated(scene(kind, seed), seed)


@given(kinds, seeds)
@settings(max_examples=20, deadline=None)
def test_what_is_told_of_a_thing_is_what_it_does(kind, seed) -> None:
    scene = made(kind, seed).scene
    for thing in scene.things:
        seen = [i for i in range(scene.n) if thing.visible(i, scene.view) is not None]
        for event in thing.events:
            at = round(event.time_ms / 200)
            if event.kind == "enters":
                assert at == seen[0] > 0 or thing.hand
            elif event.kind == "leaves":
                assert at == seen[-1] < scene.n - 1 or thing.hand
            elif event.kind == "stops":
                assert all(thing.moved(i) < 0.2 for i in range(at + 1, at + 5))
            else:
                assert event.kind == "moves"
                assert thing.moved(round(event.known_ms / 200), before=8) > 0.1


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_nothing_happens_in_a_quiet_scene(seed) -> None:
    assert made("quiet", seed).events == []


@given(kinds, seeds)
@settings(max_examples=6, deadline=None)
def test_the_same_seed_gives_the_same_tracks(kind, seed) -> None:
    first, again = (
        [[(t.number, t.seen_ms, t.box, t.label) for t in p.step.alive] for p in made(kind, seed)]
        for _ in range(2)
    )
    assert first == again


@given(seeds)
@settings(max_examples=6, deadline=None)
def test_a_lesson_says_each_event_once_at_most_and_of_a_row(seed) -> None:
    from collections import Counter

    from track_features import N_NUMBERS
    from track_labels import lesson

    simulated = made("meeting", seed)
    happened = Counter(e.kind for e in simulated.events)
    learned = lesson(simulated, seed)
    said = Counter(s[0] for s, asked in zip(learned.sayings, learned.asked, strict=True)
                   if s and asked)  # fmt: skip
    assert said <= happened
    assert {n.shape for n in learned.numbers} <= {(N_NUMBERS,)}
    assert all(np.isfinite(n).all() for n in learned.numbers)


def test_every_saying_can_be_read_back_and_no_broken_one() -> None:
    from track_words import END, TOKEN, saying_of, tokens_of

    right = {("stops", ""), ("leaves", "")}
    right |= {(kind, side) for kind in ("enters", "moves", "leaves") for side in SIDES}
    for saying in right:
        *words, end = tokens_of(saying)
        assert end == END
        assert saying_of(words) == saying
    broken = ([], ["left"], ["enters"], ["stops", "left"], ["moves", "stops"], ["leaves"] * 3)
    for words in broken:
        assert saying_of([TOKEN[w] for w in words]) is None


@given(st.lists(st.sampled_from([None, ("stops", ""), ("enters", "left")]), max_size=20))
def test_rows_hold_each_track_and_word_once_in_order(turns) -> None:
    from track_words import BOS, END, SILENCE, lay_out

    rows, targets = lay_out(turns, [True] * len(turns))
    assert rows[0] == BOS
    assert [-1 - r for r in rows if r < 0] == list(range(len(turns)))
    expect_words_in_order(rows, targets, begins=BOS, ends=END, silence=SILENCE)


boxes = st.tuples(*[st.integers(0, 300)] * 2, *[st.integers(4, 60)] * 2)


@given(st.lists(boxes, max_size=8))
def test_merged_blobs_cover_all_parts_and_stay_apart(drawn) -> None:
    from sim_blobs import merged

    from edgestream.vision.perception.boxes import Box, inside, overlap

    parts = [(Box(x, y, x + w, y + h), i) for i, (x, y, w, h) in enumerate(drawn)]
    found = [box for box, _ in merged(parts, 8.0)]
    assert all(any(inside(part, box) > 0.999 for box in found) for part, _ in parts)
    for i, one in enumerate(found):
        near = Box(one.left - 8, one.top - 8, one.right + 8, one.bottom + 8)
        assert all(overlap(near, other) == 0 for other in found[i + 1 :])


events = st.lists(
    st.tuples(st.sampled_from(["enters", "leaves"]), st.integers(0, 60), st.sampled_from(SIDES)),
    max_size=10,
)


@given(events, events)
def test_no_event_is_counted_twice_and_none_from_afar(said, truth) -> None:
    from sim_thing import Happened
    from told_score import Told, pairs

    told = [Told(200.0 * at, 200.0 * at, kind, side) for kind, at, side in said]
    happened = [Happened(200.0 * at, 200.0 * at, kind, (side,), 0) for kind, at, side in truth]
    found = pairs(told, happened)
    assert len({i for i, _ in found}) == len({j for _, j in found}) == len(found)
    for i, j in found:
        assert (told[i].kind, told[i].side) == (happened[j].kind, happened[j].sides[0])
        assert abs(told[i].time_ms - happened[j].time_ms) <= 1500
    every = pairs([Told(h.time_ms, h.time_ms, h.kind, h.sides[0]) for h in happened], happened)
    assert len(every) == len(happened)
