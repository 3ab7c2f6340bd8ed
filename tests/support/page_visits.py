# SPDX-License-Identifier: Apache-2.0
"""What tests of the page do again and again."""

import numpy as np
import soundfile
from scripted_server import BLOCK

LOG = "#log .words"
ELSEWHERE = "phone.test"  # an address that is not this computer's, for the browser


def lines(n, words="line {}"):
    """What /v1/live sends: n finals, one a second."""
    return [
        (k, "final", {"text": words.format(k), "words": [], "start_ms": 1000 * k,
                      "end_ms": 1000 * k + 900})
        for k in range(1, n + 1)
    ]  # fmt: skip


def read(watched, server, n=3, path="/?read", words="line {}", **options):
    """A reader of the server's own source, once all lines were there."""
    server.script.live = lines(n, words)
    page = watched.open(path, **options)
    page.wait_for_function(
        "(text) => [...document.querySelectorAll('#log .words, .rolled')]"
        ".some((line) => line.textContent === text)",
        arg=words.format(n),
    )
    return page


def numbers_wav(path, n):
    """A recording that says 1, 2 ... n to the scripted server, at the rate of files."""
    soundfile.write(path, np.repeat(np.arange(1, n + 1, dtype=np.int16), BLOCK), 16_000)
    return path


def caption_file(page, path):
    page.set_input_files("#file", path)
    page.wait_for_selector("#state[data-state=done]")
