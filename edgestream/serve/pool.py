# SPDX-License-Identifier: Apache-2.0
"""All sessions of a server: opened if there is room, found again by clients that come back."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from typing import Any

import anyio

from edgestream.serve.cost import Admission, Cost
from edgestream.serve.limits import Limits
from edgestream.serve.logs import log
from edgestream.serve.metrics import Metrics
from edgestream.serve.models import Models
from edgestream.serve.refusal import RefusalError
from edgestream.serve.scheduler import Scheduler
from edgestream.serve.served_session import ServedSession
from edgestream.serve.transcripts import Transcripts
from edgestream.system.process import n_cores

DRAIN_S = 20.0  # in which the last words come when the server ends
SWEEP_S = 1.0
ENDING = "the server is ending; try again in a moment"
HANDED_OVER = "this server is ending; begin a new session, another server will take it"


class Pool:
    """Belongs to one event loop; `start` it there."""

    def __init__(
        self,
        models: Models,
        limits: Limits,
        metrics: Metrics,
        transcripts: Transcripts | None = None,
        *,
        cores: int | None = None,
        replica: str = "",
    ) -> None:
        """`cores` that it computes on, all if None; `replica` names it among others."""
        self.models, self.limits, self.metrics = models, limits, metrics
        self._transcripts, self._replica = transcripts, replica
        self.scheduler = Scheduler(cores or n_cores())
        self.admission = Admission(self.scheduler.n_threads, limits.cores_share)
        self._sessions: dict[str, ServedSession] = {}
        self._left_s: dict[str, float] = {}  # sessions without a client, since when
        self._own: list[tuple[str, Cost]] = []
        self.started_s = int(time.time())  # by the clock on the wall
        self._draining = False
        self._drained_s = math.inf  # when clients that do not read are waited for no more
        self._n_reading = 0  # recordings that are being uploaded
        self._opening = asyncio.Lock()
        self._measuring = threading.Thread(target=self._measure, daemon=True)
        metrics.gauges(
            n_sessions=lambda: len(self.sessions),
            behind_s=lambda: self.worst_late_ms / 1000,
            real_time_factor=self._real_time_factor,
            cores_taken=lambda: self.admission.taken(self._costs()),
        )

    def measure(self) -> None:
        """What a session of each model costs here, on a thread while all else goes on."""
        self._measuring.start()

    def reserve(self, model_name: str) -> None:
        """The server itself listens by this model: that takes its share, too."""
        self._own.append((model_name, Cost(own=True)))

    def release(self) -> None:
        """It listens no more."""
        self._own.clear()

    @property
    def sessions(self) -> list[ServedSession]:
        """Those that are open."""
        return [each for each in self._sessions.values() if not each.ended]

    async def open(
        self, *, model: str | None = None, rate_hz: int, live: bool = True, **options: Any
    ) -> ServedSession:
        """A new session for samples at `rate_hz`.

        `live`: sound that comes as it is spoken; else a recording, as fast as it is computed.
        `options` are those of `Model.stream`; what is None counts as not given.

        Raises RefusalError: there is no room, or no such model. UsageError: an option is wrong.
        """
        name, opener = self.models.opener(model, rate_hz, options)
        loop = asyncio.get_running_loop()

        def build() -> ServedSession:
            return ServedSession(
                (lambda behind_ms: opener(behind_ms if live else None)), loop,
                scheduler=self.scheduler, limits=self.limits, live=live, model_name=name,
                on_end=self._ended, replica=self._replica, **self._kept(),
            )  # fmt: skip

        async with self._opening:  # one at a time: each sees what the one before takes
            self.check_room(name, live=live)
            session = await asyncio.to_thread(build)  # opening a voice gate runs it once
            if self._draining:  # since then
                session.close()
                raise RefusalError("shutting-down", ENDING)
            self._sessions[session.id] = session
        self.metrics.begun(name)
        log("session begun", session=session.id[:8], model=name, rate_hz=rate_hz, live=live)
        return session

    @contextmanager
    def reading_upload(self) -> Iterator[None]:
        """While a recording is taken in. Raises RefusalError if that are too many at once."""
        if self._n_reading >= self.limits.uploads:
            raise RefusalError("full", "other recordings are being sent; try again in a moment")
        self._n_reading += 1
        try:
            yield
        finally:
            self._n_reading -= 1

    def find(self, session_id: str) -> ServedSession:
        """The session whose client has come back; it must `join`. Raises RefusalError."""
        session = self._sessions.get(session_id)
        if session is None or self._given_up(session_id):
            raise RefusalError("unknown-session", "this session is no longer here; begin a new one")
        return session

    def join(self, session: ServedSession) -> None:
        """Its client is here."""
        self._left_s.pop(session.id, None)

    def leave(self, session: ServedSession, *, for_good: bool = False) -> None:
        """Its client is gone, but may come back for a while, unless that is `for_good`: also for
        last words that it missed."""
        if session.id not in self._sessions:
            return
        self._left_s[session.id] = -math.inf if for_good else time.monotonic()
        told = [each for each in self._left_s if self._sessions[each].ended]
        for session_id in told[: -self.limits.sessions]:  # those that left first
            self.forget(self._sessions[session_id])

    def forget(self, session: ServedSession) -> None:
        """Its client has all that it wants."""
        session.close()
        self._sessions.pop(session.id, None)
        self._left_s.pop(session.id, None)

    def metrics_text(self) -> bytes:
        """What the server counted up to now, as Prometheus reads it."""
        for session in self.sessions:
            self.metrics.settle(session.id, session.meter)
        return self.metrics.text()

    async def sweep(self) -> None:
        """Forgets sessions whose clients did not come back, for ever."""
        while True:
            await asyncio.sleep(SWEEP_S)
            for session_id in filter(self._given_up, list(self._left_s)):
                session = self._sessions[session_id]
                session.finish()  # its last words may be kept in a file
                if session.ended:
                    self.forget(session)
            if self._transcripts is not None:
                self._transcripts.try_again()

    async def hand_over(self, *, elsewhere: bool) -> None:
        """No new sessions, and an end for those that would last: another server takes over.

        If there is an `elsewhere`, a client that can begin anew is told at once that its session
        is gone: it sends its last line again, and no word is cut in two. All other live sessions
        get their last words, in DRAIN_S. Recordings go on to their end.
        """
        self._draining = True
        last = [each for each in self.sessions if each.live or each.resumable]
        if elsewhere:
            for session in filter(attrgetter("resumable"), last):
                session.close(RefusalError("unknown-session", HANDED_OVER))
                self.forget(session)
        await _drained([each for each in last if not each.ended], DRAIN_S)

    async def drain(self) -> None:
        """No new sessions; clients are told the last words of those that are here, in DRAIN_S. May
        be repeated: the time goes on from the first call."""
        self._draining = True
        self._drained_s = min(self._drained_s, time.monotonic() + DRAIN_S)
        await _drained(self.sessions, self._drained_s - time.monotonic())
        while time.monotonic() < self._drained_s and any(
            map(self._awaited, self._sessions.values())
        ):
            await asyncio.sleep(0.02)

    def close(self) -> None:
        """Ends all at once."""
        for session in list(self._sessions.values()):
            self.forget(session)
        self.scheduler.close()  # steps that are being done may still write
        if self._transcripts is not None:
            self._transcripts.close()
        self.admission.stop()
        if self._measuring.ident is not None:  # native code must not outlive the interpreter
            self._measuring.join()

    @property
    def worst_late_ms(self) -> float:
        """How long sound of a live session has waited, of the one where it is longest."""
        return max((each.late_ms for each in self._live()), default=0.0)

    def _given_up(self, session_id: str) -> bool:
        """Whether its client is gone for too long."""
        left_s = self._left_s.get(session_id, math.inf)
        return time.monotonic() - left_s >= self.limits.resume_s

    def check_room(self, name: str, *, live: bool) -> None:
        """Raises RefusalError where one more session of this model is too much."""
        if self._draining:
            raise RefusalError("shutting-down", ENDING)
        if len(self.sessions) >= self.limits.sessions:
            raise RefusalError(
                "full", f"{self.limits.sessions} sessions are open, the most that this server"
                " takes; try again when one has ended",
            )  # fmt: skip
        if live:
            self.admission.check(name, self._costs(), self.worst_late_ms)
        elif sum(not each.live for each in self.sessions) >= self.limits.uploads:
            raise RefusalError(
                "full", "other recordings are being captioned; try again in a moment"
            )

    def _live(self) -> Iterable[ServedSession]:
        return [each for each in self.sessions if each.live]

    def _awaited(self, session: ServedSession) -> bool:
        """Whether it still computes, or its client has not been told all."""
        return not session.ended or session.id not in self._left_s

    def _costs(self) -> list[tuple[str, Cost]]:
        return [*self._own, *((each.model_name, each.cost) for each in self._live())]

    def _real_time_factor(self) -> float:
        meters = [each.meter for each in self.sessions]
        heard_ms = sum(meter.heard_ms for meter in meters)
        return sum(meter.compute_ms for meter in meters) / heard_ms if heard_ms else 0.0

    def _kept(self) -> dict[str, Any]:
        """Where the events of a new session go."""
        if self._transcripts is None:
            return {}
        transcript = self._transcripts.begin()
        return {
            "keep": transcript.push,
            "keep_no_more": partial(self._transcripts.finish, transcript),
        }

    def _ended(self, session: ServedSession) -> None:
        failed = session.failure is not None and session.failure.code == "failed"
        self.metrics.ended(session.id, session.meter, failed=failed)
        log("session ended", session=session.id[:8], model=session.model_name,
            heard_s=round(session.heard_ms / 1000, 1), words=session.meter.n_words,
            real_time_factor=round(session.meter.real_time_factor, 3),
            failure=session.failure.code if session.failure else None)  # fmt: skip

    def _measure(self) -> None:
        for name in self.models.names:
            _, opener = self.models.opener(name, 16_000, {})
            self.admission.measure(name, partial(opener, None))


async def _drained(sessions: list[ServedSession], within_s: float) -> None:
    """No more sound for them; one that still takes a long message then is left as it is."""
    with anyio.move_on_after(within_s):
        await asyncio.gather(*(each.drain() for each in sessions))
