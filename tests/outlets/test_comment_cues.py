# SPDX-License-Identifier: Apache-2.0
"""Subtitles of comments: each starts when it happened, nothing flashes by, nothing overlaps."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from subtitle_parsers import parse_srt, parse_vtt
from test_writer import run_python

from edgestream.captions.line_breaks import COLUMNS
from edgestream.captions.shown_text import columns
from edgestream.events import READING_MS, Comment, Gap
from edgestream.outlets.comment_cues import CommentCutter
from edgestream.outlets.cues import MIN_CUE_MS, Cue
from edgestream.outlets.writers import open_writer

ENTERS, LIGHT, LEAVES = "A person enters from the left.", "The light goes off.", "A person leaves."


def comment(text, start_ms, picture_ms=None):
    return Comment.of(text, start_ms if picture_ms is None else picture_ms, None, start_ms)


def cues_of(path, events, format="srt"):
    writer = open_writer(format, path)
    for event in events:
        writer.push(event)
    writer.finish()
    return (parse_srt if format == "srt" else parse_vtt)(path.read_text())


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_what_is_not_read_yet_stays_as_the_first_line_of_the_next_cue(format, tmp_path):
    events = [
        comment(ENTERS, 1_000.0, 1_600.0), comment(LIGHT, 1_500.0), comment(LEAVES, 2_200.0),
        comment(ENTERS, 60_000.0),
    ]  # fmt: skip
    cues = cues_of(tmp_path / "out", events, format)
    read_ms = [round(READING_MS * (len(text) + 1)) for text in (ENTERS, LIGHT, LEAVES)]
    assert cues == [
        (1_000, 1_500, [ENTERS]),  # when it happened, not when that was sure
        (1_500, 2_200, [ENTERS, LIGHT]),
        # At most two; time for what is left of the one and for all of the other.
        (2_200, 2_200 + read_ms[1] + read_ms[2], [LIGHT, LEAVES]),
        (60_000, 60_000 + read_ms[0], [ENTERS]),
    ]


def test_a_comment_that_was_read_is_not_repeated(tmp_path):
    read_ms = READING_MS * (len(ENTERS) + 1)
    cues = cues_of(tmp_path / "out", [comment(ENTERS, 0.0), comment(LIGHT, read_ms)])
    assert [lines for _, _, lines in cues] == [[ENTERS], [LIGHT]]


def test_starts_never_go_back_nor_meet(tmp_path):
    events = [comment(ENTERS, 5_000.0), comment(LIGHT, 4_000.0), comment(LEAVES, 5_000.0)]
    cues = cues_of(tmp_path / "out", events)
    assert [cue[:2] for cue in cues[:2]] == [(5_000, 5_001), (5_001, 5_002)]
    assert cues[2][0] == 5_002
    assert cues[1][2] == [ENTERS, LIGHT]


def test_a_comment_before_the_first_picture_starts_at_zero(tmp_path):
    assert cues_of(tmp_path / "out", [comment(ENTERS, -40.0)])[0][0] == 0


def test_a_long_comment_is_one_cue_of_whole_lines(tmp_path):
    long = "A woman in a long green coat walks slowly past the shop, stops to look at the window"
    long += " for a while, and then goes on to the right with her bag in her hand."
    ((start_ms, end_ms, lines), *others) = cues_of(tmp_path / "out", [comment(long, 3_000.0)])
    assert (others, start_ms, " ".join(lines)) == ([], 3_000, long)
    assert end_ms - start_ms >= READING_MS * len(long)
    assert all(columns(line) <= COLUMNS for line in lines)
    cues = cues_of(tmp_path / "out", [comment(long, 3_000.0), comment(LIGHT, 4_000.0)])
    assert cues[1] == (4_000, cues[1][1], [*lines[-2:], LIGHT])  # its end is what is still unread


def test_a_gap_takes_no_comment_away(tmp_path):
    whole = cues_of(tmp_path / "one", [comment(ENTERS, 0.0)])
    lost = Gap(100.0, 9_000.0, "camera lost")
    assert cues_of(tmp_path / "two", [comment(ENTERS, 0.0), lost]) == whole


def test_on_a_pipe_cues_are_on_time_and_beside_each_other():
    code = f"""
        from edgestream.events import Comment
        from edgestream.outlets.writers import open_writer
        writer = open_writer("srt")
        writer.push(Comment.of({ENTERS!r}, 1_000.0))
        writer.push(Comment.of({LIGHT!r}, 1_500.0))
        writer.finish()
    """
    cues = parse_srt(run_python(code).stdout)
    assert cues == [(1_000, 2_860, [ENTERS]), (1_500, 2_700, [LIGHT])]


def test_text_that_cannot_be_shown_is_no_cue():
    cutter = CommentCutter()
    assert cutter.push(comment("\x00 \n", 5.0), rolling=True) is None
    assert cutter.push(comment("So.", 5.0), rolling=True) == Cue(5, 5 + MIN_CUE_MS, ("So.",))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(st.lists(st.tuples(st.floats(-300, 3_000), st.text("ab c.", max_size=200)), max_size=8))
def test_any_comments_make_cues_on_time_that_do_not_overlap(tmp_path, steps):
    at_ms, comments = 0.0, []
    for step_ms, text in steps:
        at_ms = max(0.0, at_ms + step_ms)
        comments.append(comment(text, at_ms))
    comments = [each for each in comments if each.text.split()]
    cues = cues_of(tmp_path / "out", comments)
    assert len(cues) == len(comments)
    latest_ms = -1
    for said, (start_ms, end_ms, lines) in zip(comments, cues, strict=True):
        latest_ms = max(latest_ms + 1, round(said.start_ms))
        assert start_ms == latest_ms < end_ms
        assert " ".join(lines).replace(" ", "").endswith(said.text.replace(" ", ""))
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(cues))
