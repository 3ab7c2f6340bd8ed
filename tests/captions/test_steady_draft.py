# SPDX-License-Identifier: Apache-2.0
"""What of a hypothesis is shown before it is committed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgestream.captions.steady_draft import SteadyDraft

HOLD_MS = 200.0


def test_the_newest_words_wait_for_a_second_look():
    draft = SteadyDraft(HOLD_MS)
    assert draft.shown([1, 2, 3], [0, 300, 600, 900], now_ms=1000) == [1, 2]
    assert draft.shown([1, 2, 3, 4], [0, 300, 600, 900, 1300], now_ms=1400) == [1, 2, 3]
    assert draft.shown([1, 9, 4], [0, 300, 600, 1400], now_ms=1500) == [1, 9]


def test_what_was_heard_long_ago_is_shown_at_once():
    draft = SteadyDraft(HOLD_MS)
    assert draft.shown([1, 2], [0, 300, 600], now_ms=800) == [1, 2]
    assert draft.shown([5, 6], [0, 300, 700], now_ms=800) == [5]


def test_without_places_only_agreement_counts():
    draft = SteadyDraft(HOLD_MS)
    assert draft.shown([1, 2, 3], [], now_ms=9000) == []
    assert draft.shown([1, 2, 4], [], now_ms=9500) == [1, 2]


def test_committed_tokens_leave_the_last_look():
    draft = SteadyDraft(HOLD_MS)
    draft.shown([1, 2, 3], [], now_ms=0)
    draft.committed([1, 2])
    assert draft.shown([3, 4], [], now_ms=0) == [3]
    draft.committed([7])  # it had another
    assert draft.shown([3, 4], [], now_ms=0) == []


def test_a_reset_draft_has_seen_nothing():
    draft = SteadyDraft(HOLD_MS)
    draft.shown([1, 2], [], now_ms=0)
    draft.reset()
    assert draft.shown([1, 2], [], now_ms=0) == []


@given(
    st.lists(st.lists(st.integers(0, 2), max_size=6), max_size=8),
    st.lists(st.integers(0, 400), min_size=7, max_size=7),
    st.booleans(),
)
def test_the_front_of_the_hypothesis_is_shown_and_agreed_words_always(looks, steps, placed):
    draft, before = SteadyDraft(HOLD_MS), []
    begins = [float(sum(steps[: i + 1])) for i in range(7)]
    for look in looks:
        places = begins[: len(look) + 1] if placed else []
        shown = draft.shown(look, places, now_ms=begins[len(look)] + 50)
        assert look[: len(shown)] == shown
        agreed = 0
        while agreed < min(len(look), len(before)) and look[agreed] == before[agreed]:
            agreed += 1
        assert len(shown) >= agreed
        before = look
