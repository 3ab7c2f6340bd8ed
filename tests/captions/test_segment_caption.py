# SPDX-License-Identifier: Apache-2.0
"""Captions of a re-encoded model: bytes that wait, words that are whole, drafts, times and gaps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoken_tokens import caption_of, events_of, finals, texts

from edgestream.captions.clock import Clock
from edgestream.events import Draft, Final
from edgestream.outlets.cues import CueCutter


def drafts(events):
    return [event.text for event in events if isinstance(event, Draft)]


@pytest.mark.parametrize("text", ["é", "你好", "👩\u200d👧", "ที่", "ශ්\u200dරී", "می\u200cروم"])
def test_a_character_waits_for_its_bytes(text):
    tokens = [b" so ", *(bytes([byte]) for byte in text.encode()), b" it"]
    events = events_of(tokens, [100 * i for i in range(len(tokens) + 1)], n_hypothesis=1)
    assert texts(finals(events)) == [f"so {text} it"]
    for draft in drafts(events):
        assert "\ufffd" not in draft
        assert f"so {text} it".startswith(draft)


@given(st.binary(min_size=1, max_size=40), st.lists(st.integers(1, 5), min_size=1, max_size=9))
def test_any_bytes_in_any_tokens_are_the_text_of_the_whole(data, sizes):
    tokens, at, i = [], 0, 0
    while at < len(data):
        tokens.append(data[at : at + sizes[i % len(sizes)]])
        at, i = at + sizes[i % len(sizes)], i + 1
    events = events_of(tokens, [50.0 * i for i in range(len(tokens) + 1)])
    letters = [c for c in data.decode("utf-8", "ignore") if c.isalnum()]
    assert [c for line in finals(events) for c in line.text if c.isalnum()] == letters
    assert not any("\ufffd" in event.text for event in events)


def test_bytes_that_stay_alone_are_dropped():
    events = events_of([b" so", b"\xe4", b"\xbd"], [0, 100, 200, 300])
    assert texts(finals(events)) == ["so"]
    events = events_of([b" so", b"\xe4", b" it", b"\xff is"], [0, 100, 200, 300, 400])
    assert texts(finals(events)) == ["so it is"]


def push(caption, tokens, hypothesis=(), *, known_ms, begins_ms=(), window_ms=0.0):
    return caption.push(
        tokens, hypothesis, begins_ms=begins_ms,
        window_ms=window_ms, known_ms=known_ms, now_ms=known_ms + 1000,
    )  # fmt: skip


def test_a_pause_of_commitments_inside_a_word_ends_no_line():
    caption = caption_of([b" a", b" Tar", b"ithen", b" sheet"])
    push(caption, [0, 1], [2, 3], known_ms=1000)
    for known_ms in range(2000, 9000, 500):
        assert finals(push(caption, [], [2, 3], known_ms=known_ms)) == []
    push(caption, [2], [3], known_ms=9000)
    assert texts(caption.finish()) == ["a Tarithen"]


def test_a_silence_that_the_model_heard_ends_a_line():
    caption = caption_of([b" so", b" it", b" is", b"\xc3"])
    push(caption, [0, 1], [2], known_ms=1000)
    (said,) = push(caption, [2], known_ms=2000)  # the draft said so already, but not for sure
    assert (said.text, said.n_final) == ("so it is", len("so it"))
    assert push(caption, [], known_ms=3000) == []
    (line,) = finals(push(caption, [], known_ms=4000))
    assert (line.text, line.end_ms) == ("so it is", 2000)
    push(caption, [0, 3], known_ms=5000)
    assert finals(push(caption, [], known_ms=9000)) == []  # a letter is not whole


def test_drafts_show_the_open_line_and_what_may_follow():
    caption = caption_of([b" so", b" it", b" is", b" \xc3", b"\xa9", b"."])
    assert drafts(push(caption, [], [0, 1, 3], known_ms=0)) == ["so it"]
    assert drafts(push(caption, [0], [1, 3, 4], known_ms=500)) == ["so it é"]
    (same,) = push(caption, [1], [3, 4], known_ms=1000)  # "so" is sure now
    assert (same.text, same.n_final) == ("so it é", len("so"))
    assert push(caption, [], [3, 4], known_ms=1200) == []  # nothing new
    assert drafts(push(caption, [], [5], known_ms=1500)) == ["so it."]
    assert texts(caption.finish()) == ["so it"]
    assert drafts(push(caption, [], [5], known_ms=2000)) == []


def test_drafts_begin_where_the_open_line_does():
    caption = caption_of([b" so it is", b" and so it was"])
    (draft,) = push(caption, [], [0], known_ms=59_000, window_ms=57_000)
    assert draft.start_ms == 60_000 - 70 * 9  # as long as speaking it takes
    (longer,) = push(caption, [], [0, 1], known_ms=59_500, window_ms=57_000)
    assert longer.start_ms == draft.start_ms
    push(caption, [0, 1], known_ms=61_000, window_ms=57_000)
    (line,) = finals(caption.finish())
    assert 58_000 < line.start_ms < line.end_ms == 61_000
    (draft,) = push(caption, [], [1], known_ms=61_500, window_ms=61_200)
    assert draft.start_ms >= 61_200


def test_words_without_times_are_as_old_as_what_is_known():
    caption = caption_of([b" so it", b" is", b" then"])
    push(caption, [0], [1], known_ms=1000)
    push(caption, [1], [2], known_ms=1200)
    push(caption, [2], known_ms=20_000)
    first, second = finals(caption.finish())
    assert [(w.text, w.end_ms) for w in first.words] == [("so", 790), ("it", 990), ("is", 1200)]
    assert (second.text, second.start_ms, second.end_ms) == ("then", 19_650, 20_000)


def test_no_word_and_no_cue_stands_in_a_gap():
    clock = Clock()
    clock.skip(7000.0, 30_000.0)
    tokens = [b" we", b" heard", b" it", b" here", b" and", b" there"]
    begins_ms = [6000, 6300, 6600, 6900, 7300, 7600, 7900]
    before, after = finals(events_of(tokens, begins_ms, clock=clock))
    assert (before.text, before.end_ms) == ("we heard it", 6900)
    assert (after.text, after.start_ms, after.end_ms) == ("here and there", 37_000, 37_900)
    clock = Clock()
    clock.skip(7000.0, 30_000.0)
    before, after = finals(events_of(tokens, [ms + 95 for ms in begins_ms[:-1]] + [8000]))[:1] * 2
    assert before.end_ms == 8000  # without a gap it is one line
    before, after = finals(
        events_of(tokens, [6000, 6300, 6500, 6600, 7050, 7600, 7900], clock=clock)
    )
    assert (before.text, before.end_ms) == ("we heard it here", 7000)
    assert (after.text, after.start_ms) == ("and there", 37_050)
    for line in (before, after):
        for cue in CueCutter().push(line):
            assert cue.end_ms <= 8500 or cue.start_ms >= 37_000


def test_no_word_begins_before_the_window_that_opens_behind_a_pause():
    caption = caption_of([b" so", b" it", b" is"])
    push(caption, [0], [1], known_ms=1000, begins_ms=[500, 900])
    assert texts(caption.finish()) == ["so"]
    begins_ms = [5900, 6500, 7000]
    push(caption, [1, 2], known_ms=7000, begins_ms=begins_ms, window_ms=6000)
    (line,) = finals(caption.finish())
    assert [(w.start_ms, w.end_ms) for w in line.words] == [(6000, 6500), (6500, 7000)]


def test_a_line_is_not_said_twice_at_once():
    caption = caption_of([b" so it is"])
    caption.push([0], [], begins_ms=[0, 0], window_ms=0, known_ms=0, now_ms=0)
    first = caption.finish()
    caption.push([0], [], begins_ms=[0, 0], window_ms=0, known_ms=0, now_ms=0)
    assert (texts(first), caption.finish()) == (["so it is"], [])


def test_a_reset_caption_is_a_new_one():
    caption = caption_of([b" so", b" it\xc3", b" is"])
    push(caption, [0, 1], [2], known_ms=5000)
    caption.reset()
    (draft,) = push(caption, [2], known_ms=1000)
    assert draft.text == "is"
    (line,) = caption.finish()
    assert isinstance(line, Final)
    assert line.words[0].end_ms == 1000
