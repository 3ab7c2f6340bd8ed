# SPDX-License-Identifier: Apache-2.0
"""What sessions cost, measured; and whether there is room for one more."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from edgestream.data import DATA
from edgestream.errors import EdgestreamError
from edgestream.serve.refusal import RefusalError
from edgestream.sources.sound_file import FileSource
from edgestream.speech.stream import Stream

RECENT_S = 10.0  # of which a session's cost is told
SPEECH = DATA / "person.flac"  # somebody who speaks without long pauses
LATE_MS = 1500.0  # that sound waits: now all are late, whatever was measured before


class Cost:
    """What a session takes of a core, lately. Any thread may ask."""

    def __init__(self, *, own: bool = False) -> None:
        """`own`: of what the server itself listens to, not of a client's session."""
        self.own = own
        self._lock = threading.Lock()
        self._steps: deque[tuple[float, float]] = deque()  # when it ended, and how long it took

    def add(self, now_s: float, took_s: float) -> None:
        """A step that ended now."""
        with self._lock:
            self._steps.append((now_s, took_s))
            self._forget(now_s)

    def share(self, now_s: float) -> float:
        """Seconds of computing in each second, of the last RECENT_S."""
        with self._lock:
            self._forget(now_s)
            return sum(took_s for _, took_s in self._steps) / RECENT_S

    def _forget(self, now_s: float) -> None:
        while self._steps and self._steps[0][0] < now_s - RECENT_S:
            self._steps.popleft()


def speech_cost(open_stream: Callable[[], Stream], stopped: threading.Event) -> float:
    """Seconds of computing for each second that somebody speaks, measured now on a recording; 0 if
    it is stopped before its end."""
    source = FileSource(SPEECH, pace=False)
    try:
        stream = open_stream().at_rate(source.rate_hz)
        blocks = list(source)
    finally:
        source.close()
    start_s = 0.0
    for part in (blocks[: len(blocks) // 4], blocks):  # the first windows are slower than all later
        stream.reset()
        start_s = time.perf_counter()
        for block in part:
            if stopped.is_set():
                return 0.0
            stream.take(block)
    return (time.perf_counter() - start_s) * 1000 / stream.heard_ms


class Admission:
    """Refuses the session that would make the others fall behind.

    Each live session is taken for what it costs while somebody speaks, measured on this machine
    when the model was loaded, or for more if it takes more: who is silent may speak the next
    moment. Recordings take what is left, and are not counted.
    """

    def __init__(self, n_cores: int, share: float) -> None:
        """`share` of the cores may be taken."""
        self.n_cores, self._share = n_cores, share
        self._speech: dict[str, float] = {}  # by model
        self._stopped = threading.Event()

    def measure(self, model_name: str, open_stream: Callable[[], Stream]) -> None:
        """Takes a second or more, on any thread; until then nothing is refused for its cost."""
        try:
            self._speech[model_name] = speech_cost(open_stream, self._stopped)
        except EdgestreamError:  # the first session will say it
            return

    def stop(self) -> None:
        """What is being measured is given up."""
        self._stopped.set()

    def cost(self, model_name: str) -> float:
        """Of a session in which somebody speaks, in cores; 0 if it was not measured yet."""
        return self._speech.get(model_name, 0.0)

    def taken(self, sessions: Iterable[tuple[str, Cost]]) -> float:
        """Cores that live sessions take."""
        now_s = time.monotonic()
        return sum(max(self.cost(name), cost.share(now_s)) for name, cost in sessions)

    def check(self, model_name: str, sessions: Iterable[tuple[str, Cost]], late_ms: float) -> None:
        """Raises RefusalError if one more session does not fit beside these.

        `late_ms` is how long sound of one of them has waited at most.
        """
        sessions = list(sessions)
        taken, more = self.taken(sessions), self.cost(model_name)
        if all(cost.own for _, cost in sessions):
            return  # alone, a slow machine writes later and less often, and says so
        if taken + more > self._share * self.n_cores or late_ms > LATE_MS:
            raise RefusalError(
                "full",
                f"{len(sessions)} sessions take what {self.n_cores} cores can compute in time;"
                " try again when one has ended",
            )
