# SPDX-License-Identifier: Apache-2.0
"""The window: the picture and what was said under it; machines without a display or pygame."""

import re
import sys
import threading

import numpy as np
import pytest
from drawn_scene import write_scene
from test_cli import run

from edgestream.errors import DeviceError, UsageError
from edgestream.events import Comment, Gap, Notice
from edgestream.outlets.window import CAPTION_SHARE, DISPLAYS, PAPER, Line, Window, compose

pygame = pytest.importorskip("pygame")
WIDTH, HEIGHT = 400, 300
TEXT_TOP = round(HEIGHT * (1 - CAPTION_SHARE))
PATIENCE_S = 60


@pytest.fixture
def dummy(monkeypatch):
    """SDL draws into memory."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def drawn(rgb, lines, now_s=0.0, size=(WIDTH, HEIGHT)):
    """What the window shows, uint8 [height, width, 3]."""
    pygame.font.init()
    surface = pygame.Surface(size)
    compose(surface, rgb, lines, now_s)
    return np.swapaxes(pygame.surfarray.array3d(surface), 0, 1)


@pytest.mark.parametrize("size", [(40, 30), (640, 480), (1, 1), (300, 2)])
def test_the_picture_is_as_large_as_fits_and_in_the_middle(size) -> None:
    rgb = np.full((size[1], size[0], 3), (200, 100, 50), np.uint8)
    shown = drawn(rgb, [])
    is_picture = (abs(shown.astype(int) - (200, 100, 50)) <= 2).all(axis=2)
    rows, columns = (np.flatnonzero(is_picture.any(axis=axis)) for axis in (1, 0))
    scale = min(WIDTH / size[0], TEXT_TOP / size[1])
    assert len(columns) == pytest.approx(scale * size[0], abs=1)
    assert len(rows) == pytest.approx(scale * size[1], abs=1)
    assert columns[0] == pytest.approx(WIDTH - 1 - columns[-1], abs=1)
    assert rows[-1] < TEXT_TOP
    assert (shown[~is_picture] == PAPER).all()


def test_lines_stand_under_the_picture_and_fade() -> None:
    new, old = (drawn(None, [Line("a thing stops", 0.0)], now_s) for now_s in (0.0, 60.0))
    assert (new[:TEXT_TOP] == PAPER).all()
    assert PAPER[0] < old.max() < new.max()
    both = drawn(None, [Line("a thing stops", 0.0), Line("the camera moves", 0.0)], 60.0)
    rows = np.flatnonzero((both != PAPER).any(axis=(1, 2)))
    assert rows[0] == np.flatnonzero((old != PAPER).any(axis=(1, 2)))[0]
    assert rows[-1] > np.flatnonzero((old != PAPER).any(axis=(1, 2)))[-1]


def test_a_long_comment_takes_several_lines_and_its_end_is_shown() -> None:
    long = " ".join(f"word{n}" for n in range(400)) + " " + 5000 * "x"
    rows = (drawn(None, [Line(long, 0.0)]) != PAPER).any(axis=2)
    assert (rows[:TEXT_TOP] == 0).all()
    assert rows.any(axis=1)[TEXT_TOP:].mean() > 0.4  # three lines of text, not one
    assert (drawn(None, [Line("so it ends", 0.0)]) != PAPER).any()


def test_a_tiny_window_is_drawn() -> None:
    assert drawn(np.zeros((48, 64, 3), np.uint8), [Line("text", 0.0)], size=(1, 1)).shape == (
        1,
        1,
        3,
    )


def test_only_the_newest_picture_waits_and_closing_calls_back(dummy) -> None:
    closed = threading.Event()
    window = Window("test", closed.set)
    for grey in range(100):
        window.show(np.full((48, 64, 3), grey, np.uint8))
        assert len(window._picture) <= 1
    away = [Notice(1.0, "camera lost, reconnecting"), Gap(1.0, 2.0, "camera lost")]
    window.push([Comment.of("A thing stops", 1.0), *away])
    said = ["A thing stops", "(camera lost, reconnecting)", "(camera lost)"]
    assert [line.text for line in window._lines] == said
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_q))
    assert closed.wait(PATIENCE_S)
    window.finish()
    window.finish()


def test_without_a_display_or_pygame_it_is_one_line(monkeypatch) -> None:
    for name in DISPLAYS:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DeviceError, match="no display"):
        Window("test", print)
    monkeypatch.setenv("SDL_VIDEODRIVER", "nonsense")
    with pytest.raises(DeviceError, match="leave out --window"):
        Window("test", print)
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(UsageError, match=r"edgestream\[window\]"):
        Window("test", print)


def test_the_command_says_the_same_with_a_window(tmp_path, monkeypatch) -> None:
    clip = write_scene(tmp_path / "scene.avi")
    expected = run("watch", clip, "--fast").stdout
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    done = run("watch", clip, "--fast", "--window")
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")
    for name in DISPLAYS:
        monkeypatch.delenv(name, raising=False)
    done = run("watch", clip, "--fast", "--window")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"edgestream: no display.*\n", done.stderr)
