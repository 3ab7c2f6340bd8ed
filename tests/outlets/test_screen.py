# SPDX-License-Identifier: Apache-2.0
"""The live display, looked at through a small terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_terminal import TinyTerminal

from edgestream.events import (
    Alert,
    Answer,
    Draft,
    Event,
    Final,
    Gap,
    Lag,
    Note,
    Notice,
    Thought,
    ToolCall,
    Translation,
    TranslationDraft,
)
from edgestream.outlets import screen
from edgestream.outlets.screen import DRAFT_ROWS, METER_CELLS, Screen, activity, loudness

LINE = "And so my fellow Americans, ask not what your country can do for you."


@pytest.fixture(autouse=True)
def every_change_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "REFRESH_HZ", 1e9)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("LINES", "24")


def shown(monkeypatch: pytest.MonkeyPatch, width: int, events: list[Event]) -> TinyTerminal:
    """The terminal after `events` and a status of 83 s, live, -20 dBFS."""
    monkeypatch.setenv("COLUMNS", str(width))
    terminal = TinyTerminal(width)
    display = Screen(terminal)
    for event in events:
        display.push(event)
    display.status(83_000.0, 20.0, loudness(-20.0))
    return terminal


def final(text: str) -> Final:
    return Final(text, (), 0.0, 1.0)


def test_finals_above_the_spoken_line_above_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [Draft("Good", 0, 1), Draft("Good day", 0, 1), final("Good day."), Draft("We", 1, 2)]
    terminal = shown(monkeypatch, 80, events)
    assert terminal.rows == ["Good day.", "We", "0:01:23  ▮▮▮▮▮▮▮▯▯▯  -20 dB  live"]
    assert "2" in terminal.styles  # dim
    assert not terminal.cursor_shown


def test_finish_leaves_the_captions_and_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    terminal = TinyTerminal(80)
    display = Screen(terminal)
    for event in [final("One."), Draft("Tw", 0, 1), final("Two."), Draft("unfinished", 0, 1)]:
        display.push(event)
    display.finish()
    display.finish()
    assert terminal.rows == ["One.", "Two."]
    assert terminal.cursor_shown


def test_each_change_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    terminal = TinyTerminal(80)
    display = Screen(terminal)
    for event in [Draft("One", 0, 1), final("One."), Draft(LINE * 9, 0, 1), final(LINE)]:
        before = terminal.n_writes
        display.push(event)
        assert terminal.n_writes == before + 1


def test_trouble_is_in_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    terminal = TinyTerminal(100)
    display = Screen(terminal)
    display.push(Gap(0, 400, "overflow"))
    display.push(Gap(1_000, 2_000, "microphone lost"))
    display.push(Lag(900, "dropped audio"))
    display.status(3_723_000.0, 900.0, loudness(-300.0))
    (status,) = terminal.rows
    assert status == (
        "1:02:03  ▯▯▯▯▯▯▯▯▯▯  -60 dB  0.9 s behind  2 gaps, 1.4 s lost  too slow: dropped audio"
    )


def test_trouble_is_shown_at_once_and_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "REFRESH_HZ", 0.01)  # no other event may come for long
    monkeypatch.setattr(screen, "TROUBLE_SHOWN_S", 0.05)
    monkeypatch.setenv("COLUMNS", "80")
    terminal = TinyTerminal(80)
    display = Screen(terminal)
    display.push(Draft("speak", 0, 1))
    display.push(Gap(0, 2_000, "microphone lost"))
    assert terminal.rows[-1].endswith("0:00:00  1 gap, 2.0 s lost  microphone lost")
    time.sleep(0.06)
    display.push(final("speaking"))
    assert terminal.rows[-1].endswith("0:00:00  live  1 gap, 2.0 s lost")


def test_a_source_that_is_away_is_waited_for_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    terminal = TinyTerminal(80)
    display = Screen(terminal)
    display.status(71_000.0, 20.0, activity(5.0, 0.1))
    display.push(Notice(71_000.0, "camera lost, reconnecting"))
    for waited_ms in (2_100.0, 12_400.0):
        display.wait(71_000.0 + waited_ms, waited_ms)
    assert terminal.rows == ["0:01:23  reconnecting, 12 s"]
    display.push(Gap(71_000, 84_000, "camera lost"))
    display.status(84_000.0, 20.0, activity(5.0, 0.1))
    assert "reconnecting, " not in terminal.rows[-1]
    assert "1 gap, 13.0 s lost" in terminal.rows[-1]


@given(st.floats(0, 100), st.floats(0, 1))
def test_the_gauge_of_pictures_keeps_its_width(pictures_per_s, share_new) -> None:
    shown = activity(pictures_per_s, share_new).plain
    bar, _, words = shown.partition(" ")
    assert set(bar) <= {"▮", "▯"}
    assert len(bar) == METER_CELLS
    assert bar.count("▮") == round(share_new * METER_CELLS)
    assert words.endswith(f"% new, {pictures_per_s:.1f} pictures/s")


@pytest.mark.parametrize("width", [1, 5, 8, 20, 40, 200])
def test_narrow_terminals_and_long_lines(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    words = [f"word{n}" for n in range(200)]
    terminal = shown(monkeypatch, width, [final(LINE), Draft(" ".join(words), 0, 1)])
    above = [row for row in terminal.rows if "word" not in row]
    assert "".join("".join(above).split()).startswith(LINE.replace(" ", ""))
    assert terminal.rows[-1].startswith("0:01:23"[: max(1, width - 1)])
    draft_rows = [row for row in terminal.rows if row.startswith(("word", "…"))]
    assert len(draft_rows) <= DRAFT_ROWS + 1
    if width >= 8:
        assert "word199" in "".join(draft_rows)  # the end is what is being said


def test_nothing_in_a_caption_is_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = "[red]a[/red] \x1b[2Jb\x07 \x9b31m :smile: http://x.y\nnew\x00 {c}"
    terminal = shown(monkeypatch, 80, [Draft(hostile, 0, 1), final(hostile)])
    assert terminal.rows[0] == "[red]a[/red] [2Jb 31m :smile: http://x.y new {c}"


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(st.text(max_size=200), st.integers(10, 100))
def test_any_text_can_be_shown(monkeypatch: pytest.MonkeyPatch, text: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    terminal = TinyTerminal(10_000)  # wide and combining characters are not one column each
    display = Screen(terminal)
    display.push(Draft(text, 0, 1))
    display.push(final(text))
    display.finish()
    assert terminal.cursor_shown


def test_what_is_no_terminal_gets_the_lines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = TinyTerminal(80, is_terminal=False)
    display = Screen(stream)
    for event in [Draft("Good", 0, 1), final("Good day."), Gap(0, 1, "overflow")]:
        display.push(event)
    display.status(1.0, 2.0, loudness(-3.0))
    display.finish()
    assert stream.rows == ["Good day."]
    assert stream.styles == set()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_stderr_goes_above_or_where_it_was_sent(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    terminal, stderr = TinyTerminal(80), TinyTerminal(80, is_terminal=is_terminal)
    monkeypatch.setattr(sys, "stderr", stderr)
    display = Screen(terminal)
    display.push(Draft("speaking", 0, 1))
    print("a warning", file=sys.stderr)
    assert (terminal.rows[0] == "a warning") == is_terminal
    assert (stderr.rows == ["a warning"]) != is_terminal
    display.finish()
    assert sys.stderr is stderr


def test_redraws_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "REFRESH_HZ", 0.01)
    monkeypatch.setenv("COLUMNS", "80")
    terminal = TinyTerminal(80)
    display = Screen(terminal)
    display.push(Draft("first", 0, 1))
    before = terminal.n_writes
    for n in range(1_000):
        display.status(n, 0.0, loudness(-20.0))
    assert terminal.n_writes == before
    display.push(final("Final lines never wait."))
    assert terminal.rows[0] == "Final lines never wait."


def test_libraries_do_not_write_into_the_display() -> None:
    """In a process whose stdout and stderr are one terminal."""
    code = """
        import os, sys
        from edgestream.events import Draft
        from edgestream.outlets.screen import Screen, loudness
        display = Screen()
        display.push(Draft("speaking", 0, 1))
        os.write(2, b"noise of a library")
        print("a warning", file=sys.stderr)
        display.finish()
        display.finish()
        os.write(2, b"afterwards")
    """
    leader_fd, terminal_fd = os.openpty()
    command = [sys.executable, "-c", textwrap.dedent(code)]
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(command, stdout=terminal_fd, stderr=terminal_fd, env=environment)
    os.close(terminal_fd)
    text = os.read(leader_fd, 100_000).decode()
    os.close(leader_fd)
    assert done.returncode == 0
    assert "noise" not in text
    assert "speaking" in text
    assert "a warning" in text
    assert text.endswith("afterwards")


def translation(text: str) -> Translation:
    return Translation(text, "fr", "It is late.", 0.0, 1.0, 1.0)


def test_a_translation_stands_below_what_it_translates_and_so_do_their_drafts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[Event] = [
        Draft("It is", 0, 1),
        TranslationDraft("Il", "fr", 0, 1),
        final("It is late."),
        translation("Il est tard."),
        Draft("We go", 1, 2),
        TranslationDraft("Nous", "fr", 1, 2),
    ]
    terminal = shown(monkeypatch, 80, events)
    assert terminal.rows[:-1] == ["It is late.", "Il est tard.", "We go", "Nous"]
    assert {"2", "36"} <= terminal.styles  # dim, cyan


def test_a_draft_of_which_nothing_comes_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [Draft("We go", 1, 2), TranslationDraft("Nous", "fr", 1, 2)]
    terminal = shown(monkeypatch, 80, [*events, TranslationDraft("", "fr", 1, 2)])
    assert terminal.rows[:-1] == ["We go"]


def test_what_a_reader_says_stands_above_the_drafts_and_says_what_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[Event] = [
        Draft("It is", 0, 1),
        Note("What?", "It got\nlate.", 0, 1),
        Alert("a fire", "It burns.", 0.9, 0, 1),
        Thought("Night falls.", 0, 1),
        ToolCall("clock", '{"zone": "utc"}', "23:10", False, 0, 1),
        ToolCall("clock", "{}", "no zone", True, 0, 1),
        Answer("When?", "Now.", 1),
        Thought(" ", 0, 1),
    ]
    terminal = shown(monkeypatch, 80, events)
    assert terminal.rows[:-1] == [
        "note  It got late.",
        "alert  a fire: It burns.",
        "thought  Night falls.",
        'tool  clock {"zone": "utc"} = 23:10',
        "tool  clock {} failed: no zone",
        "When? Now.",
        "It is",
    ]
    assert "1" in terminal.styles  # bold


def test_a_reader_that_leaves_out_lines_is_a_part_of_the_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = shown(monkeypatch, 99, [Lag(9000.0, "reading along left out 12 lines")])
    assert terminal.rows[-1].endswith("too slow: reading along left out 12 lines")


@pytest.mark.parametrize("what", [translation, lambda text: Thought(text, 0, 1)])
def test_what_a_model_writes_steers_no_terminal(monkeypatch, what) -> None:  # type: ignore[no-untyped-def]
    terminal = shown(monkeypatch, 80, [what("a\x1b[31mb\x07\n\tc")])
    assert terminal.rows[0].endswith("c")
    assert "31" not in terminal.styles
