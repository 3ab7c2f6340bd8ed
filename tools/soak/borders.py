# SPDX-License-Identifier: Apache-2.0
"""What is lost or said twice where a new session begins, behind a line that was final before.

    python tools/soak/borders.py --minutes 12 --every 3

After `kill -9` a client begins with the sound of its last line, and leaves out what it was told
(see client.py). Here this is done behind many final lines, by the library alone, and the words of
the next line are compared. With --at-end the session begins where the last line ended.
"""

from __future__ import annotations

import argparse
from collections import Counter
from itertools import pairwise

from client import BYTES, RATE_HZ, begin_ms, behind, shifted
from reference import Line, compare, reference
from sound import Programme

from edgestream.library.manifest.manifest import DEFAULT_MODEL

MORE_MS = 4000.0  # of sound behind the next line, so that it ends as it did before


class Tail:
    """A stretch of a programme as a sound of its own."""

    def __init__(self, whole: Programme, start_ms: float, end_ms: float) -> None:
        self._whole = whole
        self._start = round(start_ms * RATE_HZ / 1000) * BYTES
        end = min(whole.n_bytes, round(end_ms * RATE_HZ / 1000) * BYTES)
        self.n_bytes = end - self._start

    def read(self, at: int, n: int) -> bytes:
        """Bytes from there."""
        return self._whole.read(self._start + at, min(n, self.n_bytes - at))


def border(model: str, sound: Programme, before: Line, after: Line, at_end: bool) -> list[str]:
    """How the words of line `after` differ if a session begins because of a fault behind `before`;
    with the time from the border to each."""
    told_ms = before["end_ms"]
    start_ms = told_ms if at_end else begin_ms(before)
    said = reference(model, Tail(sound, start_ms, after["end_ms"] + MORE_MS))
    lines = [rest for line in said if (rest := behind(shifted(line, start_ms), told_ms))]
    heard = [word for line in lines for word in line["words"] if _middle_ms(word) < after["end_ms"]]
    return [
        f"{d.border_ms:.0f} ms: {' '.join(d.wanted)!r} -> {' '.join(d.said)!r}"
        for d in compare([after], [{"words": heard}], [told_ms]).differences
    ]


def _middle_ms(word: dict[str, float]) -> float:
    return (word["start_ms"] + word["end_ms"]) / 2


def main() -> None:
    """Prints each difference, and how many borders have one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--speech", type=float, default=0.6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--at-end", action="store_true", help="begins where the last line ended")
    parser.add_argument("--every", type=int, default=1, help="tries only each nth line")
    given = parser.parse_args()
    sound = Programme(given.minutes / 60, given.seed, given.speech)
    lines = reference(given.model, sound)
    counted: Counter[int] = Counter()
    pairs = list(pairwise(lines))[:: given.every]
    for before, after in pairs:
        found = border(given.model, sound, before, after, given.at_end)
        counted[bool(found)] += 1
        pause_ms = after["start_ms"] - before["end_ms"]
        if found:
            print(f"{before['end_ms'] / 1000:.1f} s, pause {pause_ms:.0f} ms: {'; '.join(found)}")
    print(f"{counted[True]} of {sum(counted.values())} borders differ")


if __name__ == "__main__":
    main()
