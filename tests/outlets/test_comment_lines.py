# SPDX-License-Identifier: Apache-2.0
"""A comment as text, on the screen and in JSONL: when it happened, and what, in fields."""

import dataclasses
import json

import pytest
from tiny_terminal import TinyTerminal

from edgestream.events import Answer, Comment, Final, Happening
from edgestream.outlets.screen import Screen
from edgestream.outlets.writers import open_writer

HAPPENED = Happening(
    "enters", side="left", track=7, label="person", colour="red", box=(1, 2, 30, 40), score=0.87654
)
OF_A_FILE = Comment.of("A red person enters from the left.", 83_400.0, HAPPENED, 83_000.0)
LIVE = dataclasses.replace(OF_A_FILE, time="2026-05-04T14:03:22.500+02:00")


def written(path, format, *events):
    writer = open_writer(format, path)
    for event in events:
        writer.push(event)
    writer.finish()
    return path.read_text()


@pytest.mark.parametrize(("comment", "when"), [(LIVE, "14:03:22"), (OF_A_FILE, "0:01:23")])
def test_text_and_screen_begin_with_when_it_happened(comment, when, tmp_path, monkeypatch):
    line = f"{when}  A red person enters from the left."
    assert written(tmp_path / "out.txt", "text", comment) == line + "\n"
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = TinyTerminal(80)
    screen = Screen(terminal)
    screen.push(comment)
    screen.finish()
    assert terminal.rows[0] == line
    assert "2" in terminal.styles  # dim


def test_captions_and_answers_have_no_time(tmp_path):
    said = [Final("Good day.", (), 5.0, 9.0), Answer("Who?", "Nobody.", 5.0)]
    assert written(tmp_path / "out.txt", "text", *said) == "Good day.\nWho? Nobody.\n"


def test_a_time_after_many_hours_or_before_the_start_can_be_read(tmp_path):
    comments = [Comment.of("Late.", 36_000_000.0), Comment.of("Early.", 0.0, None, -3.0)]
    assert written(tmp_path / "out.txt", "text", *comments) == "10:00:00  Late.\n0:00:00  Early.\n"


def test_jsonl_has_what_happened_in_fields_and_leaves_out_what_is_not_known(tmp_path):
    lines = written(tmp_path / "out.jsonl", "jsonl", LIVE, Comment.of("So.", 5.0))
    live, plain = map(json.loads, lines.splitlines())
    assert live == {
        "type": "final", "text": "A red person enters from the left.", "words": [],
        "start_ms": 83_000.0, "end_ms": 85_040.0, "picture_ms": 83_400.0, "staleness_ms": 0.0,
        "time": "2026-05-04T14:03:22.500+02:00", "kind": "enters", "side": "left", "track": 7,
        "class": "person", "colour": "red", "box": [1, 2, 30, 40], "score": 0.877, "count": 1,
    }  # fmt: skip
    assert plain == {
        "type": "final", "text": "So.", "words": [], "start_ms": 5.0, "end_ms": 1005.0,
        "picture_ms": 5.0, "staleness_ms": 0.0,
    }  # fmt: skip
