# SPDX-License-Identifier: Apache-2.0
"""Takes a PNG of what `watch --window` shows SECONDS into a VIDEO.

    python tools/pictures/window_picture.py docs/watch.png one_320.mp4 6.9

The comments and boxes are those of the default model on that video; nothing of it is touched up.
"""

import os
import sys

os.environ |= {"SDL_VIDEODRIVER": "dummy", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}

import pygame

import edgestream as es
from edgestream.outlets.window import N_LINES, Line, Shown, compose

SIZE = (800, 600)


def main() -> None:
    path, video, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    session, lines = es.watch(video, fast=True), []
    for events in session.blocks():
        lines += [Line(event.text, event.picture_ms / 1000) for event in events]
        if session.newest.time_ms >= 1000 * seconds:
            break
    newest = Shown(session.newest.rgb, session.stream.seen)
    session.close()
    pygame.font.init()
    screen = pygame.Surface(SIZE)
    compose(screen, newest, lines[-N_LINES:], seconds)
    pygame.image.save(screen, path)


if __name__ == "__main__":
    main()
