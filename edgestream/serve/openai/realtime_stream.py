# SPDX-License-Identifier: Apache-2.0
"""The sound of one realtime client through sessions of the pool: one after the other, where its
settings change; and what it is told of them, in the words of its turns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from edgestream.serve.asked import Asked
from edgestream.serve.openai.companding import Companded
from edgestream.serve.openai.turns import Message, Turns, VadTurns
from edgestream.serve.pool import Pool
from edgestream.serve.refusal import RefusalError
from edgestream.serve.served_session import ServedSession, seen
from edgestream.sources.pcm_decoder import PcmDecoder


class RealtimeStream:
    """Belongs to one connection, whose `send` takes what the client is told."""

    def __init__(self, pool: Pool, send: Callable[[Message], Awaitable[None]]) -> None:
        self._pool, self._send = pool, send
        self._session: ServedSession | None = None
        self._turns: Turns = VadTurns()
        self._telling = asyncio.Lock()
        self._muted = False  # what is heard now will be dropped
        self._seq = 0  # of the last event that was seen
        self._before_ms = 0.0  # heard by the sessions before
        self._pushed_s = 0.0  # sound, since the client came
        self._held_s = 0.0  # sound that is not committed
        self.following: asyncio.Future[None] | None = None  # ends with the session

    @property
    def held_s(self) -> float:
        """Seconds of sound since the last commit, or item that the server ended."""
        return self._held_s

    async def open(self, asked: Asked, rate_hz: int) -> None:
        """Begins a session, unless one goes on. Raises RefusalError where there is no room."""
        if self._session is None:
            session = await self._pool.open(model=asked.model, rate_hz=rate_hz, **asked.options)
            self._session, self._seq = session, 0
            self._turns.base_ms = self._before_ms
            self.following = asyncio.ensure_future(self._follow(session))
            self.following.add_done_callback(seen)

    async def push(self, decoder: PcmDecoder | Companded, data: bytes) -> None:
        """Bytes of the session that is open. Waits while too much waits to be computed."""
        assert self._session is not None
        samples = decoder.push(data)
        length_s = len(samples) / self._session.rate_hz
        self._pushed_s += length_s
        self._held_s += length_s
        if len(samples):
            await self._session.push(samples)

    async def commit(self) -> None:
        """The client's end of an item: its last words are told, and that it is complete."""
        if self._session is not None:
            await self._session.restart()
        async with self._telling:
            await self._catch_up()
            heard_s, self._held_s = self._held_s, 0.0
            await self._tell(self._turns.commit(heard_s))
            self._rebase()

    async def clear(self) -> None:
        """What was not committed is dropped."""
        self._muted = True
        try:
            if self._session is not None:
                await self._session.restart()
            async with self._telling:
                await self._catch_up()
                self._rebase()
        finally:
            self._muted = False
        self._held_s = 0.0
        self._turns.clear()

    async def pause(self) -> None:
        """Ends the session with its last words; what comes next is heard by another."""
        if self._session is None or self.following is None:
            return
        self._session.finish()
        following, self.following = self.following, None
        await following
        self._before_ms += self._session.heard_ms
        self.close()

    async def take_turns(self, turns: Turns) -> None:
        """Tells of the sound to come in another way; call `pause` before."""
        await self._tell(self._turns.leave(self._held_s))
        self._held_s = 0.0
        self._turns, turns.base_ms = turns, self._before_ms

    async def fail(self, error: Message) -> None:
        """Tells that nothing more will come of what is open."""
        await self._tell(self._turns.failed(error))

    def check(self) -> None:
        """Raises RefusalError if the session has ended by itself."""
        if self.following is not None and self.following.done():
            self.following.result()
            raise RefusalError("shutting-down", "the server is ending; try again in a moment")

    def close(self) -> None:
        """Ends the session at once. May be repeated."""
        session, self._session = self._session, None
        if self.following is not None:
            self.following.cancel()
        if session is not None:
            self._pool.forget(session)

    async def _follow(self, session: ServedSession) -> None:
        async for seq, _ in session.events():
            async with self._telling:
                if seq > self._seq:
                    await self._catch_up(session)
        async with self._telling:
            await self._tell(self._turns.pause())

    async def _catch_up(self, session: ServedSession | None = None) -> None:
        """All events that are there."""
        session = session or self._session
        if session is None:
            return
        for seq, event in session.log.after(self._seq):
            self._seq = seq
            if not self._muted:
                await self._tell(self._turns.push(event))
        session.log.acknowledge(self._seq)

    def _rebase(self) -> None:
        """The stream's clock has begun anew."""
        heard_ms = self._session.heard_ms if self._session is not None else 0.0
        self._turns.base_ms = self._before_ms + heard_ms

    async def _tell(self, messages: Iterator[Message]) -> None:
        for message in messages:
            await self._send(message)
        behind_s = self._pushed_s - self._turns.ended_ms / 1000
        self._held_s = min(self._held_s, max(0.0, behind_s))
