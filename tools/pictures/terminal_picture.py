# SPDX-License-Identifier: Apache-2.0
"""Takes an SVG picture of a command at work in a terminal, N seconds after its start.

    python tools/pictures/terminal_picture.py docs/listen.svg 10.8 \\
        edgestream listen edgestream/data/person.flac

The command runs for real on a pseudo-terminal; the picture shows what it has drawn by then.
"""

import fcntl
import io
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from pathlib import Path

import pyte
from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 84, 12
pyte.graphics.TEXT[2] = "+italics"  # pyte knows no dim; edgestream writes no italics


def run_for(seconds: float, command: "list[str]") -> pyte.Screen:
    """What `command` has drawn on a terminal of COLUMNS x ROWS after `seconds`."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    deadline_s = time.monotonic() + seconds
    while (left_s := deadline_s - time.monotonic()) > 0:
        if select.select([terminal], [], [], left_s)[0]:
            try:
                stream.feed(os.read(terminal, 65536))
            except OSError:  # the command has ended
                break
    os.kill(child, 9)
    return screen


def style_of(cell: pyte.screens.Char) -> str:
    """The rich style of one cell."""
    colour = cell.fg.replace("brown", "yellow")
    return f"{'dim ' if cell.italics else ''}{'bold ' if cell.bold else ''}{colour}"


def draw(screen: pyte.Screen, title: str, path: str) -> None:
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    last = max((row for row in range(ROWS) if screen.display[row].strip()), default=0)
    for row in range(last + 1):
        line = Text()
        for column in range(COLUMNS):
            cell = screen.buffer[row][column]
            line.append(cell.data, style_of(cell))
        console.print(line, soft_wrap=True)
    svg = console.export_svg(title=title)
    # The picture fetches nothing when it is shown: any monospaced font will do.
    Path(path).write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S), encoding="utf-8")


def main() -> None:
    path, seconds, *command = sys.argv[1:]
    draw(run_for(float(seconds), command), " ".join(command), path)


if __name__ == "__main__":
    main()
