# SPDX-License-Identifier: Apache-2.0
"""A recording on its way through a session: decoded piece by piece on a thread, no faster than it
is captioned, so that what a small file holds never lies in memory as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import BinaryIO

from edgestream.errors import EdgestreamError
from edgestream.events import Event
from edgestream.serve.asked import Asked
from edgestream.serve.pool import Pool
from edgestream.serve.refusal import RefusalError
from edgestream.serve.served_session import ServedSession
from edgestream.sources.block import Block
from edgestream.sources.sound import Sound
from edgestream.sources.sound_file import open_sound

NAME = "file"  # of the field, in messages
PIECE_S = 1.0  # of sound that is decoded in one go


class Recording:
    """One upload. Whatever happens, `close` it: that ends its session at once."""

    def __init__(self, pool: Pool, handle: BinaryIO) -> None:
        self._pool, self._handle = pool, handle
        self._sound: Sound | None = None
        self._session: ServedSession | None = None
        self._feeding: asyncio.Future[None] | None = None
        self._working: asyncio.Future[list[Block]] | None = None  # on a thread
        self.heard_s = 0.0  # of sound that was decoded

    async def open(self, asked: Asked) -> None:
        """Raises SourceError: there is no sound in it. RefusalError: it is too long; no room."""
        self._sound = sound = await asyncio.to_thread(open_sound, self._handle, NAME)
        if not sound.is_endless:
            self._check_length(sound.n_frames / sound.rate_hz)  # as its header says
        self._session = session = await self._pool.open(
            model=asked.model, rate_hz=sound.rate_hz, live=False, **asked.options
        )
        self._feeding = asyncio.ensure_future(self._feed(sound, session))

    async def events(self) -> AsyncIterator[Event]:
        """All events, once it is open. Raises RefusalError where something is in the way."""
        assert self._session is not None
        async for seq, event in self._session.events():
            self._session.log.acknowledge(seq)
            yield event

    def close(self) -> None:
        """May be called at any time, once."""
        if self._feeding is not None:
            self._feeding.cancel()
        if self._session is not None:
            self._pool.forget(self._session)
        if self._working is not None and not self._working.done():  # decodes until then
            self._working.add_done_callback(lambda _: self._let_go())
        else:
            self._let_go()

    async def _feed(self, sound: Sound, session: ServedSession) -> None:
        try:
            blocks = sound.blocks()
            while True:
                self._working = asyncio.ensure_future(asyncio.to_thread(_piece, blocks))
                piece = await asyncio.shield(self._working)
                if not piece:
                    break
                for block in piece:
                    rate_hz = block.rate_hz or sound.rate_hz
                    self.heard_s += len(block.samples) / rate_hz
                    self._check_length(self.heard_s)
                    await session.push(
                        block.samples,
                        lost_samples=block.lost_samples,
                        reason=block.reason,
                        rate_hz=rate_hz,
                    )
            session.finish()
        except RefusalError as refusal:
            session.close(refusal)
        except EdgestreamError as error:
            session.close(RefusalError("bad-request", str(error)))

    def _check_length(self, length_s: float) -> None:
        most_s = self._pool.limits.upload_sound_s
        if length_s > most_s:
            raise RefusalError(
                "too-long", f"{NAME}: more than {most_s:g} s of sound; send it in parts", NAME
            )

    def _let_go(self) -> None:
        if self._sound is not None:
            self._sound.close()
        self._handle.close()


def _piece(blocks: Iterator[Block]) -> list[Block]:
    """The next blocks, about PIECE_S of sound; none at the end."""
    piece: list[Block] = []
    length_s = 0.0
    for block in blocks:
        piece.append(block)
        length_s += len(block.samples) / (block.rate_hz or 1)
        if length_s >= PIECE_S:
            break
    return piece
