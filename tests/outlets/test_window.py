# SPDX-License-Identifier: Apache-2.0
"""The window: the picture and what was said under it; machines without a display or pygame."""

import itertools
import re
import sys
import threading

import numpy as np
import pytest
from drawn_scene import write_scene
from test_cli import run

from edgestream.errors import DeviceError, UsageError
from edgestream.events import Comment, Gap, Notice
from edgestream.outlets.boxes import colour_of
from edgestream.outlets.window import CAPTION_SHARE, DISPLAYS, PAPER, Line, Shown, Window, compose
from edgestream.vision.stages import Seen

pygame = pytest.importorskip("pygame")
WIDTH, HEIGHT = 400, 300
TEXT_TOP = round(HEIGHT * (1 - CAPTION_SHARE))
PATIENCE_S = 60


@pytest.fixture
def dummy(monkeypatch):
    """SDL draws into memory."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def drawn(rgb, lines, now_s=0.0, size=(WIDTH, HEIGHT), seen=()):
    """What the window shows, uint8 [height, width, 3]."""
    pygame.font.init()
    surface = pygame.Surface(size)
    compose(surface, None if rgb is None else Shown(rgb, seen), lines, now_s)
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


def things(*boxes):
    return [Seen(track, "person", "", box, 0.9) for track, box in enumerate(boxes)]


@pytest.mark.parametrize("ground", [0, 128, 255, "noise"])
def test_what_is_followed_has_a_box_that_is_seen_on_any_picture(ground) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    rgb = noise if ground == "noise" else np.full((120, 160, 3), ground, np.uint8)
    plain, marked = (
        drawn(rgb, []),
        drawn(rgb, [], seen=things((20, 40, 70, 110), (90, 50, 150, 100))),
    )
    scale = TEXT_TOP / 120
    left = (WIDTH - round(scale * 160)) // 2
    for track, (x0, y0, x1, y1) in enumerate([(20, 40, 70, 110), (90, 50, 150, 100)]):
        colour = np.array(colour_of(track))
        for x, y in [(x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2), ((x0 + x1) / 2, y1)]:
            row, column = round(scale * y), left + round(scale * x)
            near = marked[row - 4 : row + 5, column - 4 : column + 5].reshape(-1, 3).astype(int)
            assert (near == colour).all(axis=1).any()  # the line
            assert (near == 0).all(axis=1).any()  # and the dark one beside it
        inside = np.s_[
            round(scale * (y0 + 8)) : round(scale * (y1 - 8)), left + round(scale * (x0 + 8))
        ]
        assert (marked[inside] == plain[inside]).all()
    assert (marked[TEXT_TOP:] == PAPER).all()


def test_a_box_at_or_past_the_edge_keeps_its_name_in_the_picture() -> None:
    rgb = np.zeros((120, 160, 3), np.uint8)
    for box in [(0, 0, 160, 120), (150, 1, 400, 300), (-50, -50, 10, 10), (159, 119, 160, 120)]:
        marked = drawn(rgb, [], seen=things(box))
        found = (marked[:TEXT_TOP] == colour_of(0)).all(axis=2)
        assert found.sum() > 100  # the ground of the name alone has more
        assert (marked[TEXT_TOP:] == PAPER).all()
    assert drawn(rgb, [], size=(1, 1), seen=things((0, 0, 160, 120))).shape == (1, 1, 3)


def test_a_thing_keeps_its_colour_and_its_neighbours_have_others() -> None:
    colours = [colour_of(track) for track in range(1000)]
    assert colours == [colour_of(track) for track in range(1000)]
    for one, other in itertools.pairwise(colours):
        assert np.abs(np.subtract(one, other)).max() > 60


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
