# SPDX-License-Identifier: Apache-2.0
"""A window with the newest picture and what was said of it, drawn by a thread of its own."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgestream.captions.shown_text import printable
from edgestream.errors import DeviceError, UsageError, shown
from edgestream.events import Event, Final, Gap, Notice
from edgestream.outlets.window_boxes import draw_boxes

if TYPE_CHECKING:
    import pygame

    from edgestream.vision.stages import Seen

REFRESH_HZ = 30
FADE_S = 12.0  # from a comment's appearing until it is as dim as it gets
N_LINES = 3  # of text under the picture
MAX_WORD = 100  # letters; SDL draws no text of any width
FIRST_SIZE = (960, 720)
PAPER, INK, DIM = (18, 20, 24), (240, 240, 240), 0.35
CAPTION_SHARE = 0.24  # of the window's height
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")  # variables that name one
START_WAIT_S = 30.0


Rgb = NDArray[np.uint8]


class Shown(NamedTuple):
    """A picture, uint8 [height, width, 3], and what is marked in it."""

    rgb: Rgb
    seen: Sequence[Seen] = ()


class Line(NamedTuple):
    """A line of text and when it came, on the monotonic clock."""

    text: str
    came_s: float


class Window:
    """`show` pictures and `push` events from one thread; it never waits for the screen.

    A picture that comes before the last one was drawn takes its place. `on_close` is called when
    the window is closed, or q or Escape is pressed.

    Raises:
        UsageError: pygame is not installed, or this system wants windows in the main thread.
        DeviceError: there is no display.
    """

    def __init__(self, title: str, on_close: Callable[[], None]) -> None:
        _expect_display()
        self._title, self._on_close = title, on_close
        self._picture: deque[Shown] = deque(maxlen=1)
        self._lines: deque[Line] = deque(maxlen=N_LINES)
        self._finished, self._ready = threading.Event(), threading.Event()
        self._failure = ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(START_WAIT_S)
        if self._failure:
            raise DeviceError(f"the window cannot be opened: {self._failure}; leave out --window")

    def show(self, rgb: Rgb, seen: Sequence[Seen] = ()) -> None:
        """The newest picture, uint8 [height, width, 3], and what is followed in it."""
        self._picture.append(Shown(rgb, seen))

    def push(self, events: Iterable[Event]) -> None:
        """Shows what is said, and what was lost."""
        for event in events:
            if isinstance(event, Final):
                self._lines.append(Line(printable(event.text), time.monotonic()))
            elif isinstance(event, (Gap, Notice)):
                said = event.reason if isinstance(event, Gap) else event.text
                self._lines.append(Line(f"({printable(said)})", time.monotonic()))

    def finish(self) -> None:
        """Closes the window; may be repeated."""
        self._finished.set()
        self._thread.join()

    def _run(self) -> None:
        """On the window's thread: all of pygame is used here, as it wants."""
        import pygame

        try:
            pygame.display.init()
            pygame.font.init()
            screen = pygame.display.set_mode(FIRST_SIZE, pygame.RESIZABLE)
            pygame.display.set_caption(shown(self._title))
        except pygame.error as error:
            self._failure = str(error)
            return
        finally:
            self._ready.set()
        clock, newest = pygame.time.Clock(), None
        while not self._finished.is_set():
            if any(_closes(event) for event in pygame.event.get()):
                self._on_close()
                break
            if self._picture:
                newest = self._picture.popleft()
            compose(screen, newest, list(self._lines), time.monotonic())
            pygame.display.flip()
            clock.tick(REFRESH_HZ)
        pygame.display.quit()


def compose(screen: pygame.Surface, shown: Shown | None, lines: list[Line], now_s: float) -> None:
    """Draws the picture as large as fits, and under it the lines, the newest one brightest."""
    import pygame

    width, height = screen.get_size()
    screen.fill(PAPER)
    text_top = round(height * (1 - CAPTION_SHARE))
    if shown is not None:
        at = _draw_picture(screen, shown.rgb, text_top)
        draw_boxes(screen.subsurface(at), shown.seen, at.width / shown.rgb.shape[1])
    line_height = (height - text_top) // (N_LINES + 1)
    font = pygame.font.Font(None, max(8, round(1.2 * line_height)))
    for row, line in enumerate(_wrapped(lines, font, width)[-N_LINES:]):
        light = max(DIM, 1 - (now_s - line.came_s) / FADE_S)
        colour = tuple(round(p + light * (i - p)) for p, i in zip(PAPER, INK, strict=True))
        text = font.render(line.text, True, colour)
        top = text_top + line_height // 2 + row * line_height
        screen.blit(text, (max(0, (width - text.get_width()) // 2), top))


def _draw_picture(screen: pygame.Surface, rgb: Rgb, text_top: int) -> pygame.Rect:
    """As large as fits above `text_top`, in the middle; where it is."""
    import pygame

    width = screen.get_width()
    scale = min(width / rgb.shape[1], text_top / rgb.shape[0])
    size = (max(1, round(scale * rgb.shape[1])), max(1, round(scale * rgb.shape[0])))
    picture = pygame.image.frombuffer(rgb.tobytes(), (rgb.shape[1], rgb.shape[0]), "RGB")
    at = ((width - size[0]) // 2, (text_top - size[1]) // 2)
    drawn: pygame.Rect = screen.blit(pygame.transform.smoothscale(picture, size), at)
    return drawn


def _wrapped(lines: list[Line], font: pygame.font.Font, width: int) -> list[Line]:
    """The lines, those that are too long for the window in several."""
    rows = []
    for line in lines:
        row = ""
        for word in line.text.split():
            longer = f"{row} {word[:MAX_WORD]}".strip()
            if row and font.size(longer)[0] > width:
                rows.append(Line(row, line.came_s))
                longer = word[:MAX_WORD]
            row = longer
        rows.append(Line(row, line.came_s))
    return rows


def _closes(event: pygame.event.Event) -> bool:
    import pygame

    if event.type == pygame.KEYDOWN:
        return event.key in (pygame.K_q, pygame.K_ESCAPE)
    return bool(event.type == pygame.QUIT)


def _expect_display() -> None:
    if sys.platform == "darwin":
        raise UsageError("--window: this system wants windows in the main thread; leave it out")
    if sys.platform == "linux" and not any(os.environ.get(name) for name in DISPLAYS):
        raise DeviceError("no display: DISPLAY and WAYLAND_DISPLAY are not set; leave out --window")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame  # noqa: F401 - a machine without displays need not have it
    except ImportError:
        raise UsageError("--window needs pygame: pip install 'edgestream[window]'") from None
