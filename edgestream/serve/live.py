# SPDX-License-Identifier: Apache-2.0
"""The server's own microphone, file or camera: heard once, told to all who read."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from edgestream.errors import EdgestreamError, shown
from edgestream.events import Event, Notice
from edgestream.serve.event_log import EventLog
from edgestream.serve.logs import log, logger
from edgestream.session import Session
from edgestream.sources.picture import Picture

N_REPLAYED = 50  # lines that whoever joins is told first
REST_S = 2.0  # before a source that failed is opened again
MOST_REST_S = 60.0
FAULT = "the server tries again, and its log says more"


class Live:
    """A session on a thread of its own, whose events are numbered. Belongs to one event loop.

    A source that fails is opened again, later and later; its readers are told.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        open_session: Callable[[], Session[Any, Any]],
        *,
        again: bool,
        secret: str = "",
    ) -> None:
        """`again`: a source that ends, as no file does, is opened again.

        `secret`: an address that may hold a password; neither readers nor the log are told it.
        """
        self.kind, self.name = kind, name
        bare = secret.partition("://")[2]
        self._secrets = [each for each in (shown(secret), shown(bare)) if each]
        self.log = EventLog(N_REPLAYED)
        self.run = secrets.token_hex(4)  # numbers begin anew with each run of the server
        self._open_session, self._again = open_session, again
        self._session: Session[Any, Any] | None = None
        self._picture: Picture | None = None
        self._ended = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_end: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, name="edgestream-live", daemon=True)

    def start(self, on_end: Callable[[], None] = lambda: None) -> None:
        """Begins to listen or to watch. `on_end`, of this loop: it will not be opened again."""
        self._loop, self._on_end = asyncio.get_running_loop(), on_end
        self._thread.start()

    def stop(self) -> None:
        """The last words come, then the log is complete."""
        self._ended.set()
        if self._session is not None:
            self._session.stop()

    async def wait(self) -> None:
        """Until it has ended, after `stop`."""
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def status(self) -> dict[str, Any]:
        """How it goes, for readers."""
        session = self._session
        if session is None:
            return {"heard_ms": 0.0, "behind_ms": 0.0, "level_dbfs": None}
        return {
            "heard_ms": round(self.heard_ms, 1),
            "behind_ms": round(session.source.behind_ms, 1),
            "level_dbfs": round(session.meter.level_dbfs, 1) if self.kind != "camera" else None,
        }

    @property
    def heard_ms(self) -> float:
        """Of the source, since it was opened last."""
        return float(self._session.stream.heard_ms) if self._session is not None else 0.0

    @property
    def picture(self) -> Picture | None:
        """The newest one, of a camera."""
        newest = self._session.newest if self._session is not None else None
        if isinstance(newest, Picture):
            self._picture = newest
        return self._picture

    @property
    def seen(self) -> Any:
        """What is followed in the newest picture."""
        return getattr(getattr(self._session, "stream", None), "seen", ())

    def _run(self) -> None:
        try:
            self._listen_again_and_again()
        finally:
            self._call(self.log.finish)
            self._call(self._on_end)

    def _listen_again_and_again(self) -> None:
        rest_s = REST_S
        while not self._ended.is_set():
            begun_s = time.monotonic()
            try:
                self._listen()
                if not self._again:
                    break
            except EdgestreamError as error:
                why = self._told(str(error))
                log("the source failed", kind=self.kind, why=why)
                self._call(self.log.push, [Notice(0.0, why)])
            except Exception:  # of a library, or ours: readers wait for the next try
                trace = self._told(traceback.format_exc())
                logger.error("the source failed", extra={"fields": {"trace": trace}})
                self._call(self.log.push, [Notice(0.0, f"the {self.kind} failed; {FAULT}")])
            rest_s = REST_S if time.monotonic() - begun_s > MOST_REST_S else min(
                2 * rest_s, MOST_REST_S
            )  # fmt: skip
            self._ended.wait(rest_s)

    def _listen(self) -> None:
        session = self._session = self._open_session()
        try:
            if self._ended.is_set():
                session.stop()
            for events in session.blocks():
                if events:
                    self._call(self.log.push, events)
        finally:
            session.close()

    def _told(self, text: str) -> str:
        """Without the address: rtsp://admin:secret@host/cam is the camera."""
        for secret in self._secrets:
            text = text.replace(secret, f"the {self.kind}")
        return text

    def _call(self, what: Callable[..., None], *given: list[Event]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *given)
