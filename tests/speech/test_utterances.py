# SPDX-License-Identifier: Apache-2.0
"""Rows with voices to utterances."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.speech.reencoded.utterances import Mark, Utterances, UtteranceSpec

SPEC = UtteranceSpec(confirm_rows=3, lead_rows=4, pause_rows=3, end_rows=8)
VOICES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.34, 0.4, 0.5, 1.0]), st.integers(1, 14)), max_size=12
)
SIZES = st.lists(st.integers(1, 20), min_size=1, max_size=5)


def rows_of(voices):
    """Runs (voice, n) as rows that hold their own number, and the voice in each."""
    each = np.array([voice for voice, n in voices for _ in range(n)], np.float32)
    return np.arange(len(each), dtype=np.float32)[:, None], each


def pieces_of(voices, sizes=(1 << 30,), spec=SPEC):
    rows, each = rows_of(voices)
    stage, found, at, i = Utterances(1, spec), [], 0, 0
    while at < len(rows):
        end = at + sizes[i % len(sizes)]
        found += stage.push(rows[at:end], each[at:end])
        at, i = end, i + 1
    return [*found, *stage.finish()]


def utterances(pieces):
    """[(first row, [rows up to each mark], ended)]; pieces follow each other."""
    found = []
    for piece in pieces:
        if piece.begins:
            assert not found or found[-1][2]
            found.append([piece.first_row, [[]], False])
        first, parts, ended = found[-1]
        assert not ended
        if len(piece.rows):
            assert piece.first_row == first + sum(map(len, parts))
        parts[-1] += piece.rows[:, 0].astype(int).tolist()
        if piece.mark is Mark.PAUSE:
            parts.append([])
        found[-1][2] = piece.mark is Mark.END
    return found


@settings(max_examples=200)
@given(VOICES, SIZES)
def test_any_cutting_gives_the_same_rows_up_to_each_mark(voices, sizes):
    whole = utterances(pieces_of(voices))
    assert utterances(pieces_of(voices, sizes)) == whole
    assert utterances(pieces_of(voices, [1])) == whole


@settings(max_examples=200)
@given(VOICES, SIZES)
def test_nothing_is_lost_or_said_twice_between_begin_and_end(voices, sizes):
    _, each = rows_of(voices)
    found, before = utterances(pieces_of(voices, sizes)), 0
    for first, parts, ended in found:
        rows = [row for part in parts for row in part]
        assert ended
        assert rows == list(range(first, first + len(rows)))
        assert first >= before
        before = first + len(rows)
    inside = {row for first, parts, _ in found for part in parts for row in part}
    confirmed = 0
    for row, voice in enumerate(each.tolist()):
        confirmed = confirmed + 1 if voice >= SPEC.start else 0
        if confirmed >= SPEC.confirm_rows:
            assert row in inside


def test_nobody_is_in_no_piece():
    assert pieces_of([(0.0, 100)]) == []
    assert pieces_of([(0.49, 100)], [7]) == []
    assert pieces_of([(0.0, 10), (1.0, 2), (0.0, 10), (1.0, 2), (0.0, 9)]) == []  # clicks
    assert pieces_of([]) == []


def test_the_rows_before_the_first_sound_are_kept():
    (found,) = utterances(pieces_of([(0.0, 20), (1.0, 10), (0.0, 3)]))
    assert found[0] == 20 - SPEC.lead_rows
    (found,) = utterances(pieces_of([(0.0, 2), (1.0, 10)]))
    assert found[0] == 0  # there are no more


def test_a_pause_is_marked_where_it_is_sure_and_an_end_later():
    pieces = pieces_of([(0.0, 5), (1.0, 6), (0.0, 30)], [1])
    assert [p.mark for p in pieces[-2:]] == [Mark.PAUSE, Mark.END]
    assert pieces[-2].first_row + len(pieces[-2].rows) == 11 + SPEC.pause_rows
    assert pieces[-1].first_row == 11 + SPEC.end_rows
    assert len(pieces[-1].rows) == 0  # the silence behind is not heard


def test_who_speaks_on_after_a_pause_goes_on_with_all_rows():
    (found,) = utterances(pieces_of([(1.0, 6), (0.0, 5), (1.0, 6), (0.0, 4)]))
    assert [row for part in found[1] for row in part][:17] == list(range(17))
    assert [len(part) for part in found[1][:2]] == [9, 11]


def test_a_voice_between_the_thresholds_neither_begins_nor_ends():
    assert pieces_of([(0.4, 100)]) == []
    (found,) = utterances(pieces_of([(1.0, 5), (0.4, 100)]))
    assert sum(map(len, found[1])) == 105
    (found,) = utterances(pieces_of([(1.0, 5), (0.0, 2), (0.4, 100)]))  # it had stopped
    assert sum(map(len, found[1])) == 5 + SPEC.pause_rows


def test_a_word_at_the_end_is_heard_though_it_is_short():
    (found,) = utterances(pieces_of([(0.0, 10), (1.0, 2)]))
    assert found[1][0] == list(range(6, 12))


def test_a_reset_stage_is_a_new_one():
    rows, each = rows_of([(1.0, 20)])
    stage = Utterances(1, SPEC)
    first = [(p.first_row, p.rows.tolist(), p.mark) for p in stage.push(rows, each)]
    stage.reset()
    assert [(p.first_row, p.rows.tolist(), p.mark) for p in stage.push(rows, each)] == first
