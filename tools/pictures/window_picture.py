# SPDX-License-Identifier: Apache-2.0
"""Takes a PNG of what `watch --window` shows SECONDS into scene NUMBER of the benchmark.

    python tools/pictures/window_picture.py docs/watch.png 3 9.5

The comments are those of the built-in commentator on that scene; nothing of it is touched up.
"""

import os
import sys

os.environ |= {"SDL_VIDEODRIVER": "dummy", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}

import pygame

import edgestream as es
from edgestream.bench.watch.scenes import scene
from edgestream.outlets.window import N_LINES, Line, Shown, compose

SIZE = (640, 600)
FPS = 25


def main() -> None:
    path, number, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    stream, lines, newest = es.load_watcher().stream(), [], None
    for picture in scene(number).pictures(FPS):
        if picture.time_ms > 1000 * seconds:
            break
        for event in stream.push(picture):
            lines.append(Line(event.text, event.picture_ms / 1000))
        newest = Shown(picture.rgb, stream.seen)
    pygame.font.init()
    screen = pygame.Surface(SIZE)
    compose(screen, newest, lines[-N_LINES:], seconds)
    pygame.image.save(screen, path)


if __name__ == "__main__":
    main()
